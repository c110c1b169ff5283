"""Scalars as signed digits.

A scalar's magnitude is at most (r - 1)/2, of the representative that has the smaller one. To cut
it into digits in [-2^(width-1), 2^(width-1)) without carries, a bias is added first: 2^(width-1) in
every window but the last, which each of those windows' digits then subtracts again.
"""

from __future__ import annotations

from typing import Any

from numba import int64, uint64

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
def recode_scalars(words: Any, negative: Any, values: int, bias: Any) -> None:
    """Magnitude plus bias and sign of each scalar.

    words: (4, n) uint64; negative: (n,) bool; values: address of n scalars; bias: (4,) uint64.
    """
    for i in range(words.shape[1]):
        magnitude = multiply(load_scalar(values + 32 * i), scalar_unit_words())
        negative[i] = exceeds_half(magnitude)
        if negative[i]:
            magnitude = subtract(scalar_zero(), magnitude)
        carry = uint64(0)
        for k in range(4):
            total = magnitude[k] + carry
            carry = uint64(1) if total < carry else uint64(0)
            total += bias[k]
            if total < bias[k]:
                carry = uint64(1)
            words[k, i] = total


@kernel
def recode_integers(words: Any, negative: Any, values: int, bias: Any) -> None:
    """Magnitude plus bias and sign of each int64: words is (2, n), bias (2,)."""
    for i in range(words.shape[1]):
        value = load_signed(values + 8 * i)
        negative[i] = value < 0
        total = (uint64(-value) if value < 0 else uint64(value)) + bias[0]
        words[0, i] = total
        words[1, i] = bias[1] + (uint64(1) if total < bias[0] else uint64(0))


@kernel
def window_digits(digits: Any, words: Any, negative: Any, window: int, last: bool, width: int) -> None:
    """Digit number `window` of every scalar, in [-2^(width-1), 2^(width-1)], to (n,) int32 digits."""
    bit = window * width
    word, shift = bit >> 6, uint64(bit & 63)
    mask = (uint64(1) << uint64(width)) - uint64(1)
    offset = int64(0) if last else int64(1) << (width - 1)
    low = words[word]
    high = words[min(word + 1, words.shape[0] - 1)]
    # Bits from the next word are beyond the mask unless the digit crosses into it.
    crosses = (bit & 63) + width > 64 and word + 1 < words.shape[0]
    above = (uint64(64) - shift) & uint64(63)
    high_mask = mask if crosses else uint64(0)
    for i in range(digits.shape[0]):
        bits = ((low[i] >> shift) & mask) | ((high[i] << above) & high_mask)
        digit = int64(bits) - offset
        digits[i] = -digit if negative[i] else digit


@kernel
def table_operands(tasks: Any, operands: Any, out: int, row: int, point_bytes: int, digits: Any) -> Any:
    """Pairs that add table entry |digit|, or its negative, to sum i; returns their number.

    operands: (n,) int64, where each sum is so far: 0 for an empty one, a table entry for one of a
    single term, else its own place, number i in `out`. row: address of the multiples 1, 2, .. that a
    digit of this window stands for.
    """
    queued = 0
    for i in range(digits.shape[0]):
        digit = int64(digits[i])
        if digit == 0:
            continue
        entry = row + point_bytes * (abs(digit) - 1)
        if digit < 0:
            entry |= 1
        if operands[i] != 0:
            tasks[0, queued] = operands[i]
            tasks[1, queued] = entry
            entry = out + point_bytes * i
            tasks[2, queued] = entry
            queued += 1
        operands[i] = entry
    return queued


@kernel
def unsummed_operands(tasks: Any, operands: Any, out: int, point_bytes: int, identity: int) -> Any:
    """Copies of the sums of no term or one, as tasks without right operands; returns their number."""
    queued = 0
    for i in range(operands.shape[0]):
        target = out + point_bytes * i
        if operands[i] != target:
            tasks[0, queued] = operands[i] if operands[i] != 0 else identity
            tasks[2, queued] = target
            queued += 1
    return queued
