"""What the loops call: steps on eight lanes as functions of addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pvcnn.algebra.kernels.compilation import intrinsic, types
from pvcnn.algebra.kernels.words import Builder, Value

#: Emits code for a builder and addresses.
Body = Callable[..., None]


def _emitter(body: Body) -> Callable[[Any, Builder, Any, tuple[Value, ...]], Value]:
    def generate(target: Any, builder: Builder, _signature: Any, arguments: tuple[Value, ...]) -> Value:
        body(builder, *arguments)
        return target.get_dummy_value()

    return generate


def of_two(body: Body) -> Any:
    """`body(builder, a, b)` as a function of two addresses for kernels to call."""

    @intrinsic
    def step(_context: Any, a: Any, b: Any) -> Any:
        return types.void(types.int64, types.int64), _emitter(body)

    return step


def of_three(body: Body) -> Any:
    """`body(builder, a, b, c)` as a function of three addresses for kernels to call."""

    @intrinsic
    def step(_context: Any, a: Any, b: Any, c: Any) -> Any:
        return types.void(types.int64, types.int64, types.int64), _emitter(body)

    return step


def of_four(body: Body) -> Any:
    """`body(builder, a, b, c, d)` as a function of four addresses for kernels to call."""

    @intrinsic
    def step(_context: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        return types.void(types.int64, types.int64, types.int64, types.int64), _emitter(body)

    return step
