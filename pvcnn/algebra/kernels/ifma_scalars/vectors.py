"""Elementwise kernels over vectors of F_r, eight elements at a time.

The same functions as in `pvcnn.algebra.kernels.scalar_vectors`, which do what is left after the last
eight. Elements are reduced before and after.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Final

import numpy as np

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.kernels import scalar_vectors
from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import load_scalar, store
from pvcnn.algebra.kernels.ifma import vectors as words
from pvcnn.algebra.kernels.ifma.vectors import splat
from pvcnn.algebra.kernels.ifma_scalars.blocks import load_words, split, store_words
from pvcnn.algebra.kernels.ifma_scalars.field import LIMBS, Lazy, ScalarLanes
from pvcnn.algebra.kernels.ifma_scalars.intrinsics import of_three, of_two
from pvcnn.algebra.kernels.words import Builder, Value

#: Four words of any value, as a multiple of r, and the Montgomery factor in memory.
_ANY_WORDS: Final = Fraction(1 << 256, SCALAR_MODULUS)
_RADIX: Final = 1 << 256
_ZERO: Final = Lazy([splat(0)] * LIMBS, Fraction(1), 1)


def _load(builder: Builder, address: Value) -> Lazy:
    return Lazy(load_words(builder, address), Fraction(1), 1)


def _load_sixteenfold(builder: Builder, address: Value) -> Lazy:
    """16 times the elements: the product with others from memory is then in their form."""
    return Lazy(load_words(builder, address, 4), Fraction(16), 1)


def _store(builder: Builder, element: Lazy, address: Value) -> None:
    store_words(builder, ScalarLanes(builder).canonical(element).limbs, address)


def _add(builder: Builder, out: Value, left: Value, right: Value) -> None:
    _store(builder, ScalarLanes(builder).add(_load(builder, left), _load(builder, right)), out)


def _subtract(builder: Builder, out: Value, left: Value, right: Value) -> None:
    _store(builder, ScalarLanes(builder).subtract(_load(builder, left), _load(builder, right)), out)


def _multiply(builder: Builder, out: Value, left: Value, right: Value) -> None:
    factors = _load_sixteenfold(builder, left), _load(builder, right)
    _store(builder, ScalarLanes(builder).product(*factors), out)


def _negate(builder: Builder, out: Value, values: Value) -> None:
    _store(builder, ScalarLanes(builder).subtract(_ZERO, _load(builder, values)), out)


def _times(factor: int) -> Callable[[Builder, Value, Value], None]:
    """Any four words, each number times factor / 2^256."""

    def body(builder: Builder, out: Value, values: Value) -> None:
        lanes = ScalarLanes(builder)
        element = Lazy(load_words(builder, values), _ANY_WORDS, 1)
        _store(builder, lanes.product(element, lanes.constant(factor)), out)

    return body


def _from_signed(builder: Builder, out: Value, integers: Value) -> None:
    lanes = ScalarLanes(builder)
    values = words.load(builder, integers)
    negative = builder.icmp_signed("<", values, splat(0))
    magnitude = builder.select(negative, builder.sub(splat(0), values), values)
    limbs = split(builder, [magnitude, splat(0), splat(0), splat(0)], 0)
    element = lanes.canonical(lanes.product(Lazy(limbs, Fraction(1), 1), lanes.constant(_RADIX)))
    _store(builder, lanes.select(negative, lanes.subtract(_ZERO, element), element), out)


_add_eight, _subtract_eight, _multiply_eight = (of_three(body) for body in (_add, _subtract, _multiply))
_negate_eight, _from_signed_eight = of_two(_negate), of_two(_from_signed)
_enter_eight, _leave_eight = of_two(_times(_RADIX)), of_two(_times(pow(_RADIX, -1, SCALAR_MODULUS)))


@kernel
def add_vectors(out: int, left: int, right: int, count: int) -> None:
    whole = 32 * (count & ~7)
    for i in range(0, whole, 256):
        _add_eight(out + i, left + i, right + i)
    scalar_vectors.add_vectors(out + whole, left + whole, right + whole, count & 7)


@kernel
def subtract_vectors(out: int, left: int, right: int, count: int) -> None:
    whole = 32 * (count & ~7)
    for i in range(0, whole, 256):
        _subtract_eight(out + i, left + i, right + i)
    scalar_vectors.subtract_vectors(out + whole, left + whole, right + whole, count & 7)


@kernel
def multiply_vectors(out: int, left: int, right: int, count: int) -> None:
    whole = 32 * (count & ~7)
    for i in range(0, whole, 256):
        _multiply_eight(out + i, left + i, right + i)
    scalar_vectors.multiply_vectors(out + whole, left + whole, right + whole, count & 7)


@kernel
def negate_vector(out: int, values: int, count: int) -> None:
    whole = 32 * (count & ~7)
    for i in range(0, whole, 256):
        _negate_eight(out + i, values + i)
    scalar_vectors.negate_vector(out + whole, values + whole, count & 7)


@kernel
def scale_vector(out: int, values: int, factor: int, count: int) -> None:
    """out = factor values, for the element at address `factor`."""
    factors = np.empty((8, 4), np.uint64)
    element = load_scalar(factor)
    for i in range(8):
        store(factors.ctypes.data + 32 * i, element)
    whole = 32 * (count & ~7)
    for i in range(0, whole, 256):
        _multiply_eight(out + i, factors.ctypes.data, values + i)
    scalar_vectors.scale_vector(out + whole, values + whole, factor, count & 7)


@kernel
def enter_montgomery(out: int, integers: int, count: int) -> None:
    """Elements of integers of four words each, any value below 2^256."""
    whole = 32 * (count & ~7)
    for i in range(0, whole, 256):
        _enter_eight(out + i, integers + i)
    scalar_vectors.enter_montgomery(out + whole, integers + whole, count & 7)


@kernel
def leave_montgomery(out: int, values: int, count: int) -> None:
    """The canonical integers of elements, four words each."""
    whole = 32 * (count & ~7)
    for i in range(0, whole, 256):
        _leave_eight(out + i, values + i)
    scalar_vectors.leave_montgomery(out + whole, values + whole, count & 7)


@kernel
def from_signed(out: int, integers: int, count: int) -> None:
    """Elements of int64 values."""
    whole = count & ~7
    for i in range(0, whole, 8):
        _from_signed_eight(out + 32 * i, integers + 8 * i)
    scalar_vectors.from_signed(out + 32 * whole, integers + 8 * whole, count & 7)
