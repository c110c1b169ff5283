"""LLVM code for the fields of the curves' coordinates: F_q, and F_q^2 as c0 + c1 u with u^2 = -1.

A coordinate is a list of one or two elements of F_q. Factors are normal and in [0, 8 p), and products
then in [0, p + 2^374): see `LazyField.multiply`, and 8 p 16 p < 2^35 R / 2^7.
"""

from __future__ import annotations

from typing import TypeAlias

from pvcnn.algebra.constants import BASE_MODULUS
from pvcnn.algebra.kernels.ifma import vectors
from pvcnn.algebra.kernels.ifma.field import Element, LazyField
from pvcnn.algebra.kernels.ifma.vectors import splat
from pvcnn.algebra.kernels.words import Builder, Value

#: Its elements.
Coordinate: TypeAlias = list[Element]

BASE_FIELD = LazyField("base", BASE_MODULUS, 8)
#: Bytes of a vector of eight elements of F_q.
ELEMENT_BYTES = vectors.BYTES * BASE_FIELD.limbs

_FIELD = BASE_FIELD


class CoordinateField:
    """F_q or F_q^2, by its degree."""

    def __init__(self, degree: int) -> None:
        self.degree = degree
        self.bytes = degree * ELEMENT_BYTES

    def one(self) -> Coordinate:
        return [_FIELD.constant(1), *([_FIELD.constant(0)] * (self.degree - 1))]

    def load(self, builder: Builder, address: Value, offset: int = 0) -> Coordinate:
        return [_FIELD.load(builder, address, offset + ELEMENT_BYTES * i) for i in range(self.degree)]

    def store(self, builder: Builder, coordinate: Coordinate, address: Value, offset: int = 0) -> None:
        for i, element in enumerate(coordinate):
            _FIELD.store(builder, element, address, offset + ELEMENT_BYTES * i)

    def multiply(self, builder: Builder, left: Coordinate, right: Coordinate) -> Coordinate:
        """The product, in [0, p + 2^374)."""
        if self.degree == 1:
            return [_FIELD.multiply(builder, left[0], right[0])]
        negated = negate(builder, right[1], 8)
        real = _FIELD.sum_of_products(builder, left[0], right[0], left[1], negated)
        return [real, _FIELD.sum_of_products(builder, left[0], right[1], left[1], right[0])]

    def square(self, builder: Builder, value: Coordinate) -> Coordinate:
        """The square, in [0, p + 2^374)."""
        if self.degree == 1:
            return [_FIELD.square(builder, value[0])]
        total = _FIELD.add(builder, value[0], value[1])
        difference = _FIELD.subtract(builder, value[0], value[1], 8)
        doubled = _FIELD.add(builder, value[0], value[0])
        real = _FIELD.multiply(builder, total, difference)
        return [real, _FIELD.multiply(builder, doubled, value[1])]

    def subtract(self, builder: Builder, left: Coordinate, right: Coordinate, multiple: int) -> Coordinate:
        """left - right + multiple p."""
        pairs = zip(left, right, strict=True)
        return [_FIELD.subtract(builder, a, b, multiple) for a, b in pairs]

    def select(self, builder: Builder, flags: Value, chosen: Coordinate, other: Coordinate) -> Coordinate:
        pairs = zip(chosen, other, strict=True)
        return [_FIELD.select(builder, flags, a, b) for a, b in pairs]

    def norm(self, builder: Builder, value: Coordinate) -> Element:
        """The norm into F_q: a0^2 + a1^2, or the element itself."""
        if self.degree == 1:
            return value[0]
        return _FIELD.sum_of_products(builder, value[0], value[0], value[1], value[1])

    def times_conjugate(self, builder: Builder, value: Coordinate, factor: Element) -> Coordinate:
        """factor (a0 - a1 u), or the factor itself: 1 / value if factor is 1 / norm. In [0, 2 p]."""
        if self.degree == 1:
            return [factor]
        imaginary = _FIELD.multiply(builder, value[1], factor)
        return [_FIELD.multiply(builder, value[0], factor), negate(builder, imaginary, 2)]


def negate(builder: Builder, element: Element, multiple: int) -> Element:
    """multiple p - element, normalised."""
    return _FIELD.subtract(builder, [splat(0)] * _FIELD.limbs, element, multiple)
