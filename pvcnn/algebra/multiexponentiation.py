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
from pvcnn.algebra.batches import Points, PointVector, Rows
from pvcnn.algebra.kernels import buckets
from pvcnn.algebra.memory import ARENA
from pvcnn.algebra.recoding import Recoding, magnitude_bits, recode, window_count
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.algebra.streams import sum_stream

__all__ = ["PartialSums", "partial_sums"]

#: Windows are summed together until they have this many entries: small sums then share inversions.
_GROUP_ENTRIES = 1 << 16
#: Points of G1, and twice those of G2, that are summed at a time where there are few windows: what is
#: written on the way then stays in the cache.
_CHUNK = 1 << 13
#: Fewer points than this are not split among threads.
_MINIMUM_POINTS = 256
_WIDEST_WINDOW = 16


@dataclass(frozen=True, eq=False)
class PartialSums:
    """Stands for sum_i 2^(first_bit + i) points[i]."""

    first_bit: int
    points: PointVector


def partial_sums(points: Points, values: ScalarVector | NDArray[np.int64], degree: int) -> list[PartialSums]:
    """Parts that add up to sum_i values[i] points[i].

    points: n points of a vector or n rows, as `Backend.rows` takes them; values: (n, 4) scalars or (n,)
    int64.
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
            group = max(1, min(last - first, _GROUP_ENTRIES // len(rows)))
            memory = _Memory(len(rows), group, last - first, width, degree)
            return memory.sum_windows(rows, recoding, first)

        return threads.run([partial(sum_windows, *span) for span in threads.spans(windows, 1)])

    def sum_points(first: int, last: int) -> PartialSums:
        chunk = min(last - first, max(_CHUNK // degree, 8 << width))
        memory = _Memory(chunk, windows, windows, width, degree)
        return memory.sum_points(points[first:last], values[first:last], bits)

    return threads.run([partial(sum_points, *span) for span in threads.spans(len(points), _MINIMUM_POINTS)])


def _window_width(count: int, bits: int) -> int:
    """The width that costs least: an addition a point, and two for each of 2^(width - 1) buckets."""

    def cost(width: int) -> int:
        return window_count(bits, width) * (count + (1 << width))

    return min(range(2, _WIDEST_WINDOW + 1), key=cost)


class _Memory:
    """What one thread needs for sums over `windows` windows: `count` points and `group` windows at a time."""

    def __init__(self, count: int, group: int, windows: int, width: int, degree: int) -> None:
        self._backend = backends.backend()
        self._degree = degree
        self._width = width
        self._buckets = (1 << (width - 1)) + 1
        self._windows = windows
        self._count = count
        self._group = group
        entries = max(group * count, windows * (self._buckets + width)) + 1
        words = self._backend.row_words(degree)
        self._batch = self._backend.batch(max(entries, windows * self._buckets), degree)
        self._labels = ARENA.array("labels", (entries,), np.int32)
        self._operands = ARENA.array("operands", (entries,), np.int64)
        self._digits = ARENA.array("digits", (count,), np.int32)
        self._pool = ARENA.array("pool", (entries, words))
        self._sums = ARENA.array("sums", (2, windows * self._buckets, words))

    def sum_windows(self, rows: Rows, recoding: Recoding, first: int) -> PartialSums:
        """The sums by bit of the windows from `first` on, a group of them at a time."""
        sums = np.zeros((self._windows, self._buckets), np.int64)
        for start in range(0, self._windows, self._group):
            group = sums[start : start + self._group]
            count = self._fill_stream(rows, recoding, first + start, len(group))
            self._sum_stream(count, group.reshape(-1), self._sums[0, start * self._buckets :])
        return PartialSums(first * self._width, self._sum_by_bit(sums))

    def sum_points(self, points: Points, values: ScalarVector | NDArray[np.int64], bits: int) -> PartialSums:
        """The sums by bit of all windows, `count` points at a time."""
        sums = np.zeros((self._windows, self._buckets), np.int64)
        starts = range(0, len(points), self._count)
        for number, start in enumerate(starts):
            chunk = slice(start, start + self._count)
            rows = self._backend.rows(points[chunk], self._degree, parallel=False)
            recoding = recode(values[chunk], bits, self._width)
            count = self._fill_stream(rows, recoding, 0, self._windows)
            # The sums so far are moved from one half to the other; the last chunk's to the first one.
            out = self._sums[(len(starts) - 1 - number) % 2]
            self._sum_stream(count, sums.reshape(-1), out)
        return PartialSums(0, self._sum_by_bit(sums))

    def _fill_stream(self, rows: Rows, recoding: Recoding, first: int, windows: int) -> int:
        """Writes the operands of so many windows from `first` on; returns how many there are."""
        position = 0
        for i in range(windows):
            position = buckets.append_window(
                self._labels,
                self._operands,
                position,
                i * self._buckets,
                rows.ctypes.data,
                self._batch.point_bytes,
                recoding.digits(first + i, self._digits[: len(rows)]),
            )
        return position

    def _sum_by_bit(self, sums: NDArray[np.int64]) -> PointVector:
        """(windows * width, ..) sums of the buckets whose index has bit j, window by window.

        sums: (windows, buckets) operands, overwritten. For each bit, the odd buckets are summed; then
        neighbours merge, which shifts that bit out of the indices.
        """
        windows, count = sums.shape
        position, merged = 0, 0
        for bit in range(self._width):
            position = buckets.append_odd_buckets(
                sums, count, self._labels, self._operands, position, bit, self._width
            )
            free = self._sums[1, merged:].ctypes.data
            queued = buckets.merge_buckets(sums, count, free, self._batch.point_bytes, self._batch.tasks)
            self._batch.add(queued)
            merged += queued
            count = (count + 1) // 2
        totals = np.zeros(windows * self._width, np.int64)
        rows = ARENA.array("results", (len(totals), self._pool.shape[1]))
        present = self._sum_stream(position, totals, rows)
        points = np.empty((present, 12 * self._degree), np.uint64)
        self._backend.leave(points, rows[:present], self._degree)
        out = np.zeros((len(totals), points.shape[1]), np.uint64)
        out[totals != 0] = points
        return out

    def _sum_stream(self, count: int, pending: NDArray[np.int64], out: Rows) -> int:
        """`sum_stream` over the stream's first `count` operands."""
        return sum_stream(self._batch, self._labels, self._operands, count, pending, self._pool, out)
