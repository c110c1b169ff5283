"""Pippenger's buckets as streams of labelled operands: which points are to be added, at every step.

Bucket b of a window collects the points whose digit there is b, and the negatives of those whose
digit is -b. A stream is two arrays, labels (int32) and operands (int64): operands with the same label
are to be summed. Kernels here only write pairs into `tasks` for a batch and return how many: left
operands in row 0, right ones in row 1, targets in row 2. They know nothing of fields.
"""

from __future__ import annotations

from typing import Any

from numba import int64

from pvcnn.algebra.kernels.compilation import kernel


@kernel
def append_window(
    labels: Any, operands: Any, position: int, first_label: int, points: int, point_bytes: int, digits: Any
) -> Any:
    """Appends the points to a stream that have a digit in one window; returns the next free position.

    digits: (n,) int32, of that window. Bucket b has label first_label + b. Room for n entries is needed
    and the one after them may be written to.
    """
    for i in range(digits.shape[0]):
        digit = int64(digits[i])
        labels[position] = first_label + abs(digit)
        operands[position] = (points + point_bytes * i) | int64(digit < 0)
        position += int64(digit != 0)
    return position


@kernel
def pair_equal_labels(
    labels: Any, operands: Any, count: int, pending: Any, target: int, point_bytes: int, tasks: Any
) -> Any:
    """One level of summing a stream: each operand is paired with the one before it of the same label.

    pending: operands that wait for another of their label, 0 where none does; they are taken over from
    level to level. The stream becomes that of the pairs' sums, which go to consecutive points from
    `target` on. Pairs meet in the order of the stream: what is added lies close together in memory, as
    far as the number of labels goes. When nothing is paired any more, each label's sum is pending.
    """
    queued = 0
    for i in range(count):
        label, operand = labels[i], operands[i]
        other = pending[label]
        # Written in any case, and kept if there is a pair: a branch would be a guess.
        tasks[0, queued] = other
        tasks[1, queued] = operand
        tasks[2, queued] = target
        labels[queued] = label
        operands[queued] = target
        pending[label] = operand if other == 0 else int64(0)
        paired = int64(other != 0)
        queued += paired
        target += point_bytes * paired
    return queued


@kernel
def move_sums(pending: Any, out: int, point_bytes: int, tasks: Any) -> Any:
    """Copies (tasks without right operands) of what is pending to consecutive points of `out`.

    What is pending becomes the copies.
    """
    queued = 0
    for label in range(pending.shape[0]):
        if pending[label] != 0:
            tasks[0, queued] = pending[label]
            pending[label] = out + point_bytes * queued
            tasks[2, queued] = pending[label]
            queued += 1
    return queued


@kernel
def append_odd_buckets(
    buckets: Any, count: int, labels: Any, operands: Any, position: int, bit: int, width: int
) -> Any:
    """Appends buckets 1, 3, .. of each window to a stream; returns the next free position.

    buckets: (windows, at least count) operands, 0 for an empty one, and `count` of them in use. Those
    of a window have label width * window + bit.
    """
    for window in range(buckets.shape[0]):
        for i in range(1, count, 2):
            if buckets[window, i] != 0:
                labels[position] = width * window + bit
                operands[position] = buckets[window, i]
                position += 1
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
