"""Doublings of rows, thousands at a time with one inversion: as `additions`, with another slope.

In the notation and the bounds of `groups`: y + p is in [p - 2 u, 3 p + 2 u], so the denominator 2 y + 2 p is
in [2 p - 4 u, 6 p + 4 u], a factor; x + p is one likewise, and its square, at most p + e, three times at most
3 p + 3 e. x3 = s^2 - 2 x and y3 = s (x - x3) - y have the ranges that they have for sums of two points.

A lane is exceptional if its operand is the identity or may have a y of 0 modulo p. No point of either curve
has, as their orders are odd; the rest of a batch must not depend on that.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from pvcnn.algebra.kernels.compilation import intrinsic, kernel, types
from pvcnn.algebra.kernels.ifma import vectors
from pvcnn.algebra.kernels.ifma.additions import (
    CHAINS_AT,
    ELEMENT,
    KEPT_AT,
    SHARED,
    add_exceptional,
    invert_chains,
)
from pvcnn.algebra.kernels.ifma.coordinates import BASE_FIELD, Coordinate
from pvcnn.algebra.kernels.ifma.field import LIMB_MASK, Element
from pvcnn.algebra.kernels.ifma.groups import AHEAD, CHAINS, IDENTITY_BOUND, KEPT, GroupEmitter
from pvcnn.algebra.kernels.ifma.operations import store_ones
from pvcnn.algebra.kernels.ifma.rows import address_of
from pvcnn.algebra.kernels.ifma.vectors import splat
from pvcnn.algebra.kernels.words import Builder, Value

_FIELD = BASE_FIELD


class DoublingEmitter(GroupEmitter):
    """Emits doublings of points over F_q (degree 1) or F_q^2 (degree 2)."""

    def forward_doubling(
        self, builder: Builder, operands: Value, targets: Value, kept: Value, chain: Value
    ) -> Value:
        """First pass: as `forward`, with the denominators 2 y."""
        operand = self._operands(builder, operands)
        self._fetch(builder, vectors.load(builder, operands, vectors.BYTES * AHEAD))
        if self._degree == 2:
            self._fetch(builder, vectors.load(builder, targets), write=True)
        x, y = self._x(builder, operand), self._y(builder, operand)
        exceptional = self._exceptional_doubling(builder, x, y)
        doubled = [_FIELD.normalise(builder, _twice_raised(builder, part)) for part in y]
        denominator = self._field.select(builder, exceptional, self._field.one(), doubled)
        product = self._field.load(builder, chain)
        for i, coordinate in enumerate((product, denominator, x)):
            self._field.store(builder, coordinate, kept, self._field.bytes * i)
        self._field.store(builder, self._field.multiply(builder, product, denominator), chain)
        return vectors.to_byte(builder, exceptional)

    def backward_doubling(
        self,
        builder: Builder,
        operands: Value,
        targets: Value,
        kept: Value,
        chain: Value,
        exceptional: Value,
        waste: Value,
    ) -> None:
        """Second pass: as `backward`, with the slope 3 x^2 / (2 y)."""
        field = self._field
        product, denominator, x = (field.load(builder, kept, field.bytes * i) for i in range(KEPT))
        remaining = field.load(builder, chain)
        inverse = field.multiply(builder, remaining, product)
        field.store(builder, field.multiply(builder, remaining, denominator), chain)
        y = self._y(builder, self._operands(builder, operands))
        squared = field.square(
            builder, [_FIELD.normalise(builder, _FIELD.raised(builder, part, 1)) for part in x]
        )
        tripled = [
            _FIELD.normalise(builder, [builder.mul(limb, splat(3)) for limb in part]) for part in squared
        ]
        slope = field.multiply(builder, tripled, inverse)
        x3 = [
            _FIELD.raise_if_below(builder, _minus_twice(builder, *parts), (0, -2))
            for parts in zip(field.square(builder, slope), x, strict=True)
        ]
        rise = field.multiply(builder, slope, field.subtract(builder, x, x3, 4))
        y3 = [
            _FIELD.raise_if_below(builder, _FIELD.raw_difference(builder, a, b), (0,))
            for a, b in zip(rise, y, strict=True)
        ]
        flags = vectors.to_flags(builder, exceptional)
        addresses = builder.select(flags, vectors.broadcast(builder, waste), vectors.load(builder, targets))
        self._scatter(builder, addresses, [*x3, *y3])

    def _exceptional_doubling(self, builder: Builder, x: Coordinate, y: Coordinate) -> Value:
        """Lanes whose y may be 0 modulo p, of which the lowest limbs tell, or whose point is the identity."""
        components = []
        for part in y:
            low = builder.and_(part[0], splat(LIMB_MASK))
            multiples = (splat(k * _FIELD.modulus & LIMB_MASK) for k in range(-2, 3))
            components.append(reduce(builder.or_, [builder.icmp_unsigned("==", low, m) for m in multiples]))
        identity = builder.icmp_signed(">", x[0][-1], splat(IDENTITY_BOUND))
        return builder.or_(reduce(builder.and_, components), identity)


def _twice_raised(builder: Builder, element: Element) -> Element:
    """2 element + 2 p, limb by limb."""
    return [builder.add(limb, limb) for limb in _FIELD.raised(builder, element, 1)]


def _minus_twice(builder: Builder, squared: Element, x: Element) -> Element:
    """squared - 2 x, limb by limb."""
    return _FIELD.raw_difference(builder, squared, [builder.add(limb, limb) for limb in x])


_EMITTERS = {degree: DoublingEmitter(degree) for degree in (1, 2)}


@intrinsic
def _forward(_context: Any, degree: Any, operands: Any, targets: Any, kept: Any, chain: Any) -> Any:
    """`DoublingEmitter.forward_doubling`."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        return _EMITTERS[degree.count].forward_doubling(builder, *arguments[1:])

    return types.uint8(degree, *[types.int64] * 4), generate


