"""Sums of many points by label: what buckets, repeated scalars and random subset sums have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.batches import Batch, Rows
from pvcnn.algebra.kernels import buckets

__all__ = ["sum_stream"]


def sum_stream(
    batch: Batch,
    labels: NDArray[np.int32],
    operands: NDArray[np.int64],
    count: int,
    pending: NDArray[np.int64],
    pool: Rows,
    out: Rows,
) -> int:
    """Sums the first `count` operands of a stream by their labels.

    labels, operands: (at least count,), overwritten. pending: an operand for each label or 0, taken
    into the sum; becomes the sum's, a row of `out`, where those that exist follow one another in the
    order of labels. pool: at least `count` rows for what is between. The batch has room for `count`
    tasks and for as many as there are labels. Returns how many sums there are.
    """
    written, size = 0, batch.point_bytes
    while count:
        target = pool.ctypes.data + size * written
        count = buckets.pair_equal_labels(labels, operands, count, pending, target, size, batch.tasks)
        batch.add(count)
        written += count
    moved: int = buckets.move_sums(pending, out.ctypes.data, size, batch.tasks)
    batch.copy(moved)
    return moved
