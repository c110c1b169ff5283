"""Pippenger's buckets as lists of operands: which points are to be added, at every step.

Bucket b of a window collects the points whose digit there is b, and the negatives of those whose
digit is -b. Kernels here only write pairs into `tasks` for `additions.add_pairs` and return how
many: left operands in row 0, right ones in row 1, targets in row 2. They know nothing of fields.
"""

from __future__ import annotations

from typing import Any

from numba import int64

from pvcnn.algebra.kernels.compilation import kernel


@kernel
def sort_window(
    entries: Any, position: int, starts: Any, lengths: Any, points: int, point_bytes: int, digits: Any
) -> None:
    """Lists the operands of each bucket of one window, bucket by bucket, in `entries` from `position` on.

    starts, lengths: where each bucket's list begins and how many it has, for bucket 0 (which stays
    empty) to 2^(width-1). digits: (n,) int32, of that window.
    """
    lengths[:] = 0
    for i in range(digits.shape[0]):
        lengths[abs(int64(digits[i]))] += 1
    lengths[0] = 0
    for bucket in range(lengths.shape[0]):
        starts[bucket] = position
        position += lengths[bucket]
        lengths[bucket] = starts[bucket]
    for i in range(digits.shape[0]):
        digit = int64(digits[i])
        if digit != 0:
            bucket = abs(digit)
            operand = points + point_bytes * i
            entries[lengths[bucket]] = operand | 1 if digit < 0 else operand
            lengths[bucket] += 1
    for bucket in range(lengths.shape[0]):
        lengths[bucket] -= starts[bucket]


@kernel
def pair_neighbours(entries: Any, starts: Any, lengths: Any, pool: int, point_bytes: int, tasks: Any) -> Any:
    """One level of summing every list: pairs of neighbours, whose sums take their places.

    Called until it returns 0, with two pools in turn: each list then has at most one entry. A list
    that begins at entry s has its place in the pools from point s / 2 on. An odd last operand is
    carried over where it lies, which is past all that the level after next writes for its list.
    """
    queued = 0
    for number in range(lengths.shape[0]):
        length = lengths[number]
        if length < 2:
            continue
        start, pairs = starts[number], length >> 1
        target = pool + point_bytes * (start >> 1)
        for i in range(pairs):
            tasks[0, queued] = entries[start + 2 * i]
            tasks[1, queued] = entries[start + 2 * i + 1]
            tasks[2, queued] = target
            entries[start + i] = target
            target += point_bytes
            queued += 1
        if length & 1:
            entries[start + pairs] = entries[start + length - 1]
        lengths[number] = pairs + (length & 1)
    return queued


@kernel
def move_sums(
    sums: Any, entries: Any, starts: Any, lengths: Any, out: int, point_bytes: int, tasks: Any
) -> Any:
    """Copies (tasks without right operands) of every list's one entry to consecutive points of `out`.

    sums: one operand for each list, 0 for an empty one.
    """
    queued = 0
    for number in range(lengths.shape[0]):
        sums[number] = 0
        if lengths[number] != 0:
            sums[number] = out + point_bytes * queued
            tasks[0, queued] = entries[starts[number]]
            tasks[2, queued] = sums[number]
            queued += 1
    return queued


@kernel
def list_odd_buckets(buckets: Any, count: int, entries: Any, position: int, starts: Any, lengths: Any) -> Any:
    """Lists the buckets 1, 3, .. of each window, one list a window; returns the next free position.

    buckets: (windows, at least count) operands, 0 for an empty one, and `count` of them in use.
    """
    for window in range(buckets.shape[0]):
        starts[window] = position
        for i in range(1, count, 2):
            if buckets[window, i] != 0:
                entries[position] = buckets[window, i]
                position += 1
        lengths[window] = position - starts[window]
    return position


@kernel
def merge_buckets(buckets: Any, count: int, free: int, point_bytes: int, tasks: Any) -> Any:
    """Pairs that merge buckets 2 i and 2 i + 1 of each window into i, their sums from `free` on."""
    queued = 0
    for window in range(buckets.shape[0]):
        for i in range((count + 1) >> 1):
            left = buckets[window, 2 * i]
            right = buckets[window, 2 * i + 1] if 2 * i + 1 < count else int64(0)
            if left != 0 and right != 0:
                target = free + point_bytes * queued
                tasks[0, queued] = left
                tasks[1, queued] = right
                tasks[2, queued] = target
                buckets[window, i] = target
                queued += 1
            else:
                buckets[window, i] = left | right
    return queued
