"""Vectors over the scalar field F_r.

Arithmetic is compiled (`pvcnn.algebra.kernels`, which needs numba) and uses every thread of
`pvcnn.algebra.threads`. Functions return new vectors and never change their arguments.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import threads
from pvcnn.algebra.constants import SCALAR_BYTES, SCALAR_MODULUS

#: (n, 4) uint64, Montgomery form with R = 2^256, fully reduced, least significant limb first.
#: Opaque outside pvcnn.algebra.
ScalarVector: TypeAlias = NDArray[np.uint64]

_LIMBS = 4
#: Shorter spans than this cost more to hand to a thread than they take.
_MINIMUM_SPAN = 2048


def _kernels() -> ModuleType:
    """The compiled kernels, imported at the first use: `ScalarVector` alone must not need numba."""
    from pvcnn.algebra.kernels import scalar_vectors, selection

    if selection.KERNELS is selection.Kernels.PORTABLE:
        return scalar_vectors
    from pvcnn.algebra.kernels.ifma_scalars import operations

    return operations


def checked(values: ScalarVector) -> ScalarVector:
    """`values` as a contiguous ScalarVector; ValueError if dtype or shape is another."""
    if values.dtype != np.uint64 or values.ndim != 2 or values.shape[1] != _LIMBS:
        raise ValueError(f"not a vector of scalars: {values.dtype} {values.shape}")
    return np.ascontiguousarray(values)


def element(value: int) -> ScalarVector:
    """The vector of length 1 that holds `value`, any integer."""
    montgomery = (value << 256) % SCALAR_MODULUS
    return np.frombuffer(montgomery.to_bytes(SCALAR_BYTES, "little"), np.uint64).reshape(1, _LIMBS)


def zeros(length: int) -> ScalarVector:
    """(length, 4): the zero vector."""
    return np.zeros((length, _LIMBS), np.uint64)


def from_integers(values: Sequence[int]) -> ScalarVector:
    """The vector of any integers, reduced modulo r."""
    data = b"".join((value % SCALAR_MODULUS).to_bytes(SCALAR_BYTES, "little") for value in values)
    integers = np.frombuffer(data, np.uint64).reshape(-1, _LIMBS)
    return _elementwise(_kernels().enter_montgomery, integers)


def canonical_words(values: ScalarVector) -> NDArray[np.uint64]:
    """(n, 4) uint64: the integers in [0, r) of a vector, least significant word first."""
    return _elementwise(_kernels().leave_montgomery, checked(values))


def to_integers(values: ScalarVector) -> list[int]:
    """The elements as integers in [0, r)."""
    data = canonical_words(values).tobytes()
    return [int.from_bytes(data[i : i + SCALAR_BYTES], "little") for i in range(0, len(data), SCALAR_BYTES)]


def from_int64(values: NDArray[np.int64]) -> ScalarVector:
    """The vector of an int64 array of any shape, flattened in C order."""
    if values.dtype != np.int64:
        raise ValueError(f"expected int64, not {values.dtype}")
    integers = np.ascontiguousarray(values).reshape(-1)
    out = np.empty((len(integers), _LIMBS), np.uint64)
    kernel, target, source = _kernels().from_signed, out.ctypes.data, integers.ctypes.data
    _over_spans(len(integers), lambda a, b: kernel(target + 32 * a, source + 8 * a, b - a))
    return out


def as_elements(values: NDArray[Any]) -> ScalarVector:
    """int64 (n,) as a vector; a vector as it is."""
    return from_int64(values) if values.dtype == np.int64 else checked(values)


def random(length: int) -> ScalarVector:
    """Uniform scalars from the operating system's generator (512 bits each, reduced)."""
    entropy = np.frombuffer(os.urandom(64 * length), np.uint64)
    out = np.empty((length, _LIMBS), np.uint64)
    _kernels().reduce_wide(out.ctypes.data, entropy.ctypes.data, length)
    return out


def add(left: ScalarVector, right: ScalarVector) -> ScalarVector:
    """left + right, elementwise; lengths must be equal."""
    return _elementwise(_kernels().add_vectors, checked(left), checked(right))


def subtract(left: ScalarVector, right: ScalarVector) -> ScalarVector:
    """left - right, elementwise; lengths must be equal."""
    return _elementwise(_kernels().subtract_vectors, checked(left), checked(right))


def multiply(left: ScalarVector, right: ScalarVector) -> ScalarVector:
    """left right, elementwise; lengths must be equal."""
    return _elementwise(_kernels().multiply_vectors, checked(left), checked(right))


def negate(values: ScalarVector) -> ScalarVector:
    """-values, elementwise."""
    return _elementwise(_kernels().negate_vector, checked(values))


def scale(values: ScalarVector, factor: int) -> ScalarVector:
    """factor values, for any integer factor."""
    source, constant = checked(values), element(factor)
    out = np.empty_like(source)
    kernel, target, start, at = (
        _kernels().scale_vector,
        out.ctypes.data,
        source.ctypes.data,
        constant.ctypes.data,
    )
    _over_spans(len(source), lambda a, b: kernel(target + 32 * a, start + 32 * a, at, b - a))
    return out


