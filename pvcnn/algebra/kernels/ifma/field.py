"""LLVM code for a prime field on eight lanes, with limbs of 52 bits and lazy reduction.

An element is n vectors, least significant limb first; lane i of them is a number, in Montgomery form
with R = 2^(52 n). The n-bit fields' multiply-and-add instructions take the low 52 bits of a word and
give 52 bits of the product to add to a word: so operands of products must be *normal*, every limb in
[0, 2^52), and up to 2^12 of those results add up without a carry.

Numbers need not be below p, only congruent. With p much smaller than R, products bring everything back:
of factors in [0, k p) and [0, l p) the product is in [0, (k l p / R + 1) p). Each function states what
it takes and gives. Sums and differences may have limbs of any sign until they are normalised, which
leaves limbs but the top one in [0, 2^52) and the top one signed: normal if the number is not negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from llvmlite import ir

from pvcnn.algebra.kernels.ifma import vectors
from pvcnn.algebra.kernels.ifma.vectors import VECTOR, splat
from pvcnn.algebra.kernels.words import Builder, Value, call_shared, pack, unpack

#: The limbs of an element, each a vector.
Element: TypeAlias = list[Value]

LIMB_BITS = 52
LIMB_MASK = (1 << LIMB_BITS) - 1


class LazyField:
    """Emits the arithmetic of one prime field."""

    def __init__(self, name: str, modulus: int, limbs: int) -> None:
        self.name = name
        self.modulus = modulus
        self.limbs = limbs
        self.radix = 1 << (LIMB_BITS * limbs)
        self._type = ir.ArrayType(VECTOR, limbs)
        self._modulus_limbs = [splat(limb) for limb in self.split(modulus)]
        self._negative_inverse = splat(-pow(modulus, -1, 1 << LIMB_BITS) & LIMB_MASK)

    def split(self, value: int) -> list[int]:
        """The limbs of an integer; the top one takes what is left, sign included."""
        top = LIMB_BITS * (self.limbs - 1)
        return [(value >> at) & LIMB_MASK for at in range(0, top, LIMB_BITS)] + [value >> top]

    def words(self, value: int) -> Element:
        """The limbs of an integer as they are, in every lane."""
        return [splat(limb) for limb in self.split(value)]

    def constant(self, value: int) -> Element:
        """The element of an integer, brought into Montgomery form."""
        return self.words(value * self.radix % self.modulus)

    def load(self, builder: Builder, address: Value, offset: int = 0) -> Element:
        step = vectors.BYTES
        return [vectors.load(builder, address, offset + step * i) for i in range(self.limbs)]

    def store(self, builder: Builder, element: Element, address: Value, offset: int = 0) -> None:
        for i, limb in enumerate(element):
            vectors.store(builder, limb, address, offset + vectors.BYTES * i)

    # Products: of normal numbers, and normal.

    def multiply(self, builder: Builder, left: Element, right: Element) -> Element:
        """left right / R, in [0, p + left right / R)."""
        return self._shared(builder, "multiply", self._sum_of_products, left, right)

    def sum_of_products(self, builder: Builder, *factors: Element) -> Element:
        """(a b + c d) / R with one reduction, in [0, p + (a b + c d) / R). factors: a, b, c, d."""
        return self._shared(builder, "sum_of_products", self._sum_of_products, *factors)

    def square(self, builder: Builder, element: Element) -> Element:
        """element^2 / R, in [0, p + element^2 / R)."""
        return self._shared(builder, "square", self._square, element)

    # Sums: of limbs in (-2^60, 2^60).

    def normalise(self, builder: Builder, limbs: Sequence[Value]) -> Element:
        """The same number with all limbs but the top one in [0, 2^52)."""
        out = []
        carried = limbs[0]
        for limb in limbs[1:]:
            out.append(builder.and_(carried, splat(LIMB_MASK)))
            carried = builder.add(limb, builder.ashr(carried, splat(LIMB_BITS)))
        return [*out, carried]

    def add(self, builder: Builder, left: Element, right: Element) -> Element:
        """left + right, normalised."""
        return self.normalise(builder, [builder.add(a, b) for a, b in zip(left, right, strict=True)])

    def subtract(self, builder: Builder, left: Element, right: Element, multiple: int) -> Element:
        """left - right + multiple p, normalised."""
        raised = self.raised(builder, left, multiple)
        return self.normalise(builder, self.raw_difference(builder, raised, right))

    def raised(self, builder: Builder, element: Element, multiple: int) -> Element:
        """element + multiple p, limb by limb."""
        offset = self.words(multiple * self.modulus)
        return [builder.add(limb, add) for limb, add in zip(element, offset, strict=True)]

    def raw_difference(self, builder: Builder, left: Element, right: Element) -> Element:
        """left - right, limb by limb."""
        return [builder.sub(a, b) for a, b in zip(left, right, strict=True)]

    def select(self, builder: Builder, flags: Value, chosen: Element, other: Element) -> Element:
        """In each lane `chosen` where the flag is set, else `other`."""
        return [builder.select(flags, a, b) for a, b in zip(chosen, other, strict=True)]

    def raise_if_below(self, builder: Builder, element: Element, bounds: Sequence[int]) -> Element:
        """Normalised: element plus 2 p for each bound b (a multiple of p) that it is about below.

        What is compared is the top limb plus the next one's carry, which differs from the floor of
        element / 2^(52 (n - 1)) by at most 1 while limbs are in (-2^60, 2^60) but the next one's in
        (-2^62, 2^62). So in units of u = 2^(52 (n - 1)): lanes that get 2 p are below b p + 2 u, those
        that don't are at least b p - u.
        """
        estimate = builder.add(element[-1], builder.ashr(element[-2], splat(LIMB_BITS)))
        for bound in bounds:
            threshold = splat((bound * self.modulus) >> (LIMB_BITS * (self.limbs - 1)))
            below = builder.icmp_signed("<=", estimate, threshold)
            element = self.select(builder, below, self.raised(builder, element, 2), element)
        return self.normalise(builder, element)

    def reduce_once(self, builder: Builder, element: Element) -> Element:
        """Of a normal number in [0, 2 p): its residue in [0, p)."""
        lowered = self.normalise(builder, self.raised(builder, element, -1))
        negative = builder.icmp_signed("<", lowered[-1], splat(0))
        return self.select(builder, negative, element, lowered)

    def _shared(
        self, builder: Builder, operation: str, body: Callable[..., Element], *elements: Element
    ) -> Element:
        """One copy of a long operation in the module, called: inlined everywhere it fills the caches."""

        def emit(inner: Builder, *arguments: Value) -> Value:
            limbs = [unpack(inner, argument) for argument in arguments]
            return pack(inner, self._type, body(inner, *limbs))

        packed = [pack(builder, self._type, element) for element in elements]
        name = f"pvcnn.ifma.{self.name}.{operation}"
        return unpack(builder, call_shared(builder, name, "noinline", self._type, emit, *packed))

    def _sum_of_products(self, builder: Builder, *factors: Element) -> Element:
        """Montgomery's product, one limb of the second factors at a time.

        In each row the products of the factors come before those with the row's multiple of p, which
        has to be waited for. A column gets at most 2 m + 2 halves of products in each of n rows, m the
        number of pairs of factors: below 2^12 in all.
        """
        low, high = _multiply_adders(builder)
        n = self.limbs
        pairs = list(zip(factors[::2], factors[1::2], strict=True))
        columns: list[Value] = [splat(0)] * n
        for left, right in pairs:
            columns = [low(columns[j], left[j], right[0]) for j in range(n)]
        columns.append(splat(0))
        for i in range(n):
            multiple = low(splat(0), columns[0], self._negative_inverse)
            for left, right in pairs:
                for j in range(n):
                    columns[j + 1] = high(columns[j + 1], left[j], right[i])
                for j in range(n if i + 1 < n else 0):
                    columns[j + 1] = low(columns[j + 1], left[j], right[i + 1])
            columns = [*self._add_multiple(builder, columns, multiple)[1:], splat(0)]
        return self.normalise(builder, columns[:n])

    def _add_multiple(self, builder: Builder, columns: Sequence[Value], multiple: Value) -> list[Value]:
        """columns + multiple p, with the lowest column, whose low 52 bits become 0, carried on.

        What the lowest column carries is known before the multiple is: it is rounded up.
        """
        low, high = _multiply_adders(builder)
        out, modulus = list(columns), self._modulus_limbs
        carry = builder.lshr(builder.add(out[0], splat(LIMB_MASK)), splat(LIMB_BITS))
        carry = high(carry, multiple, modulus[0])
        for j in range(1, self.limbs):
            out[j] = low(out[j], multiple, modulus[j])
        for j in range(1, self.limbs):
            out[j + 1] = high(out[j + 1], multiple, modulus[j])
        out[1] = builder.add(out[1], carry)
        return out

    def _square(self, builder: Builder, element: Element) -> Element:
        """The whole square, in which mixed products are counted twice, then its reduction."""
        low, high = _multiply_adders(builder)
        n = self.limbs
        columns: list[Value] = [splat(0)] * (2 * n)
        for i in range(n):
            for j in range(i + 1, n):
                columns[i + j] = low(columns[i + j], element[j], element[i])
                columns[i + j + 1] = high(columns[i + j + 1], element[j], element[i])
        columns = [builder.add(column, column) for column in columns]
        for i in range(n):
            columns[2 * i] = low(columns[2 * i], element[i], element[i])
            columns[2 * i + 1] = high(columns[2 * i + 1], element[i], element[i])
        for i in range(n):
            multiple = low(splat(0), columns[i], self._negative_inverse)
            columns[i : i + n + 1] = self._add_multiple(builder, columns[i : i + n + 1], multiple)
        return self.normalise(builder, columns[n:])


def _multiply_adders(builder: Builder) -> tuple[Callable[..., Value], Callable[..., Value]]:
    """The two instructions: (total, a, b) to total + low or high 52 bits of a b."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)

    def instruction(name: str) -> Callable[..., Value]:
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return lambda total, left, right: builder.call(function, [total, left, right])

    return instruction("llvm.x86.avx512.vpmadd52l.uq.512"), instruction("llvm.x86.avx512.vpmadd52h.uq.512")
