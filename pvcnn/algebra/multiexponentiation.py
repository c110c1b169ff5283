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

from pvcnn.algebra import backends, threads
from pvcnn.algebra.batches import PointVector, Rows
from pvcnn.algebra.kernels import buckets
from pvcnn.algebra.memory import ARENA
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
    backend = backends.backend()
    if windows >= 2 * threads.thread_count():
        rows = backend.rows(points, degree, parallel=True)
        recoding = recode(values, bits, width)

        def sum_windows(first: int, last: int) -> PartialSums:
            return _Memory(len(rows), last - first, width, degree).sum_windows(rows, recoding, first)

        tasks = [partial(sum_windows, *span) for span in threads.spans(windows, 1)]
    else:

        def sum_points(first: int, last: int) -> PartialSums:
            rows = backend.rows(points[first:last], degree, parallel=False)
            recoding = recode(values[first:last], bits, width)
            return _Memory(len(rows), windows, width, degree).sum_windows(rows, recoding, 0)

        tasks = [partial(sum_points, *span) for span in threads.spans(len(points), _MINIMUM_POINTS)]
    return threads.run(tasks)


def _window_width(count: int, bits: int) -> int:
    """The width that costs least: an addition a point, and two for each of 2^(width - 1) buckets."""

    def cost(width: int) -> int:
        return window_count(bits, width) * (count + (1 << width))

    return min(range(2, _WIDEST_WINDOW + 1), key=cost)


class _Memory:
    """What one thread needs to sum `windows` windows of `count` scalars each."""

    def __init__(self, count: int, windows: int, width: int, degree: int) -> None:
        self._backend = backends.backend()
        self._degree = degree
        self._width = width
        self._buckets = (1 << (width - 1)) + 1
        self._windows = windows
        #: Windows whose buckets are summed at the same time.
        self._group = max(1, min(windows, _GROUP_ENTRIES // count))
        entries = max(self._group * count, windows * (self._buckets + width))
        words = self._backend.row_words(degree)
        self._batch = self._backend.batch(max(entries // 2 + 1, windows * self._buckets), degree)
        self._entries = ARENA.array("entries", (entries,), np.int64)
        self._starts = np.empty((self._group, self._buckets), np.int64)
        self._lengths = np.empty((self._group, self._buckets), np.int64)
        self._digits = ARENA.array("digits", (count,), np.int32)
        self._pools = ARENA.array("pools", (2, entries // 2 + 1, words))
        self._sums = ARENA.array("sums", (2, windows * self._buckets, words))

    def sum_windows(self, rows: Rows, recoding: Recoding, first: int) -> PartialSums:
        """The sums by bit of the windows from `first` on."""
        operands = np.empty((self._windows, self._buckets), np.int64)
        for start in range(0, self._windows, self._group):
            stop = min(start + self._group, self._windows)
            starts, lengths = self._starts[: stop - start], self._lengths[: stop - start]
            for i in range(stop - start):
                buckets.sort_window(
                    self._entries,
                    i * len(rows),
                    starts[i],
                    lengths[i],
                    rows.ctypes.data,
                    self._batch.point_bytes,
                    recoding.digits(first + start + i, self._digits),
                )
            self._sum_lists(starts.reshape(-1), lengths.reshape(-1))
            out = self._sums[0, start * self._buckets :]
            operands[start:stop].reshape(-1)[:] = self._move_sums(
                starts.reshape(-1), lengths.reshape(-1), out
            )
        return PartialSums(first * self._width, self._sum_by_bit(operands))

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
        present = by_window[1] != 0
        rows = ARENA.array("results", (int(present.sum()), self._sums.shape[2]))
        self._move_sums(*by_window, rows)
        points = np.empty((len(rows), 12 * self._degree), np.uint64)
        self._backend.leave(points, rows, self._degree)
        out = np.zeros((windows * self._width, points.shape[1]), np.uint64)
        out[present] = points
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
        self, starts: NDArray[np.int64], lengths: NDArray[np.int64], out: Rows
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
