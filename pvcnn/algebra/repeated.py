"""Sums of multiples in which scalars repeat: first add the points that have a scalar in common.

Of a proof's second stage two thirds of the values occur more than once: a lookup's 1/(theta - f) is the
same wherever f is, and most rows of a table are looked up by nobody. One addition then replaces a
point's twenty and more.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import backends, threads
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.kernels import buckets
from pvcnn.algebra.memory import ARENA
from pvcnn.algebra.scalars import ScalarVector

__all__ = ["merge_repeated"]

#: Fewer scalars than this are not worth a thread of their own.
_MINIMUM_SCALARS = 256


def merge_repeated(points: PointVector, values: ScalarVector) -> tuple[PointVector, ScalarVector]:
    """(m, ..) points and (m, 4) scalars with the same sum of multiples, m the number of distinct scalars.

    points: (n, 12) of G1 or (n, 24) of G2, contiguous; values: (n, 4). Points whose scalar is 0 are
    left out. ValueError if the lengths differ.
    """
    if len(points) != len(values):
        raise ValueError(f"{len(points)} points and {len(values)} scalars")
    present = np.flatnonzero(values.any(axis=1))
    order = present[np.argsort(values[present, 0])]
    ordered = values[order]
    first = np.ones(len(order), np.bool_)
    # Scalars that agree in one word only may lie between equal ones: those then make two groups.
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    if len(starts) == len(order):
        return points[order], ordered
    ends = np.append(starts[1:], len(order))
    labels = np.cumsum(first, dtype=np.int32) - 1
    sums = np.empty((len(starts), points.shape[1]), np.uint64)

    def sum_labels(a: int, b: int) -> None:
        span = slice(starts[a], ends[b - 1])
        _sum_labels(points, order[span], labels[span] - np.int32(a), sums[a:b])

    threads.run([partial(sum_labels, *span) for span in threads.spans(len(starts), _MINIMUM_SCALARS)])
    return sums, ordered[starts]


def _sum_labels(
    points: PointVector, order: NDArray[np.intp], labels: NDArray[np.int32], sums: PointVector
) -> None:
    """sums[i] becomes the sum of those points[order[j]] that have labels[j] = i; there is one for each i."""
    degree = points.shape[1] // 12
    backend = backends.backend()
    rows = backend.rows(points[order], degree, parallel=False)
    batch = backend.batch(len(order) + 1, degree)
    operands = rows.ctypes.data + batch.point_bytes * np.arange(len(order), dtype=np.int64)
    pool = ARENA.array("pool", (len(order), rows.shape[1]))
    totals = ARENA.array("sums", (len(sums), rows.shape[1]))
    pending = np.zeros(len(sums), np.int64)
    count, written = len(order), 0
    while count:
        target = pool.ctypes.data + batch.point_bytes * written
        count = buckets.pair_equal_labels(
            labels, operands, count, pending, target, batch.point_bytes, batch.tasks
        )
        batch.add(count)
        written += count
    batch.copy(buckets.move_sums(pending, totals.ctypes.data, batch.point_bytes, batch.tasks))
    backend.leave(sums, totals, degree)
