"""Batches of affine additions with one inversion a batch.

A point is its x and y, each an element of F_q or F_q^2 (by `degree`), 96 or 192 bytes; the identity
is all zero. An operand is an address (a multiple of 8) plus 1 if the point's negative is meant.
"""

from __future__ import annotations

from typing import Any

from numba import int64

from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import (
    add,
    equal,
    is_zero,
    load,
    multiply,
    one,
    square,
    store,
    subtract,
    zero,
)
from pvcnn.algebra.kernels.inversion import invert


@kernel
def load_y(degree: Any, operand: int) -> Any:
    """The y of an operand, its sign taken into account."""
    y = load(degree, (operand & ~7) + 48 * len(degree))
    if operand & 1:
        return subtract(zero(degree), y)
    return y


@kernel
def copy_point(degree: Any, target: int, operand: int) -> None:
    """Writes the point of an operand, its sign taken into account."""
    store(target, load(degree, operand & ~7))
    store(target + 48 * len(degree), load_y(degree, operand))


@kernel
def is_identity(degree: Any, operand: int) -> bool:
    address = operand & ~7
    return is_zero(load(degree, address)) and is_zero(load(degree, address + 48 * len(degree)))


@kernel
def _exceptional_denominator(degree: Any, left: int, right: int) -> Any:
    """What the slope of a pair that needs care is divided by: never 0.

    x2 - x1 after all, 2 y for a doubling, and 1 where the sum takes no slope.
    """
    if is_identity(degree, left) or is_identity(degree, right):
        return one(degree)
    x1, x2 = load(degree, left & ~7), load(degree, right & ~7)
    if not equal(x1, x2):
        return subtract(x2, x1)
    y1, y2 = load_y(degree, left), load_y(degree, right)
    if equal(y1, y2) and not is_zero(y1):
        return add(y1, y1)
    return one(degree)


@kernel
def _add_exceptional(degree: Any, target: int, left: int, right: int, inverse: Any) -> None:
    """One addition of any two points, given the inverse of `_exceptional_denominator`."""
    if is_identity(degree, left):
        copy_point(degree, target, right)
        return
    if is_identity(degree, right):
        copy_point(degree, target, left)
        return
    x1, x2 = load(degree, left & ~7), load(degree, right & ~7)
    y1, y2 = load_y(degree, left), load_y(degree, right)
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
def add_pairs(degree: Any, tasks: Any, count: int, workspace: int) -> None:
    """Adds pairs: point tasks[0, i] plus point tasks[1, i] is written to address tasks[2, i].

    tasks: (3, at least count) int64. A target may be an operand of its own pair, and of a pair
    before it, but not of one after it. The workspace has two coordinates a pair.
    """
    size = 48 * len(degree)
    product = one(degree)
    for i in range(count):
        left, right = tasks[0, i], tasks[1, i]
        x1, x2 = load(degree, left & ~7), load(degree, right & ~7)
        denominator = subtract(x2, x1)
        if is_zero(x1) or is_zero(x2) or is_zero(denominator):
            denominator = _exceptional_denominator(degree, left, right)
        at = workspace + 2 * size * i
        store(at, product)
        store(at + size, denominator)
        product = multiply(product, denominator)
    remaining = invert(product)
    for i in range(count - 1, -1, -1):
        left, right, target = tasks[0, i], tasks[1, i], tasks[2, i]
        at = workspace + 2 * size * i
        inverse = multiply(remaining, load(degree, at))
        remaining = multiply(remaining, load(degree, at + size))
        x1, x2 = load(degree, left & ~7), load(degree, right & ~7)
        if is_zero(x1) or is_zero(x2) or equal(x1, x2):
            _add_exceptional(degree, target, left, right, inverse)
        else:
            y1 = load_y(degree, left)
            slope = multiply(subtract(load_y(degree, right), y1), inverse)
            x3 = subtract(subtract(square(slope), x1), x2)
            store(target, x3)
            store(target + size, subtract(multiply(slope, subtract(x1, x3)), y1))


@kernel
def add_task(degree: Any, tasks: Any, count: int, workspace: int, left: int, right: int, target: int) -> int:
    """Queues an addition, and performs the whole batch once it is full; returns how many are queued."""
    tasks[0, count] = left
    tasks[1, count] = right
    tasks[2, count] = target
    count += 1
    if count == tasks.shape[1]:
        add_pairs(degree, tasks, count, workspace)
        return int64(0)
    return count
