"""LLVM code for eight additions of points at a time: the two passes of a batch, and its inversion.

In memory a point is its coordinates' elements of F_q, each a line of eight limbs, normalised; negative
numbers have a negative top limb. The identity has IDENTITY_LIMB as top limb of its first element. With
u = 2^364 and e = 2^374 (p is about 2^380.7), numbers are in

    x: [-4 u, 2 p + 2 u]    y: [-2 u, 2 p + 2 u]

which is closed under negation, as 2 p - y, and under addition: the differences x2 - x1 + 4 p, y2 - y1 +
4 p and x1 - x3 + 4 p are in (p, 7 p), factors as `coordinates` wants them, so their products in [0, p +
e]. x3 = s^2 - x1 - x2 is in [-4 p - 4 u, p + e + 8 u] and, with 2 p added once or twice by
`raise_if_below` (0, -2), in [-4 u, 2 p + 2 u]; y3 = t - y1 is in [-2 p - 2 u, p + e + 2 u] and, with 2 p
added once or not at all, in [-2 u, 2 p + 2 u].

The difference of two x is a multiple of p only if it is one of -2 p, .., 2 p, of which the lowest
limbs tell. Lanes where they do, or where an operand is the identity, are *exceptional*: left out
here (their denominator becomes 1, their result goes to waste) and seen to by `additions`.
"""

from __future__ import annotations

from functools import reduce
from typing import Final

from pvcnn.algebra.kernels.ifma import vectors
from pvcnn.algebra.kernels.ifma.coordinates import (
    BASE_FIELD,
    ELEMENT_BYTES,
    Coordinate,
    CoordinateField,
)
from pvcnn.algebra.kernels.ifma.field import LIMB_MASK, Element
from pvcnn.algebra.kernels.ifma.vectors import BYTES, LANES, splat
from pvcnn.algebra.kernels.words import WORD, Builder, Value

#: The top limb of the identity's first element; those of numbers are below IDENTITY_BOUND.
IDENTITY_LIMB: Final = 1 << 60
IDENTITY_BOUND: Final = 1 << 40
#: Chains of products in a batch: one alone would wait for each product's result.
CHAINS: Final = 4
#: Elements of F_q that the inversion of a batch's product keeps.
SAVED_ELEMENTS: Final = CHAINS + 6

_FIELD = BASE_FIELD
#: Coordinates that a group keeps from the first pass for the second.
KEPT: Final = 3
#: Groups ahead whose operands are asked for.
AHEAD: Final = 8


