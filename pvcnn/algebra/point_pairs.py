"""Sums of points, one for each place of two vectors."""

from __future__ import annotations

import numpy as np

from pvcnn.algebra import backends, threads
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.memory import aligned

__all__ = ["sums_and_differences"]

#: Points of G1 that are added at a time, and twice those of G2: what is added then stays in the cache.
_CHUNK = 1 << 12
_MINIMUM_SPAN = 512


def sums_and_differences(left: PointVector, right: PointVector) -> tuple[PointVector, PointVector]:
    """left[i] + right[i] and left[i] - right[i], for two vectors of G1 or of G2, of one length.

    ValueError for other arrays.
    """
    backend = backends.backend()
    if left.shape != right.shape:
        raise ValueError(f"vectors of points of different shapes: {left.shape} and {right.shape}")
    degree = backend.degree(left)
    first, second = backend.checked(left, degree), backend.checked(right, degree)
    sums, differences = np.empty_like(first), np.empty_like(first)

    def add(begin: int, end: int) -> None:
        size = max(1, min(end - begin, _CHUNK // degree))
        batch = backend.batch(2 * size, degree)
        rows = aligned((4, size, backend.row_words(degree)))
        addresses = rows.ctypes.data + rows.strides[1] * np.arange(4 * size, dtype=np.int64).reshape(4, size)
        for start in range(begin, end, size):
            chunk = slice(start, min(start + size, end))
            count = chunk.stop - start
            for row, vector in zip(rows, (first, second), strict=False):
                backend.enter(row[:count], vector[chunk], degree)
            tasks = batch.tasks[:, : 2 * count].reshape(3, 2, count)
            tasks[0], tasks[2] = addresses[0, :count], addresses[2:, :count]
            tasks[1, 0], tasks[1, 1] = addresses[1, :count], addresses[1, :count] | 1
            batch.add(2 * count)
            for row, out in zip(rows[2:], (sums, differences), strict=True):
                backend.leave(out[chunk], row[:count], degree)

    threads.run_spans(add, len(first), _MINIMUM_SPAN)
    return sums, differences
