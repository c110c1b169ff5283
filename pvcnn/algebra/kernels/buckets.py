"""Pippenger's buckets over batches of affine additions.

A scalar is cut into signed digits of `width` bits; a window is one digit of every scalar. Bucket b
of a window collects the points whose digit is b, or their negatives for -b. The sum over a window,
sum_b b S_b, is left as sums T_j of the buckets whose index has bit j, so that sum_b b S_b =
sum_j 2^j T_j: everything up to there is batches of additions.
"""

from __future__ import annotations

from typing import Any

from numba import int64, uint64

from pvcnn.algebra.kernels.additions import add_pairs, add_task, copy_point
from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import (
    exceeds_half,
    load_scalar,
    load_signed,
    multiply,
    scalar_unit_words,
    scalar_zero,
    subtract,
)


@kernel
def recode_scalars(out: Any, negative: Any, values: int, bias: Any) -> None:
    """Magnitude plus bias of each scalar's representative in [-(r - 1)/2, (r - 1)/2], and its sign.

    out: (n, 4) uint64; negative: (n,) bool; values: address of n scalars; bias: (4,) uint64.
    """
    for i in range(out.shape[0]):
        words = multiply(load_scalar(values + 32 * i), scalar_unit_words())
        negative[i] = exceeds_half(words)
        if negative[i]:
            words = subtract(scalar_zero(), words)
        carry = uint64(0)
        for k in range(4):
            total = words[k] + carry
            carry = uint64(1) if total < carry else uint64(0)
            total += bias[k]
            if total < bias[k]:
                carry = uint64(1)
            out[i, k] = total


@kernel
def recode_integers(out: Any, negative: Any, values: int, bias: Any) -> None:
    """As `recode_scalars`, for int64 values: out is (n, 2), bias (2,)."""
    for i in range(out.shape[0]):
        value = load_signed(values + 8 * i)
        negative[i] = value < 0
        total = (uint64(-value) if value < 0 else uint64(value)) + bias[0]
        out[i, 0] = total
        out[i, 1] = bias[1] + (uint64(1) if total < bias[0] else uint64(0))


@kernel
def digit_of(recoded: Any, negative: Any, i: int, window: int, last: bool, width: int) -> int:
    """Digit number `window` of scalar i, in [-2^(width-1), 2^(width-1)]."""
    bit = window * width
    word, shift = bit >> 6, uint64(bit & 63)
    bits = recoded[i, word] >> shift
    if (bit & 63) + width > 64 and word + 1 < recoded.shape[1]:
        bits |= recoded[i, word + 1] << (uint64(64) - shift)
    digit = int64(bits & ((uint64(1) << uint64(width)) - uint64(1)))
    if not last:
        digit -= int64(1) << (width - 1)
    return -digit if negative[i] else digit


@kernel
def sort_window(
    entries: Any,
    position: int,
    starts: Any,
    lengths: Any,
    points: int,
    point_bytes: int,
    recoded: Any,
    negative: Any,
    window: int,
    last: bool,
    width: int,
) -> None:
    """Lists the points of each bucket of one window, as operands, in `entries` from `position` on.

    starts, lengths: one for each bucket 0 to 2^(width-1); bucket 0 stays empty.
    """
    count = recoded.shape[0]
    lengths[:] = 0
    for i in range(count):
        lengths[abs(digit_of(recoded, negative, i, window, last, width))] += 1
    lengths[0] = 0
    for bucket in range(lengths.shape[0]):
        starts[bucket] = position
        position += lengths[bucket]
        lengths[bucket] = 0
    for i in range(count):
        digit = digit_of(recoded, negative, i, window, last, width)
        if digit != 0:
            bucket = abs(digit)
            operand = points + point_bytes * i
            entries[starts[bucket] + lengths[bucket]] = operand | 1 if digit < 0 else operand
            lengths[bucket] += 1


@kernel
def sum_lists(
    degree: Any, entries: Any, starts: Any, lengths: Any, pools: Any, tasks: Any, workspace: int
) -> None:
    """Adds up every list of operands, level by level; each ends as one entry or none.

    Level by level neighbours are added, the sums going to the two pools in turn: list at entry s has
    its place from point s / 2 on. An odd last operand is carried over where it lies; its place is
    past all that the level after next writes for its list.
    """
    point_bytes = 96 * len(degree)
    level = 0
    more = True
    while more:
        more = False
        queued = 0
        for number in range(lengths.shape[0]):
            length = lengths[number]
            if length < 2:
                continue
            start, pairs = starts[number], length >> 1
            target = pools[level & 1] + point_bytes * (start >> 1)
            for i in range(pairs):
                left, right = entries[start + 2 * i], entries[start + 2 * i + 1]
                entries[start + i] = target
                queued = add_task(degree, tasks, queued, workspace, left, right, target)
                target += point_bytes
            if length & 1:
                entries[start + pairs] = entries[start + length - 1]
            lengths[number] = pairs + (length & 1)
            more = more or lengths[number] > 1
        add_pairs(degree, tasks, queued, workspace)
        level += 1


@kernel
def collect(degree: Any, out: int, operands: Any, entries: Any, starts: Any, lengths: Any) -> None:
    """Copies every list's one entry to its place in `out`; operands are their addresses or 0."""
    point_bytes = 96 * len(degree)
    for window in range(starts.shape[0]):
        for bucket in range(starts.shape[1]):
            operands[window, bucket] = 0
            if lengths[window, bucket] != 0:
                copy_point(degree, out, entries[starts[window, bucket]])
                operands[window, bucket] = out
                out += point_bytes


@kernel
def sum_by_bit(
    degree: Any,
    out: int,
    buckets: Any,
    free: int,
    entries: Any,
    starts: Any,
    lengths: Any,
    pools: Any,
    tasks: Any,
    workspace: int,
) -> None:
    """Writes T_j of every window to point window * width + j of `out`.

    buckets: (windows, 2^(width-1) + 1) operands, 0 for an empty one. Bit j: the odd ones make the
    list of T_j, then neighbours 2 i and 2 i + 1 merge into i. Sums of merged ones are written from
    address `free` on.
    """
    windows, count = buckets.shape
    width = lengths.shape[0] // windows
    position = 0
    for bit in range(width):
        for window in range(windows):
            number = window * width + bit
            starts[number] = position
            for i in range(1, count, 2):
                if buckets[window, i] != 0:
                    entries[position] = buckets[window, i]
                    position += 1
            lengths[number] = position - starts[number]
        queued = 0
        merged = (count + 1) >> 1
        for window in range(windows):
            for i in range(merged):
                left = buckets[window, 2 * i]
                right = buckets[window, 2 * i + 1] if 2 * i + 1 < count else int64(0)
                if left != 0 and right != 0:
                    buckets[window, i] = free
                    queued = add_task(degree, tasks, queued, workspace, left, right, free)
                    free += 96 * len(degree)
                else:
                    buckets[window, i] = left | right
        add_pairs(degree, tasks, queued, workspace)
        count = merged
    sum_lists(degree, entries, starts, lengths, pools, tasks, workspace)
    for number in range(lengths.shape[0]):
        if lengths[number] != 0:
            copy_point(degree, out + 96 * len(degree) * number, entries[starts[number]])
