"""The emitted operations as functions that Numba's loops call. Addresses are int64, in bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pvcnn.algebra.kernels.compilation import intrinsic, types
from pvcnn.algebra.kernels.ifma import vectors
from pvcnn.algebra.kernels.ifma.conversion import emit_enter, emit_leave
from pvcnn.algebra.kernels.ifma.coordinates import CoordinateField
from pvcnn.algebra.kernels.ifma.groups import GroupEmitter
from pvcnn.algebra.kernels.words import Value

_ADDRESS = types.int64
_EMITTERS = {degree: GroupEmitter(degree) for degree in (1, 2)}

Generator = Callable[[Any, Any, Any, Any], Value]


def _group(name: str, degree: Any) -> Generator:
    """Emits operation `name` on groups; without a result, a dummy one."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Value:
        result = getattr(_EMITTERS[degree.count], name)(builder, *arguments[1:])
        return target.get_dummy_value() if signature.return_type == types.void else result

    return generate


@intrinsic
def forward(_context: Any, degree: Any, lefts: Any, rights: Any, targets: Any, kept: Any, chain: Any) -> Any:
    """`GroupEmitter.forward`."""
    return types.uint8(degree, *[_ADDRESS] * 5), _group("forward", degree)


@intrinsic
def backward(
    _context: Any,
    degree: Any,
    lefts: Any,
    rights: Any,
    targets: Any,
    kept: Any,
    chain: Any,
    exceptional: Any,
    waste: Any,
) -> Any:
    """`GroupEmitter.backward`."""
    signature = types.void(degree, *[_ADDRESS] * 5, types.uint8, _ADDRESS)
    return signature, _group("backward", degree)


@intrinsic
def fold(_context: Any, degree: Any, chains: Any, saved: Any) -> Any:
    """`GroupEmitter.fold`."""
    return types.void(degree, *[_ADDRESS] * 2), _group("fold", degree)


@intrinsic
def unfold(_context: Any, degree: Any, chains: Any, saved: Any, inverse: Any) -> Any:
    """`GroupEmitter.unfold`."""
    return types.void(degree, *[_ADDRESS] * 3), _group("unfold", degree)


@intrinsic
def store_ones(_context: Any, degree: Any, address: Any) -> Any:
    """Writes 1 in every lane of a coordinate."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        field = CoordinateField(degree.count)
        field.store(builder, field.one(), arguments[1])
        return target.get_dummy_value()

    return types.void(degree, _ADDRESS), generate


@intrinsic
def copy_line(_context: Any, target: Any, source: Any) -> Any:
    """Copies the 64 bytes at an address."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        vectors.store(builder, vectors.load(builder, arguments[1]), arguments[0])
        return target.get_dummy_value()

    return types.void(_ADDRESS, _ADDRESS), generate


@intrinsic
def enter_group(_context: Any, degree: Any, rows: Any, points: Any) -> Any:
    """`emit_enter`."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        emit_enter(builder, degree.count, *arguments[1:])
        return target.get_dummy_value()

    return types.void(degree, _ADDRESS, _ADDRESS), generate


@intrinsic
def leave_group(_context: Any, degree: Any, points: Any, rows: Any) -> Any:
    """`emit_leave`."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        emit_leave(builder, degree.count, *arguments[1:])
        return target.get_dummy_value()

    return types.void(degree, _ADDRESS, _ADDRESS), generate
