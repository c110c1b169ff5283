"""Inner products over F_r on eight lanes.

Products are summed as columns, unreduced, over chunks of CHUNK blocks of lanes. A chunk's sum is then
below 32 * 16 r^2 and its columns below 32 * 10 * 2^52, within the lanes' bounds.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np

from pvcnn.algebra.kernels import scalar_vectors
from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import add, load_scalar, multiply, scalar_radix, store
from pvcnn.algebra.kernels.ifma import vectors as words
from pvcnn.algebra.kernels.ifma.vectors import BYTES, splat
from pvcnn.algebra.kernels.ifma_scalars.blocks import load_words, split, store_words
from pvcnn.algebra.kernels.ifma_scalars.field import COLUMN_GROWTH, LIMBS, Lazy, ScalarLanes
from pvcnn.algebra.kernels.ifma_scalars.intrinsics import of_three, of_two
from pvcnn.algebra.kernels.words import Builder, Value

#: Blocks of eight elements whose products are summed before a reduction.
CHUNK: Final = 32
_COLUMNS: Final = 2 * LIMBS


def _accumulate(builder: Builder, columns: Value, left: Value, right: Value) -> None:
    """columns += left right, for the words of eight elements each."""
    factors = (
        Lazy(load_words(builder, left), Fraction(1), 1),
        Lazy(load_words(builder, right), Fraction(1), 1),
    )
    _add_to_columns(builder, columns, *factors)


def _accumulate_signed(builder: Builder, columns: Value, left: Value, integers: Value) -> None:
    """columns += left c, for the words of eight elements and eight int64."""
    lanes = ScalarLanes(builder)
    element = Lazy(load_words(builder, left), Fraction(1), 1)
    values = words.load(builder, integers)
    negative = builder.icmp_signed("<", values, splat(0))
    magnitude = builder.select(negative, builder.sub(splat(0), values), values)
    factor = Lazy(split(builder, [magnitude, splat(0), splat(0), splat(0)], 0), Fraction(1), 1)
    opposite = lanes.normal(lanes.subtract(Lazy([splat(0)] * LIMBS, Fraction(1), 1), element))
    _add_to_columns(builder, columns, factor, lanes.select(negative, opposite, element))


def _close(builder: Builder, total: Value, columns: Value) -> None:
    """total += columns / 2^260, reduced, and columns = 0. `total` is the words of eight elements."""
    lanes = ScalarLanes(builder)
    reduced = lanes.reduced([words.load(builder, columns, BYTES * i) for i in range(_COLUMNS)], _BOUND, _SIZE)
    before = Lazy(load_words(builder, total), Fraction(1), 1)
    after = lanes.add(before, lanes.canonical(lanes.folded(reduced)))
    store_words(builder, lanes.canonical(after).limbs, total)
    for i in range(_COLUMNS):
        words.store(builder, splat(0), columns, BYTES * i)


def _add_to_columns(builder: Builder, columns: Value, left: Lazy, right: Lazy) -> None:
    if left.bound * right.bound > _LARGEST_PRODUCT:
        raise ValueError("a chunk's sum may exceed what its reduction takes")
    before = [words.load(builder, columns, BYTES * i) for i in range(_COLUMNS)]
    after = ScalarLanes(builder).add_product(before, left, right)
    for i, column in enumerate(after):
        words.store(builder, column, columns, BYTES * i)


#: What a single product and a chunk's sum are below, in multiples of r^2, and a chunk's columns.
_LARGEST_PRODUCT: Final = Fraction(2)
_BOUND: Final = CHUNK * _LARGEST_PRODUCT
_SIZE: Final = CHUNK * COLUMN_GROWTH

_accumulate_eight, _accumulate_signed_eight = of_three(_accumulate), of_three(_accumulate_signed)
_close_eight = of_two(_close)


@kernel
def inner_product(out: int, left: int, right: int, count: int) -> None:
    """Writes sum_i left[i] right[i] to `out`."""
    total, columns = np.zeros((8, 4), np.uint64), np.zeros((10, 8), np.uint64)
    whole = 32 * (count & ~7)
    for start in range(0, whole, 256 * CHUNK):
        for i in range(start, min(start + 256 * CHUNK, whole), 256):
            _accumulate_eight(columns.ctypes.data, left + i, right + i)
        _close_eight(total.ctypes.data, columns.ctypes.data)
    scalar_vectors.inner_product(out, left + whole, right + whole, count & 7)
    store(out, add(load_scalar(out), _sum_of_lanes(total.ctypes.data)))


@kernel
def inner_product_signed(out: int, left: int, integers: int, count: int) -> None:
    """Writes sum_i left[i] integers[i] to `out`, for int64 integers; in the form of `left`."""
    total, columns = np.zeros((8, 4), np.uint64), np.zeros((10, 8), np.uint64)
    whole = count & ~7
    for start in range(0, whole, 8 * CHUNK):
        for i in range(start, min(start + 8 * CHUNK, whole), 8):
            _accumulate_signed_eight(columns.ctypes.data, left + 32 * i, integers + 8 * i)
        _close_eight(total.ctypes.data, columns.ctypes.data)
    scalar_vectors.inner_product_signed(out, left + 32 * whole, integers + 8 * whole, count & 7)
    # Integers have no Montgomery factor: 2^256 is missing too.
    lanes = multiply(scalar_radix(), _sum_of_lanes(total.ctypes.data))
    store(out, add(load_scalar(out), lanes))


@kernel
def _sum_of_lanes(total: int) -> Any:
    """16 times the sum of the eight elements: reductions divided by 2^260, not by 2^256."""
    lanes = load_scalar(total)
    for i in range(32, 256, 32):
        lanes = add(lanes, load_scalar(total + i))
    for _ in range(4):
        lanes = add(lanes, lanes)
    return lanes
