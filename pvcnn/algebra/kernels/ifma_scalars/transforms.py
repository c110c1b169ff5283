"""Loops over the steps of a transform on eight lanes (pvcnn.algebra.kernels.ifma_scalars.butterflies).

A vector on lanes is `count` times eight elements as limbs. sizes: the levels' block lengths, in blocks
of lanes, from the whole vector down; tables: the addresses of their factors.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.ifma_scalars import butterflies
from pvcnn.algebra.kernels.ifma_scalars.intrinsics import of_four, of_three

_descend_four = of_three(butterflies.descend_four)
_descend_two = of_three(butterflies.descend_two)
_ascend_four = of_three(butterflies.ascend_four)
_ascend_two = of_three(butterflies.ascend_two)
_enter = of_four(butterflies.enter)
_leave = of_three(butterflies.leave)
_combine = of_four(butterflies.combine)
_join_parts = of_four(butterflies.join_parts)
_separate_product = of_four(butterflies.separate_product)

#: Blocks of so many times eight elements (20 KB) stay in the first-level cache.
_CACHED: Final = 64


@kernel
def enter(
    out: int,
    values: int,
    length: int,
    edge: int,
    count: int,
    factors: int,
    lane_factors: int,
    first: int,
    stop: int,
) -> None:
    """The three top levels down, for the elements 8 first to 8 stop of each eighth of 8 count.

    values: `length` elements, the rest being 0; edge: eight zeros and, if `length` is no multiple of
    eight, the eight elements of which only some are there.
    """
    sources = np.empty(8, np.int64)
    for group in range(first, stop):
        for part in range(8):
            position = part * count + 8 * group
            if position + 8 <= length:
                sources[part] = values + 32 * position
            elif position < length:
                sources[part] = edge + 256
            else:
                sources[part] = edge
        _enter(out + 2560 * group, sources.ctypes.data, factors + 280 * group, lane_factors)


@kernel
def descend_level(values: int, size: int, quarter: int, table: int, first: int, stop: int) -> None:
    """Steps number first to stop of one level, in blocks of `size`, or of two, if a quarter is not 0."""
    run = quarter if quarter > 0 else size // 2
    for index in range(first, stop):
        at = index % run
        start = values + 320 * ((index // run) * size + at)
        if quarter > 0:
            _descend_four(start, 320 * run, table + 120 * at)
        else:
            _descend_two(start, 320 * run, table + 40 * at)


@kernel
def ascend_level(values: int, size: int, quarter: int, table: int, first: int, stop: int) -> None:
    """The steps of `descend_level`, upwards."""
    run = quarter if quarter > 0 else size // 2
    for index in range(first, stop):
        at = index % run
        start = values + 320 * ((index // run) * size + at)
        if quarter > 0:
            _ascend_four(start, 320 * run, table + 120 * at)
        else:
            _ascend_two(start, 320 * run, table + 40 * at)


@kernel
def descend(values: int, sizes: Any, tables: Any, level: int, first: int, stop: int) -> None:
    """All levels from number `level` on, within the blocks first to stop of that level's size.

    Depth first: whatever fits a cache is finished while it is there.
    """
    whole = sizes[level]
    cached = min(_CACHED, whole)
    for start in range(first * whole, stop * whole, cached):
        for i in range(level, len(sizes) - 1):
            size = sizes[i]
            quarter = size // 4 if sizes[i + 1] == size // 4 else 0
            steps = quarter if quarter > 0 else size // 2
            if size > cached:
                if start % size == 0:
                    descend_level(values + 320 * start, size, quarter, tables[i], 0, steps)
            else:
                blocks = cached // size
                descend_level(values + 320 * start, size, quarter, tables[i], 0, blocks * steps)


@kernel
def ascend(values: int, sizes: Any, tables: Any, level: int, first: int, stop: int) -> None:
    """All levels up to number `level`, within the blocks first to stop of that level's size."""
    whole = sizes[level]
    cached = min(_CACHED, whole)
    for start in range(first * whole, stop * whole, cached):
        end = start + cached
        for i in range(len(sizes) - 2, level - 1, -1):
            size = sizes[i]
            quarter = size // 4 if sizes[i + 1] == size // 4 else 0
            steps = quarter if quarter > 0 else size // 2
            if size > cached:
                if end % size == 0:
                    ascend_level(values + 320 * (end - size), size, quarter, tables[i], 0, steps)
            else:
                blocks = cached // size
                ascend_level(values + 320 * start, size, quarter, tables[i], 0, blocks * steps)


@kernel
def multiply_values(
    out: int,
    left: int,
    right: int,
    up: int,
    up_lanes: int,
    down: int,
    down_lanes: int,
    first: int,
    stop: int,
) -> None:
    """The three top levels up for two vectors, their product, and its three top levels down.

    For the elements 8 first to 8 stop of each eighth. `out` may be `left` or `right`. up, up_lanes and
    down, down_lanes: factors as for `enter`, of the way up and of the way down.
    """
    joined = np.empty(2 * 320 + 8, np.uint64)
    values = (joined.ctypes.data + 63) & ~63
    for group in range(first, stop):
        _join_parts(values, left + 2560 * group, up + 280 * group, up_lanes)
        _join_parts(values + 2560, right + 2560 * group, up + 280 * group, up_lanes)
        _separate_product(out + 2560 * group, values, down + 280 * group, down_lanes)


@kernel
def leave(out: int, values: int, bits: int, factor: int, first: int, stop: int) -> None:
    """Coefficients 8 first to 8 stop as words in natural order, times the factor; 2^bits blocks in all."""
    for index in range(first, stop):
        _leave(out + 256 * index, values + 320 * _reversed(index, bits), factor)


@kernel
def combine(out: int, left: int, right: int, bits: int, factors: int, first: int, stop: int) -> None:
    """As `leave`, of the sum of `left` times the first factor and `right` times the second."""
    for index in range(first, stop):
        place = 320 * _reversed(index, bits)
        _combine(out + 256 * index, left + place, right + place, factors)


@kernel
def _reversed(index: int, bits: int) -> int:
    """The lower `bits` bits of the index in reversed order."""
    out = 0
    for _ in range(bits):
        out = (out << 1) | (index & 1)
        index >>= 1
    return out
