"""Multiples of many points by scalars of their own: parts of scalars, images of points, lists of additions.

With Z = |z| of the curve's parameter z, a scalar has four digits to the base Z, below 2^64 each, and two to
the base Z^2, below 2^128: r < Z^4. Z P in G2 and Z^2 P in G1 cost no addition (`pvcnn.algebra.multiples`).
"""

from __future__ import annotations

from typing import Any

from numba import int64, uint64

from pvcnn.algebra.constants import CURVE_PARAMETER
from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import (
    DEGREE_ONE,
    load,
    load_scalar,
    multiply,
    negate_if,
    scalar_unit_words,
    store,
)

_BASE = uint64(-CURVE_PARAMETER)
_BASE_HIGH, _BASE_LOW = uint64(-CURVE_PARAMETER >> 32), uint64(-CURVE_PARAMETER & 0xFFFFFFFF)
_HALF = uint64(32)
_LOW = uint64(0xFFFFFFFF)
_RADIX = uint64(1 << 32)


@kernel
def _half_digit(high: Any, rest: Any) -> Any:
    """floor((high 2^32 + rest) / Z), for high < Z and rest < 2^32."""
    digit = high // _BASE_HIGH
    remainder = high - digit * _BASE_HIGH
    while digit >= _RADIX or digit * _BASE_LOW > (remainder << _HALF) + rest:
        digit -= uint64(1)
        remainder += _BASE_HIGH
        if remainder >= _RADIX:
            break
    return digit


@kernel
def _divide(high: Any, low: Any) -> Any:
    """Quotient and remainder of high 2^64 + low by Z, for high < Z. The top bit of Z is set."""
    upper, lower = low >> _HALF, low & _LOW
    first = _half_digit(high, upper)
    rest = (high << _HALF) + upper - first * _BASE
    second = _half_digit(rest, lower)
    return (first << _HALF) + second, (rest << _HALF) + lower - second * _BASE


@kernel
def _divide_number(words: Any) -> Any:
    """Quotient (four words) and remainder of a number of four words by Z."""
    rest = uint64(0)
    q3, rest = _divide(rest, words[3])
    q2, rest = _divide(rest, words[2])
    q1, rest = _divide(rest, words[1])
    q0, rest = _divide(rest, words[0])
    return (q0, q1, q2, q3), rest


@kernel
def _times_base(digit: Any, addend: Any) -> Any:
    """digit Z + addend as two words, for a digit and an addend below Z."""
    low_low = (digit & _LOW) * _BASE_LOW
    low_high = (digit & _LOW) * _BASE_HIGH
    high_low = (digit >> _HALF) * _BASE_LOW
    high = (digit >> _HALF) * _BASE_HIGH
    middle = (low_low >> _HALF) + (low_high & _LOW) + (high_low & _LOW)
    low = (middle << _HALF) | (low_low & _LOW)
    high += (low_high >> _HALF) + (high_low >> _HALF) + (middle >> _HALF)
    total = low + addend
    return total, high + (uint64(1) if total < addend else uint64(0))


@kernel
def split_scalars(words: Any, values: int, bias: Any) -> None:
    """The digits of scalars to the base Z (four parts) or Z^2 (two), each plus a bias.

    words: (parts, words, n) uint64, a word more than a digit has; values: address of n scalars; bias:
    (words,) uint64.
    """
    parts, length, count = words.shape
    for i in range(count):
        quotient, first = _divide_number(multiply(load_scalar(values + 32 * i), scalar_unit_words()))
        quotient, second = _divide_number(quotient)
        if parts == 2:
            words[0, 0, i], words[0, 1, i] = _times_base(second, first)
            words[1, 0, i], words[1, 1, i] = quotient[0], quotient[1]
        else:
            quotient, third = _divide_number(quotient)
            words[0, 0, i], words[1, 0, i] = first, second
            words[2, 0, i], words[3, 0, i] = third, quotient[0]
        for part in range(parts):
            words[part, length - 1, i] = uint64(0)
            carry = uint64(0)
            for k in range(length):
                total = words[part, k, i] + carry
                carry = uint64(1) if total < carry else uint64(0)
                total += bias[k]
                if total < bias[k]:
                    carry = uint64(1)
                words[part, k, i] = total


@kernel
def image_points(degree: Any, out: int, points: int, factors: int, count: int) -> None:
    """(x, y) becomes (x f, y g) for each point of G1, (conjugate of x times f, that of y times g) in G2.

    out, points: addresses of point vectors; factors: that of the elements f and g. The identity stays.
    """
    size = 48 * len(degree)
    f, g = load(degree, factors), load(degree, factors + size)
    for at in range(0, 2 * size * count, 2 * size):
        for i in range(2 * len(degree)):
            part = load(DEGREE_ONE, points + at + 48 * i)
            store(out + at + 48 * i, negate_if(len(degree) == 2 and i & 1 == 1, part))
        store(out + at, multiply(load(degree, out + at), f))
        store(out + at + size, multiply(load(degree, out + at + size), g))


@kernel
def own_operands(
    tasks: Any, operands: Any, out: int, table: int, table_stride: int, point_bytes: int, digits: Any
) -> Any:
    """Pairs that add a multiple of point i, or its negative, to sum i; returns their number.

    operands: (n,) int64, where each sum is so far: 0 for an empty one, a multiple for one of a single term,
    else its own place, number i in `out`. table: address of the points; their multiples by m lie m - 1
    strides behind them.
    """
    queued = 0
    for i in range(digits.shape[0]):
        digit = int64(digits[i])
        if digit == 0:
            continue
        entry = table + table_stride * (abs(digit) - 1) + point_bytes * i
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
def doubled_operands(tasks: Any, operands: Any, out: int, point_bytes: int) -> Any:
    """Doublings (tasks without right operands) of all sums that are not empty; returns their number.

    operands, out: as for `own_operands`.
    """
    queued = 0
    for i in range(operands.shape[0]):
        if operands[i] != 0:
            tasks[0, queued] = operands[i]
            operands[i] = out + point_bytes * i
            tasks[2, queued] = operands[i]
            queued += 1
    return queued
