"""Multiples of a fixed base by tables of its multiples."""

from __future__ import annotations

from typing import Any

from pvcnn.algebra.kernels.additions import add_pairs, add_task
from pvcnn.algebra.kernels.buckets import digit_of
from pvcnn.algebra.kernels.compilation import kernel


@kernel
def fill_table(degree: Any, table: int, windows: int, multiples: int, tasks: Any, workspace: int) -> None:
    """Row w of `table`, multiples of a base B_w: from B_w in place 0 to k B_w in place k - 1.

    Sums of m multiples give the next m: k B_w + m B_w. `multiples` is a power of two.
    """
    point_bytes = 96 * len(degree)
    known = 1
    while known < multiples:
        queued = 0
        for window in range(windows):
            row = table + point_bytes * multiples * window
            last = row + point_bytes * (known - 1)
            for i in range(known):
                left = row + point_bytes * i
                queued = add_task(degree, tasks, queued, workspace, left, last, left + point_bytes * known)
        add_pairs(degree, tasks, queued, workspace)
        known *= 2


@kernel
def multiply_base(
    degree: Any,
    out: int,
    table: int,
    multiples: int,
    recoded: Any,
    negative: Any,
    windows: int,
    width: int,
    tasks: Any,
    workspace: int,
) -> None:
    """out[i] = scalar i times the base: one table entry a window. `out` starts as the identity."""
    point_bytes = 96 * len(degree)
    for window in range(windows):
        row = table + point_bytes * multiples * window
        queued = 0
        for i in range(recoded.shape[0]):
            digit = digit_of(recoded, negative, i, window, window == windows - 1, width)
            if digit != 0:
                entry = row + point_bytes * (abs(digit) - 1)
                operand = entry | 1 if digit < 0 else entry
                at = out + point_bytes * i
                queued = add_task(degree, tasks, queued, workspace, at, operand, at)
        add_pairs(degree, tasks, queued, workspace)
