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

    words: (n, 4) uint64; negative: (n,) bool; values: address of n scalars; bias: (4,) uint64.
    """
    for i in range(words.shape[0]):
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
            words[i, k] = total


@kernel
def recode_integers(words: Any, negative: Any, values: int, bias: Any) -> None:
    """Magnitude plus bias and sign of each int64: words is (n, 2), bias (2,)."""
    for i in range(words.shape[0]):
        value = load_signed(values + 8 * i)
        negative[i] = value < 0
        total = (uint64(-value) if value < 0 else uint64(value)) + bias[0]
        words[i, 0] = total
        words[i, 1] = bias[1] + (uint64(1) if total < bias[0] else uint64(0))


@kernel
def digit_of(words: Any, negative: Any, i: int, window: int, last: bool, width: int) -> Any:
    """Digit number `window` of scalar i, in [-2^(width-1), 2^(width-1)]."""
    bit = window * width
    word, shift = bit >> 6, uint64(bit & 63)
    bits = words[i, word] >> shift
    if (bit & 63) + width > 64 and word + 1 < words.shape[1]:
        bits |= words[i, word + 1] << (uint64(64) - shift)
    digit = int64(bits & ((uint64(1) << uint64(width)) - uint64(1)))
    if not last:
        digit -= int64(1) << (width - 1)
    return -digit if negative[i] else digit


@kernel
def table_operands(
    tasks: Any,
    out: int,
    row: int,
    point_bytes: int,
    words: Any,
    negative: Any,
    window: int,
    last: bool,
    width: int,
) -> Any:
    """Pairs that add table entry |digit|, or its negative, to point i of `out`; returns their number.

    row: address of the multiples 1, 2, .. that a digit of this window stands for.
    """
    queued = 0
    for i in range(words.shape[0]):
        digit = digit_of(words, negative, i, window, last, width)
        if digit != 0:
            entry = row + point_bytes * (abs(digit) - 1)
            tasks[0, queued] = out + point_bytes * i
            tasks[1, queued] = entry | 1 if digit < 0 else entry
            tasks[2, queued] = out + point_bytes * i
            queued += 1
    return queued
