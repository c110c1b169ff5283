"""Sums of scalar multiples of points: Pippenger's algorithm over batches of affine additions.

Window w's sum is sum_b b S_b over its buckets. Writing b in bits makes that sum_j 2^j T_j, where T_j
adds the S_b whose b has bit j: so everything up to the T_j is batches of independent additions, and
what is left is one doubling and one addition a bit of the scalars.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import threads
from pvcnn.algebra.batches import Batch, PointVector
from pvcnn.algebra.kernels import buckets
from pvcnn.algebra.recoding import Recoding, magnitude_bits, recode, window_count
from pvcnn.algebra.scalars import ScalarVector

__all__ = ["PartialSums", "partial_sums"]

#: Windows are summed together until they have this many entries: small sums then share inversions.
_GROUP_ENTRIES = 1 << 16
#: Fewer points than this are not split among threads.
_MINIMUM_POINTS = 256
_WIDEST_WINDOW = 16


@dataclass(frozen=True, eq=False)
class PartialSums:
    """Stands for sum_i 2^(first_bit + i) points[i]."""

    first_bit: int
    points: PointVector


def partial_sums(
    points: PointVector, values: ScalarVector | NDArray[np.int64], degree: int
) -> list[PartialSums]:
    """Parts that add up to sum_i values[i] points[i].

    points: (n, 12 degree), contiguous; values: (n, 4) scalars or (n,) int64.
    """
    bits = magnitude_bits(values)
    if len(points) == 0 or bits == 0:
        return []
    width = _window_width(len(points), bits)
    windows = window_count(bits, width)
    if windows >= 2 * threads.thread_count():
        recoding = recode(values, bits, width)
        tasks = [
            partial(_sum_windows, points, recoding, first, last, degree)
            for first, last in threads.spans(windows, 1)
        ]
    else:
        tasks = [
            partial(_sum_windows, points[a:b], recode(values[a:b], bits, width), 0, windows, degree)
            for a, b in threads.spans(len(points), _MINIMUM_POINTS)
        ]
    return [part for parts in threads.run(tasks) for part in parts]


def _window_width(count: int, bits: int) -> int:
    """The width that costs least: an addition a point, and two for each of 2^(width - 1) buckets."""

    def cost(width: int) -> int:
        return window_count(bits, width) * (count + (1 << width))

    return min(range(2, _WIDEST_WINDOW + 1), key=cost)


def _sum_windows(
    points: PointVector, recoding: Recoding, first: int, last: int, degree: int
) -> list[PartialSums]:
    """Windows first to last, a few at a time."""
    group = max(1, min(last - first, _GROUP_ENTRIES // len(points)))
    memory = _Memory(len(points), group, recoding.width, degree)
    return [
        memory.sum_windows(points, recoding, start, min(start + group, last))
        for start in range(first, last, group)
    ]


class _Memory:
    """What one thread needs for the buckets of `windows` windows at a time."""

    def __init__(self, count: int, windows: int, width: int, degree: int) -> None:
        self._width = width
        self._buckets = (1 << (width - 1)) + 1
        capacity = windows * max(count, self._buckets + width)
        self._batch = Batch(max(capacity // 2 + 1, windows * self._buckets), degree)
        self._entries = np.empty(capacity, np.int64)
        self._starts = np.empty((windows, self._buckets), np.int64)
        self._lengths = np.empty((windows, self._buckets), np.int64)
        self._pools = np.empty((2, capacity // 2 + 1, 12 * degree), np.uint64)
        self._sums = np.empty((2, windows * self._buckets, 12 * degree), np.uint64)

    def sum_windows(self, points: PointVector, recoding: Recoding, first: int, last: int) -> PartialSums:
        """The sums by bit of the windows first to last."""
        starts, lengths = self._starts[: last - first], self._lengths[: last - first]
        for row, window in enumerate(range(first, last)):
            buckets.sort_window(
                self._entries,
                row * len(points),
                starts[row],
                lengths[row],
                points.ctypes.data,
                self._batch.point_bytes,
                recoding.words,
                recoding.negative,
                window,
                window == recoding.windows - 1,
                self._width,
            )
        self._sum_lists(starts.reshape(-1), lengths.reshape(-1))
        operands = self._move_sums(starts.reshape(-1), lengths.reshape(-1), self._sums[0])
        return PartialSums(first * self._width, self._sum_by_bit(operands.reshape(starts.shape)))

    def _sum_by_bit(self, operands: NDArray[np.int64]) -> PointVector:
        """(windows * width, ..) sums of the buckets whose index has bit j, window by window.

        operands: (windows, buckets), overwritten. For each bit, the odd buckets make a list; then
        neighbours merge, which shifts that bit out of the indices.
        """
        windows, count = operands.shape
        starts = np.empty((self._width, windows), np.int64)
        lengths = np.empty((self._width, windows), np.int64)
        position, merged = 0, 0
        for bit in range(self._width):
            position = buckets.list_odd_buckets(
                operands, count, self._entries, position, starts[bit], lengths[bit]
            )
            free = self._sums[1, merged:].ctypes.data
            queued = buckets.merge_buckets(operands, count, free, self._batch.point_bytes, self._batch.tasks)
            self._batch.add(queued)
            merged += queued
            count = (count + 1) // 2
        self._sum_lists(starts.reshape(-1), lengths.reshape(-1))
        by_window = np.ascontiguousarray(starts.T).reshape(-1), np.ascontiguousarray(lengths.T).reshape(-1)
        out = np.zeros((windows * self._width, self._pools.shape[2]), np.uint64)
        present = by_window[1] != 0
        moved = np.empty((int(present.sum()), self._pools.shape[2]), np.uint64)
        self._move_sums(*by_window, moved)
        out[present] = moved
        return out

    def _sum_lists(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Leaves at most one entry in each list: its sum."""
        level = 0
        while True:
            pool = self._pools[level % 2].ctypes.data
            queued = buckets.pair_neighbours(
                self._entries, starts, lengths, pool, self._batch.point_bytes, self._batch.tasks
            )
            if queued == 0:
                return
            self._batch.add(queued)
            level += 1

    def _move_sums(
        self, starts: NDArray[np.int64], lengths: NDArray[np.int64], out: PointVector
    ) -> NDArray[np.int64]:
        """Copies the lists' sums out of the pools; (lists,) their operands, 0 for an empty list."""
        sums = np.empty(len(starts), np.int64)
        queued = buckets.move_sums(
            sums,
            self._entries,
            starts,
            lengths,
            out.ctypes.data,
            self._batch.point_bytes,
            self._batch.tasks,
        )
        self._batch.copy(queued)
        return sums