@intrinsic
def _backward(
    _context: Any,
    degree: Any,
    operands: Any,
    targets: Any,
    kept: Any,
    chain: Any,
    exceptional: Any,
    waste: Any,
) -> Any:
    """`DoublingEmitter.backward_doubling`."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        _EMITTERS[degree.count].backward_doubling(builder, *arguments[1:])
        return target.get_dummy_value()

    return types.void(degree, *[types.int64] * 4, types.uint8, types.int64), generate


@kernel
def double_points(degree: Any, tasks: Any, count: int, identity: int, workspace: int) -> None:
    """Doubles points: twice point tasks[0, i] is written to address tasks[2, i].

    tasks: as for `add_pairs`; row 1 is overwritten. identity: address of a row that holds it. A target may
    be its own task's operand.
    """
    exceptional = np.empty(SHARED // 8, np.uint8)
    for i in range(count, (count + 7) & ~7):
        tasks[0, i], tasks[2, i] = identity, workspace
    shared = SHARED // len(degree)
    for first in range(0, count, shared):
        stop = min(first + shared, count)
        _double_batch(degree, tasks, first, stop, workspace, exceptional)
        for group in range((stop - first + 7) >> 3):
            if exceptional[group] != 0:
                for i in range(first, stop):
                    tasks[1, i] = tasks[0, i]
                add_exceptional(degree, tasks, first, stop, exceptional)
                break


@kernel
def _double_batch(degree: Any, tasks: Any, first: int, stop: int, workspace: int, exceptional: Any) -> None:
    """All points but the exceptional ones; `exceptional` gets a byte a group that tells which those are."""
    size = ELEMENT * len(degree)
    groups = (stop - first + 7) >> 3
    chains, kept = workspace + CHAINS_AT, workspace + KEPT_AT
    for i in range(CHAINS):
        store_ones(degree, chains + size * i)
    operands, targets = address_of(tasks[0, first:]), address_of(tasks[2, first:])
    for group in range(groups):
        at, chain = 64 * group, chains + size * (group & (CHAINS - 1))
        own = kept + KEPT * size * group
        exceptional[group] = _forward(degree, operands + at, targets + at, own, chain)
    invert_chains(degree, workspace)
    for group in range(groups - 1, -1, -1):
        at, chain = 64 * group, chains + size * (group & (CHAINS - 1))
        own = kept + KEPT * size * group
        _backward(degree, operands + at, targets + at, own, chain, exceptional[group], workspace)
