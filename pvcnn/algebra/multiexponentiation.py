"""Sums of scalar multiples of points: Pippenger's algorithm over batches of affine additions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import threads
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.kernels import buckets
from pvcnn.algebra.scalars import ScalarVector, checked

__all__ = ["BATCH", "PointVector", "Recoding", "WindowSums", "recode", "window_sums"]

PointVector: TypeAlias = NDArray[np.uint64]

#: Additions that share one inversion.
BATCH = 1024
#: Windows are summed together until they have this many entries: small sums then share inversions.
_GROUP_ENTRIES = 1 << 16
#: Fewer points than this are not split among threads.
_MINIMUM_POINTS = 256
_WIDEST_WINDOW = 16


@dataclass(frozen=True)
class WindowSums:
    """The sum is sum_(w, j) 2^(first_bit + width w + j) points[w, j], one point a window and bit."""

    first_bit: int
    width: int
    points: PointVector


@dataclass(frozen=True)
class Recoding:
    """Scalars as magnitude plus bias, such that the digits of a window need no carries.

    words: (n, 2 or 4) uint64; negative: (n,) bool.
    """

    words: NDArray[np.uint64]
    negative: NDArray[np.bool_]
    windows: int
    width: int


def window_sums(
    points: PointVector, values: ScalarVector | NDArray[np.int64], degree: int
) -> list[WindowSums]:
    """The parts of sum_i values[i] points[i], which the caller adds up.

    points: (n, 12 degree), coordinates in the extension of F_q of this degree. values: (n, 4)
    scalars, or (n,) int64, which take time only for the bits that the largest of them has.
    """
    if len(points) != len(values):
        raise ValueError(f"{len(points)} points and {len(values)} scalars")
    if values.dtype == np.int64 and values.ndim == 1:
        values = np.ascontiguousarray(values)
        bits = _magnitude_bits(values)
    else:
        values = checked(values)  # type: ignore[arg-type]
        bits = (SCALAR_MODULUS // 2).bit_length()
    if len(points) == 0 or bits == 0:
        return []
    points = np.ascontiguousarray(points)
    width = _window_width(len(points), bits)
    windows = -(-(bits + 1) // width)
    if windows >= 2 * threads.thread_count():
        recoding = recode(values, windows, width)
        spans = threads.spans(windows, 1)
        tasks = [partial(_sum_windows, points, recoding, first, last, degree) for first, last in spans]
    else:
        tasks = []
        for start, stop in threads.spans(len(points), _MINIMUM_POINTS):
            recoding = recode(values[start:stop], windows, width)
            tasks.append(partial(_sum_windows, points[start:stop], recoding, 0, windows, degree))
    return [part for parts in threads.run(tasks) for part in parts]


def _magnitude_bits(values: NDArray[np.int64]) -> int:
    """Bits of the largest absolute value."""
    if len(values) == 0:
        return 0
    return max(int(values.max()), -int(values.min())).bit_length()


def _window_width(count: int, bits: int) -> int:
    """The width that costs least: an addition a point, and two for each of 2^(width - 1) buckets."""

    def cost(width: int) -> int:
        return -(-(bits + 1) // width) * (count + (1 << width))

    return min(range(2, _WIDEST_WINDOW + 1), key=cost)


def recode(values: NDArray[np.uint64] | NDArray[np.int64], windows: int, width: int) -> Recoding:
    """Adds 2^(width - 1) at every window but the last, which the digits subtract again."""
    length = 2 if values.dtype == np.int64 else 4
    bias = sum(1 << (width * window + width - 1) for window in range(windows - 1))
    bias_words = np.array([(bias >> (64 * i)) & (2**64 - 1) for i in range(length)], np.uint64)
    words = np.empty((len(values), length), np.uint64)
    negative = np.empty(len(values), np.bool_)
    kernel = buckets.recode_integers if length == 2 else buckets.recode_scalars
    kernel(words, negative, values.ctypes.data, bias_words)
    return Recoding(words, negative, windows, width)


def _sum_windows(
    points: PointVector, recoding: Recoding, first: int, last: int, degree: int
) -> list[WindowSums]:
    """The sums of windows first to last, a few windows at a time."""
    group = max(1, min(last - first, _GROUP_ENTRIES // len(points)))
    workspace = _Workspace(len(points), group, recoding.width, degree)
    return [
        workspace.sums(points, recoding, start, min(start + group, last))
        for start in range(first, last, group)
    ]


class _Workspace:
    """Memory for the buckets of several windows at a time."""

    def __init__(self, count: int, windows: int, width: int, degree: int) -> None:
        self._extension = (0,) * degree
        self._width = width
        self._buckets = (1 << (width - 1)) + 1
        capacity = windows * max(count, self._buckets + width)
        self._entries = np.empty(capacity, np.int64)
        self._starts = np.empty((windows, self._buckets), np.int64)
        self._lengths = np.empty((windows, self._buckets), np.int64)
        self._pools = np.empty((2, capacity // 2 + 1, 12 * degree), np.uint64)
        self._bucket_sums = np.empty((2, windows * self._buckets, 12 * degree), np.uint64)
        self._tasks = np.empty((3, BATCH), np.int64)
        self._factors = np.empty((BATCH, 12 * degree), np.uint64)

    def sums(self, points: PointVector, recoding: Recoding, first: int, last: int) -> WindowSums:
        """The sums of windows first to last by bit."""
        windows = last - first
        starts, lengths = self._starts[:windows], self._lengths[:windows]
        for window in range(first, last):
            row = window - first
            buckets.sort_window(
                self._entries,
                row * len(points),
                starts[row],
                lengths[row],
                points.ctypes.data,
                8 * points.shape[1],
                recoding.words,
                recoding.negative,
                window,
                window == recoding.windows - 1,
                self._width,
            )
        pools = (self._pools[0].ctypes.data, self._pools[1].ctypes.data)
        queue = (pools, self._tasks, self._factors.ctypes.data)
        buckets.sum_lists(self._extension, self._entries, starts.reshape(-1), lengths.reshape(-1), *queue)
        sums = np.zeros((windows * self._width, points.shape[1]), np.uint64)
        buckets.sum_by_bit(
            self._extension,
            sums.ctypes.data,
            self._bucket_operands(starts, lengths),
            self._bucket_sums[1].ctypes.data,
            self._entries,
            np.empty(len(sums), np.int64),
            np.empty(len(sums), np.int64),
            *queue,
        )
        return WindowSums(first * self._width, self._width, sums)

    def _bucket_operands(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Moves the buckets' sums out of the pools; (windows, buckets) operands, 0 for an empty bucket."""
        operands = np.empty(starts.shape, np.int64)
        out = self._bucket_sums[0].ctypes.data
        buckets.collect(self._extension, out, operands, self._entries, starts, lengths)
        return operands