def inverse(values: ScalarVector) -> ScalarVector:
    """1 / values, elementwise, with one inversion a span; ZeroDivisionError if an element is 0."""
    source = checked(values)
    kernels = _kernels()
    zero_at = kernels.first_zero(source.ctypes.data, len(source))
    if zero_at >= 0:
        raise ZeroDivisionError(f"element {zero_at} of the vector is 0")
    out = np.empty_like(source)

    def invert(start: int, stop: int) -> None:
        target, origin = out.ctypes.data + 32 * start, source.ctypes.data + 32 * start
        kernels.running_products(target, origin, stop - start)
        products = out[max(start, stop - kernels.CHAINS) : stop]
        inverses = from_integers(_inverse_integers(to_integers(products)))
        kernels.invert_from_products(target, origin, inverses.ctypes.data, stop - start)

    if len(source):
        _over_spans(len(source), invert)
    return out


def powers(base: int, length: int) -> ScalarVector:
    """[1, base, base^2, ...] of the given length, for any integer base."""
    return geometric(1, base, length)


def geometric(first: int, ratio: int, length: int) -> ScalarVector:
    """[first, first ratio, first ratio^2, ...] of the given length."""
    out = np.empty((length, _LIMBS), np.uint64)
    kernel, target, factor = _kernels().power_sequence, out.ctypes.data, element(ratio)

    def fill(start: int, stop: int) -> None:
        head = element(first * pow(ratio, start, SCALAR_MODULUS))
        kernel(target + 32 * start, head.ctypes.data, factor.ctypes.data, stop - start)

    _over_spans(length, fill)
    return out


def dot(left: ScalarVector, right: ScalarVector | NDArray[np.int64]) -> int:
    """sum_i left[i] right[i], in [0, r), of scalars with scalars or (n,) int64; lengths must be equal."""
    first = checked(left)
    if right.dtype == np.int64 and right.ndim == 1:
        kernel, second, step = _kernels().inner_product_signed, np.ascontiguousarray(right), 8
    else:
        kernel, second, step = _kernels().inner_product, checked(cast(ScalarVector, right)), 32
    _require_equal_lengths((first, second))
    a, b = first.ctypes.data, second.ctypes.data

    def part(start: int, stop: int) -> int:
        out = zeros(1)
        kernel(out.ctypes.data, a + 32 * start, b + step * start, stop - start)
        return to_integers(out)[0]

    return sum(_over_spans(len(first), part)) % SCALAR_MODULUS


def is_zero(values: ScalarVector) -> NDArray[np.bool_]:
    """(n,) bool: which elements are 0."""
    words = checked(values)
    return np.asarray((words[:, 0] | words[:, 1] | words[:, 2] | words[:, 3]) == 0)


def horner(values: ScalarVector, base: int, rows: int) -> ScalarVector:
    """Horner's sums of `rows` rows of equal length, one after another in `values`.

    In each row s_0 = y_0 and s_k = s_(k-1) base + y_k, so the last is sum_k y_k base^(n-1-k).
    """
    source = checked(values)
    if rows < 1 or len(source) % rows:
        raise ValueError(f"{len(source)} elements are not {rows} rows of equal length")
    length = len(source) // rows
    out = np.empty_like(source)
    kernel, target, origin, factor = (
        _kernels().horner_rows,
        out.ctypes.data,
        source.ctypes.data,
        element(base),
    )

    def sums(start: int, stop: int) -> None:
        offset = 32 * length * start
        kernel(target + offset, origin + offset, factor.ctypes.data, length, stop - start)

    minimum_rows = _MINIMUM_SPAN // max(1, length) + 1
    threads.run_spans(sums, rows, minimum_rows)
    return out


def _elementwise(kernel: Callable[..., None], *inputs: NDArray[np.uint64]) -> ScalarVector:
    _require_equal_lengths(inputs)
    out = np.empty_like(inputs[0])
    addresses = [array.ctypes.data for array in (out, *inputs)]

    def apply(start: int, stop: int) -> None:
        kernel(*(address + 32 * start for address in addresses), stop - start)

    _over_spans(len(out), apply)
    return out


def _inverse_integers(values: Sequence[int]) -> list[int]:
    """The inverses modulo r of integers that have some, by one inversion."""
    before = [1]
    for value in values:
        before.append(before[-1] * value % SCALAR_MODULUS)
    inverse_of_rest = pow(before[-1], -1, SCALAR_MODULUS)
    out = []
    for value, product in zip(reversed(values), reversed(before[:-1]), strict=True):
        out.append(inverse_of_rest * product % SCALAR_MODULUS)
        inverse_of_rest = inverse_of_rest * value % SCALAR_MODULUS
    return out[::-1]


def _require_equal_lengths(vectors: Sequence[NDArray[Any]]) -> None:
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1:
        raise ValueError(f"vectors of different lengths: {sorted(lengths)}")


def _over_spans(count: int, function: Callable[[int, int], threads.Result]) -> list[threads.Result]:
    """function(start, stop) for every thread's span of range(count)."""
    return threads.run_spans(function, count, _MINIMUM_SPAN)
