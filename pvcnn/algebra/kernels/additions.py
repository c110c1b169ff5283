"""Affine additions of points, many at a time with one inversion for all (Montgomery's trick).

A point is its x and y, each an element of F_q or F_q^2 (by `degree`), 96 or 192 bytes; the identity
is all zero. An operand is an address (a multiple of 8) plus 1 if the point's negative is meant.
Everything else about points - which ones to add - is lists of operands: see `buckets`.
"""

from __future__ import annotations

from typing import Any

from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import (
    add,
    equal,
    is_zero,
    load,
    multiply,
    negate_if,
    one,
    prefetch,
    square,
    store,
    subtract,
    zero,
)
from pvcnn.algebra.kernels.inversion import invert

#: How many pairs ahead operands are fetched into the cache.
_AHEAD = 6


@kernel
def _load_y(degree: Any, operand: int) -> Any:
    """The y of an operand, its sign taken into account."""
    y = load(degree, (operand & ~7) + 48 * len(degree))
    return negate_if((operand & 1) != 0, y)


@kernel
def is_identity(degree: Any, operand: int) -> Any:
    """Whether an operand is the identity."""
    address = operand & ~7
    return is_zero(load(degree, address)) and is_zero(load(degree, address + 48 * len(degree)))


@kernel
def _copy_point(degree: Any, target: int, operand: int) -> None:
    store(target, load(degree, operand & ~7))
    store(target + 48 * len(degree), _load_y(degree, operand))


@kernel
def copy_points(degree: Any, tasks: Any, count: int) -> None:
    """Writes point tasks[0, i], its sign taken into account, to address tasks[2, i]."""
    for i in range(count):
        _copy_point(degree, tasks[2, i], tasks[0, i])


@kernel
def _exceptional_denominator(degree: Any, left: int, right: int) -> Any:
    """What the slope is divided by in a sum that needs care: never 0.

    x2 - x1 after all, 2 y for a doubling, and 1 where the sum has no slope.
    """
    if is_identity(degree, left) or is_identity(degree, right):
        return one(degree)
    x1, x2 = load(degree, left & ~7), load(degree, right & ~7)
    if not equal(x1, x2):
        return subtract(x2, x1)
    y1, y2 = _load_y(degree, left), _load_y(degree, right)
    if equal(y1, y2) and not is_zero(y1):
        return add(y1, y1)
    return one(degree)


@kernel
def _add_exceptional(degree: Any, target: int, left: int, right: int, inverse: Any) -> None:
    """The sum of any two points, given the inverse of `_exceptional_denominator`."""
    if is_identity(degree, left):
        _copy_point(degree, target, right)
        return
    if is_identity(degree, right):
        _copy_point(degree, target, left)
        return
    x1, x2 = load(degree, left & ~7), load(degree, right & ~7)
    y1, y2 = _load_y(degree, left), _load_y(degree, right)
    if not equal(x1, x2):
        slope = multiply(subtract(y2, y1), inverse)
    elif equal(y1, y2) and not is_zero(y1):
        squared = square(x1)
        slope = multiply(add(add(squared, squared), squared), inverse)
    else:
        store(target, zero(degree))
        store(target + 48 * len(degree), zero(degree))
        return
    x3 = subtract(subtract(square(slope), x1), x2)
    store(target, x3)
    store(target + 48 * len(degree), subtract(multiply(slope, subtract(x1, x3)), y1))


@kernel
def _fetch_point(degree: Any, operand: int) -> None:
    address = operand & ~7
    for line in range(0, 96 * len(degree), 64):
        prefetch(address + line)
    prefetch(address + 96 * len(degree) - 8)


@kernel
def _multiply_denominators(degree: Any, tasks: Any, first: int, stop: int, workspace: int) -> Any:
    """Writes each pair's denominator, and the product of those before it; returns the whole product."""
    size = 48 * len(degree)
    product = one(degree)
    for i in range(first, stop):
        if i + _AHEAD < stop:
            _fetch_point(degree, tasks[0, i + _AHEAD])
            _fetch_point(degree, tasks[1, i + _AHEAD])
        left, right = tasks[0, i], tasks[1, i]
        x1, x2 = load(degree, left & ~7), load(degree, right & ~7)
        denominator = subtract(x2, x1)
        if is_zero(x1) or is_zero(x2) or is_zero(denominator):
            denominator = _exceptional_denominator(degree, left, right)
        store(workspace, product)
        store(workspace + size, denominator)
        workspace += 2 * size
        product = multiply(product, denominator)
    return product


@kernel
def add_pairs(degree: Any, tasks: Any, count: int, workspace: int, batch: int) -> None:
    """Adds pairs: point tasks[0, i] plus point tasks[1, i] is written to address tasks[2, i].

    tasks: (3, at least count) int64. Pairs that share an inversion, `batch` at a time from the first
    on, are summed from the last to the first: a target must not be an operand of a pair before its
    own. The workspace has two coordinates for each pair of a batch.
    """
    size = 48 * len(degree)
    for first in range(0, count, batch):
        stop = min(first + batch, count)
        remaining = invert(_multiply_denominators(degree, tasks, first, stop, workspace))
        for i in range(stop - 1, first - 1, -1):
            left, right, target = tasks[0, i], tasks[1, i], tasks[2, i]
            at = workspace + 2 * size * (i - first)
            inverse = multiply(remaining, load(degree, at))
            remaining = multiply(remaining, load(degree, at + size))
            x1, x2 = load(degree, left & ~7), load(degree, right & ~7)
            if is_zero(x1) or is_zero(x2) or equal(x1, x2):
                _add_exceptional(degree, target, left, right, inverse)
            else:
                y1 = _load_y(degree, left)
                slope = multiply(subtract(_load_y(degree, right), y1), inverse)
                x3 = subtract(subtract(square(slope), x1), x2)
                store(target, x3)
                store(target + size, subtract(multiply(slope, subtract(x1, x3)), y1))
