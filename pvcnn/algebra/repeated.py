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
from pvcnn.algebra.batches import Points, Rows
from pvcnn.algebra.memory import ARENA, aligned
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.algebra.streams import sum_stream

__all__ = ["merge_repeated"]

#: Fewer scalars than this are not worth a thread of their own.
_MINIMUM_SCALARS = 256


def merge_repeated(points: Points, values: ScalarVector) -> tuple[Points, ScalarVector]:
    """m points and (m, 4) scalars with the same sum of multiples, m the number of distinct scalars.

    points: a vector of G1 or of G2, or rows of the kernels in use; values: (n, 4). Points whose scalar
    is 0 are left out. What comes back is rows, or as it was given where nothing repeats. ValueError if
    the lengths differ.
    """
    if len(points) != len(values):
        raise ValueError(f"{len(points)} points and {len(values)} scalars")
    backend = backends.backend()
    degree = backend.degree(points)
    points = backend.checked(points, degree)
    present = np.flatnonzero(values.any(axis=1))
    order = present[np.argsort(values[present, 0])]
    ordered = values[order]
    first = np.ones(len(order), np.bool_)
    # Scalars that agree in one word only may lie between equal ones: those then make two groups.
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    if len(starts) == len(order):
        return np.take(points, order, axis=0, out=aligned((len(order), points.shape[1]))), ordered
    ends = np.append(starts[1:], len(order))
    labels = np.cumsum(first, dtype=np.int32) - 1
    sums = aligned((len(starts), backend.row_words(degree)))

    def sum_labels(a: int, b: int) -> None:
        span = slice(starts[a], ends[b - 1])
        _sum_labels(points, order[span], labels[span] - np.int32(a), sums[a:b])

    threads.run([partial(sum_labels, *span) for span in threads.spans(len(starts), _MINIMUM_SCALARS)])
    return sums, ordered[starts]


def _sum_labels(points: Points, order: NDArray[np.intp], labels: NDArray[np.int32], sums: Rows) -> None:
    """sums[i] becomes the sum of those points[order[j]] that have labels[j] = i; there is one for each i."""
    backend = backends.backend()
    degree = backend.degree(points)
    batch = backend.batch(len(order) + 1, degree)
    places = order.astype(np.int64)
    if points.shape[1] == sums.shape[1]:
        rows = points
    else:  # only what is summed is converted
        rows = backend.rows(points[order], degree, parallel=False)
        places = np.arange(len(order), dtype=np.int64)
    operands = rows.ctypes.data + batch.point_bytes * places
    pool = ARENA.array("pool", (len(order), sums.shape[1]))
    sum_stream(batch, labels, operands, len(order), np.zeros(len(sums), np.int64), pool, sums)