class GroupEmitter:
    """Emits the operations on points over F_q (degree 1) or F_q^2 (degree 2)."""

    def __init__(self, degree: int) -> None:
        self._field = CoordinateField(degree)
        self._degree = degree
        self._point_bytes = 2 * degree * BYTES

    def forward(
        self, builder: Builder, lefts: Value, rights: Value, targets: Value, kept: Value, chain: Value
    ) -> Value:
        """First pass: the chain's product is multiplied by the denominators x2 - x1.

        What the second pass needs goes to `kept`: the product before, the denominators, and the left x.
        lefts, rights, targets: where eight addresses are. Returns the exceptional lanes, as a byte.
        """
        left, right = self._operands(builder, lefts), self._operands(builder, rights)
        for operands in (lefts, rights):
            self._fetch(builder, vectors.load(builder, operands, BYTES * AHEAD))
        if self._degree == 2:  # four lines to write: they don't come in time by themselves
            self._fetch(builder, vectors.load(builder, targets), write=True)
        x1, x2 = self._x(builder, left), self._x(builder, right)
        difference = self._field.subtract(builder, x2, x1, 4)
        exceptional = self._exceptional(builder, x1, x2)
        denominator = self._field.select(builder, exceptional, self._field.one(), difference)
        product = self._field.load(builder, chain)
        for i, coordinate in enumerate((product, denominator, x1)):
            self._field.store(builder, coordinate, kept, self._field.bytes * i)
        self._field.store(builder, self._field.multiply(builder, product, denominator), chain)
        return vectors.to_byte(builder, exceptional)

    def backward(
        self,
        builder: Builder,
        lefts: Value,
        rights: Value,
        targets: Value,
        kept: Value,
        chain: Value,
        exceptional: Value,
        waste: Value,
    ) -> None:
        """Second pass, groups in reverse order: sums go to `targets`, of exceptional lanes to `waste`.

        chain: the inverse of the chain's product up to this group, which becomes the one before it.
        """
        field = self._field
        product, denominator, x1 = (field.load(builder, kept, field.bytes * i) for i in range(KEPT))
        remaining = field.load(builder, chain)
        inverse = field.multiply(builder, remaining, product)
        field.store(builder, field.multiply(builder, remaining, denominator), chain)
        left, right = self._operands(builder, lefts), self._operands(builder, rights)
        y1, y2 = self._y(builder, left), self._y(builder, right)
        slope = field.multiply(builder, field.subtract(builder, y2, y1, 4), inverse)
        x3 = [
            _FIELD.raise_if_below(builder, _x3(builder, *elements), (0, -2))
            for elements in zip(field.square(builder, slope), x1, denominator, strict=True)
        ]
        rise = field.multiply(builder, slope, field.subtract(builder, x1, x3, 4))
        y3 = [
            _FIELD.raise_if_below(builder, _FIELD.raw_difference(builder, a, b), (0,))
            for a, b in zip(rise, y1, strict=True)
        ]
        flags = vectors.to_flags(builder, exceptional)
        addresses = builder.select(flags, vectors.broadcast(builder, waste), vectors.load(builder, targets))
        self._scatter(builder, addresses, [*x3, *y3])

    def fold(self, builder: Builder, chains: Value, saved: Value) -> None:
        """The product of all lanes of all chains (their norms): every lane of the last saved element."""
        field = _FIELD
        norms = [
            self._field.norm(builder, self._field.load(builder, chains, self._field.bytes * i))
            for i in range(CHAINS)
        ]
        first, second = (field.multiply(builder, norms[i], norms[i + 1]) for i in (0, 2))
        keep = [*norms, first, second]
        product = field.multiply(builder, first, second)
        for distance in (4, 2, 1):
            rotated = _rotate(builder, product, distance)
            keep.append(rotated)
            product = field.multiply(builder, product, rotated)
        for i, element in enumerate([*keep, product]):
            field.store(builder, element, saved, ELEMENT_BYTES * i)

    def unfold(self, builder: Builder, chains: Value, saved: Value, inverse: Value) -> None:
        """Chains become their inverses, given the inverse of what `fold` gave (address of its limbs)."""
        field = _FIELD
        *norms, first, second, by_four, by_two, by_one = (
            field.load(builder, saved, ELEMENT_BYTES * i) for i in range(CHAINS + 5)
        )
        single = vectors.load(builder, inverse)
        current = [vectors.broadcast(builder, vectors.lane(builder, single, i)) for i in range(field.limbs)]
        for rotated in (by_one, by_two, by_four):
            current = field.multiply(builder, current, rotated)
        halves = field.multiply(builder, current, second), field.multiply(builder, current, first)
        for i, norm_inverse in enumerate(
            field.multiply(builder, halves[i // 2], norms[i ^ 1]) for i in range(CHAINS)
        ):
            at = self._field.bytes * i
            value = self._field.load(builder, chains, at)
            self._field.store(builder, self._field.times_conjugate(builder, value, norm_inverse), chains, at)

    def _operands(self, builder: Builder, operands: Value) -> tuple[Value, Value]:
        """Addresses of eight points, and flags where their negatives are meant."""
        loaded = vectors.load(builder, operands)
        negative = builder.icmp_unsigned("!=", builder.and_(loaded, splat(1)), splat(0))
        return builder.and_(loaded, splat(-2)), negative

    def _fetch(self, builder: Builder, addresses: Value, *, write: bool = False) -> None:
        """Asks for the lines of eight points."""
        for i in range(LANES):
            address = vectors.lane(builder, addresses, i)
            for offset in range(0, self._point_bytes, BYTES):
                vectors.prefetch(builder, builder.add(address, WORD(offset)), write=write)

    def _x(self, builder: Builder, operands: tuple[Value, Value]) -> Coordinate:
        return [_gather(builder, operands[0], BYTES * i) for i in range(self._degree)]

    def _y(self, builder: Builder, operands: tuple[Value, Value]) -> Coordinate:
        """With the operands' signs; limbs may be negative."""
        out = []
        for i in range(self._degree):
            y = _gather(builder, operands[0], BYTES * (self._degree + i))
            negated = _FIELD.raw_difference(builder, _FIELD.words(2 * _FIELD.modulus), y)
            out.append(_FIELD.select(builder, operands[1], negated, y))
        return out

    def _exceptional(self, builder: Builder, x1: Coordinate, x2: Coordinate) -> Value:
        """Lanes where x1 - x2 may be 0 modulo p, or one of the two is the identity's."""
        components = []
        for a, b in zip(x1, x2, strict=True):
            low = builder.and_(builder.sub(a[0], b[0]), splat(LIMB_MASK))
            multiples = (splat(k * _FIELD.modulus & LIMB_MASK) for k in range(-2, 3))
            components.append(reduce(builder.or_, [builder.icmp_unsigned("==", low, m) for m in multiples]))
        tops = (x1[0][-1], x2[0][-1])
        identities = [builder.icmp_signed(">", top, splat(IDENTITY_BOUND)) for top in tops]
        return builder.or_(reduce(builder.and_, components), builder.or_(*identities))

    def _scatter(self, builder: Builder, addresses: Value, elements: list[Element]) -> None:
        """Writes each lane of the elements to its address, a line an element."""
        for i, element in enumerate(elements):
            for at, row in enumerate(vectors.transpose(builder, element)):
                vectors.store(builder, row, vectors.lane(builder, addresses, at), BYTES * i)


def _gather(builder: Builder, addresses: Value, offset: int) -> Element:
    """The element of eight points that lies `offset` bytes from their addresses."""
    rows = [vectors.load(builder, vectors.lane(builder, addresses, i), offset) for i in range(LANES)]
    return vectors.transpose(builder, rows)


def _x3(builder: Builder, squared: Element, x1: Element, denominator: Element) -> Element:
    """squared - x1 - x2, limb by limb, where the denominator is x2 - x1 + 4 p."""
    twice = [builder.add(limb, limb) for limb in x1]
    raised = _FIELD.raised(builder, _FIELD.raw_difference(builder, squared, twice), 4)
    return _FIELD.raw_difference(builder, raised, denominator)


def _rotate(builder: Builder, element: Element, distance: int) -> Element:
    return [vectors.rotate_lanes(builder, limb, distance) for limb in element]
