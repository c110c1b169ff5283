"""LLVM code for F_r on eight lanes: five limbs of 52 bits, so numbers below 2^260 = 35.3 r.

Numbers are reduced lazily. Every element carries the bound on its number and on its limbs, and each
operation checks what it needs when its code is emitted: a bound that does not hold is an error at
compile time, never a wrong result.

In memory elements have the Montgomery factor 2^256 and products divide by 2^260. So a factor that is to
leave the other's form alone is k 2^260 for a k in F_r, and of two elements from memory one has to be
multiplied by 16 (`pvcnn.algebra.kernels.ifma_scalars.blocks` does that while it splits words).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final

from llvmlite import ir

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.kernels.ifma.field import LIMB_BITS, LIMB_MASK, LazyField
from pvcnn.algebra.kernels.ifma.vectors import LANES, VECTOR, splat
from pvcnn.algebra.kernels.words import Builder, Value

LIMBS: Final = 5
#: What bounds of numbers are multiples of: 2^260 and 2^255.
CAPACITY: Final = Fraction(1 << (LIMB_BITS * LIMBS), SCALAR_MODULUS)
_FOLD: Final = Fraction(1 << 255, SCALAR_MODULUS)
#: By how much an estimate from the two upper limbs may be off.
_SLACK: Final = Fraction(1 << 209, SCALAR_MODULUS)
#: Limbs stay below this many times 2^52: 2^61, so that sums of a few can't overflow.
_LARGEST_LIMB: Final = 512
#: A column of a product and its reduction gets at most 20 halves of 52 bits and a carry.
_PRODUCT_LIMB: Final = 21
#: A column grows by at most so many times 2^52 with each product that is added.
COLUMN_GROWTH: Final = 2 * LIMBS


@dataclass(frozen=True)
class Lazy:
    """Eight numbers in [0, bound r), one a lane. Limbs are below `size` 2^52 in magnitude.

    size 1 means normal: no limb is negative either, as factors of products must be.
    """

    limbs: Sequence[Value]
    bound: Fraction
    size: int

    def __post_init__(self) -> None:
        if len(self.limbs) != LIMBS or self.bound > CAPACITY or self.size > _LARGEST_LIMB:
            raise ValueError(f"beyond the lanes: {len(self.limbs)} limbs, {self.bound} r, {self.size} 2^52")


class ScalarLanes:
    """Emits the arithmetic of F_r, inline."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder

    def constant(self, value: int) -> Lazy:
        """k 2^260 mod r for the integer k, in every lane."""
        return self.constants([value] * LANES)

    def constants(self, values: Sequence[int]) -> Lazy:
        """k 2^260 mod r for an integer k in each lane."""
        rows = [_FIELD.split(value * _FIELD.radix % SCALAR_MODULUS) for value in values]
        limbs = [ir.Constant(VECTOR, [row[i] for row in rows]) for i in range(LIMBS)]
        return Lazy(limbs, Fraction(1), 1)

    def add(self, left: Lazy, right: Lazy) -> Lazy:
        limbs = [self.builder.add(a, b) for a, b in zip(left.limbs, right.limbs, strict=True)]
        return Lazy(limbs, left.bound + right.bound, left.size + right.size)

    def subtract(self, left: Lazy, right: Lazy) -> Lazy:
        """left - right plus the multiple of r that keeps it from becoming negative."""
        multiple = ceil(right.bound)
        raised = _FIELD.raised(self.builder, list(left.limbs), multiple)
        limbs = _FIELD.raw_difference(self.builder, raised, list(right.limbs))
        return Lazy(limbs, left.bound + multiple, left.size + right.size + 1)

    def normal(self, element: Lazy) -> Lazy:
        """The same numbers, normal."""
        if element.size == 1:
            return element
        return Lazy(_FIELD.normalise(self.builder, list(element.limbs)), element.bound, 1)

    def product(self, left: Lazy, right: Lazy) -> Lazy:
        """left right / 2^260, below (left right / 35.3 + 1) r.

        Montgomery's product, one limb of `right` at a time: a row's products come before those with its
        multiple of r, which has to be waited for.
        """
        left, right = self.normal(left), self.normal(right)
        columns = [splat(0)] * (LIMBS + 1)
        for j in range(LIMBS):
            columns[j] = self.multiply_low(columns[j], left.limbs[j], right.limbs[0])
        for i in range(LIMBS):
            multiple = self.multiply_low(splat(0), columns[0], _NEGATIVE_INVERSE)
            for j in range(LIMBS):
                columns[j + 1] = self.multiply_high(columns[j + 1], left.limbs[j], right.limbs[i])
            if i + 1 < LIMBS:
                for j in range(LIMBS):
                    columns[j + 1] = self.multiply_low(columns[j + 1], left.limbs[j], right.limbs[i + 1])
            columns = [*self._cleared(columns, multiple), splat(0)]
        return Lazy(columns[:LIMBS], left.bound * right.bound / CAPACITY + 1, _PRODUCT_LIMB)

    def sum_of_products(self, *factors: Lazy) -> Lazy:
        """(a b + c d) / 2^260 with one reduction, below ((a b + c d) / 35.3 + 1) r. factors: a, b, c, d."""
        normal = [self.normal(factor) for factor in factors]
        columns = [splat(0)] * (2 * LIMBS)
        for left, right in zip(normal[::2], normal[1::2], strict=True):
            columns = self.add_product(columns, left, right)
        total = sum((a.bound * b.bound for a, b in zip(normal[::2], normal[1::2], strict=True)), Fraction(0))
        return self.reduced(columns, total, COLUMN_GROWTH * len(factors) // 2)

    def reduced(self, columns: Sequence[Value], bound: Fraction, size: int) -> Lazy:
        """columns / 2^260, of ten columns below size 2^52 that are a number below bound r^2."""
        for _ in range(LIMBS):
            multiple = self.multiply_low(splat(0), columns[0], _NEGATIVE_INVERSE)
            columns = self._cleared(columns, multiple)
        return Lazy(columns, bound / CAPACITY + 1, size + _PRODUCT_LIMB)

    def add_product(self, columns: Sequence[Value], left: Lazy, right: Lazy) -> list[Value]:
        """columns plus the ten of left right, normal factors: none grows by more than 10 2^52."""
        out = list(columns)
        for i, factor in enumerate(right.limbs):
            for j, limb in enumerate(left.limbs):
                out[i + j] = self.multiply_low(out[i + j], limb, factor)
            for j, limb in enumerate(left.limbs):
                out[i + j + 1] = self.multiply_high(out[i + j + 1], limb, factor)
        return out

    def folded(self, element: Lazy) -> Lazy:
        """The same residues below 1.84 r, of numbers below 8.8 r; or below 3.7 r, of numbers below 17.6 r.

        With u = 2^255 = 1.104 r this subtracts i r for the i with i u <= number < (i + 1) u: as u exceeds
        r nothing becomes negative, and at most u + 7 (u - r) is left. In the second case u = 2^256 and
        2 r are taken. Such an i is known from the upper limbs, up to the slack.
        """
        builder = self.builder
        step = 1 if element.bound + _SLACK <= LANES * _FOLD else 2
        if element.bound + _SLACK > LANES * step * _FOLD:
            raise ValueError(f"numbers up to {element.bound} r can't be folded")
        estimate = builder.add(element.limbs[-1], builder.ashr(element.limbs[-2], splat(LIMB_BITS)))
        # Just above 0 the estimate may be -1, where lower limbs make up for it.
        positive = builder.icmp_signed(">", estimate, splat(0))
        estimate = builder.select(positive, estimate, splat(0))
        index = builder.lshr(estimate, splat(254 + step - LIMB_BITS * (LIMBS - 1)))
        table = [_FIELD.split(i * step * SCALAR_MODULUS) for i in range(LANES)]
        limbs = [
            builder.sub(limb, self._picked([row[i] for row in table], index))
            for i, limb in enumerate(element.limbs)
        ]
        largest = min(LANES - 1, int(element.bound / (step * _FOLD)))
        return Lazy(limbs, step * (_FOLD + largest * (_FOLD - 1)) + _SLACK, element.size + 1)

    def canonical(self, element: Lazy) -> Lazy:
        """The same residues in [0, r), normal, of numbers below 2 r."""
        if element.bound > 2:
            raise ValueError(f"numbers up to {element.bound} r take more than one subtraction")
        normal = _FIELD.normalise(self.builder, list(element.limbs))
        return Lazy(_FIELD.reduce_once(self.builder, normal), Fraction(1), 1)

    def select(self, flags: Value, chosen: Lazy, other: Lazy) -> Lazy:
        """In each lane `chosen` where its flag is set, else `other`."""
        limbs = [self.builder.select(flags, a, b) for a, b in zip(chosen.limbs, other.limbs, strict=True)]
        return Lazy(limbs, max(chosen.bound, other.bound), max(chosen.size, other.size))

    def multiply_low(self, total: Value, left: Value, right: Value) -> Value:
        """total plus the low 52 bits of the product of the low 52 bits of left and right."""
        return self._call("llvm.x86.avx512.vpmadd52l.uq.512", total, left, right)

    def multiply_high(self, total: Value, left: Value, right: Value) -> Value:
        """total plus bits 52 to 103 of the product of the low 52 bits of left and right."""
        return self._call("llvm.x86.avx512.vpmadd52h.uq.512", total, left, right)

    def _cleared(self, columns: Sequence[Value], multiple: Value) -> list[Value]:
        """(columns + multiple r) / 2^52: what is left of the lowest column is its carry.

        The multiple makes that column's low 52 bits 0, so they carry 1 unless they were 0 before.
        """
        builder = self.builder
        carry = builder.lshr(builder.add(columns[0], splat(LIMB_MASK)), splat(LIMB_BITS))
        carry = builder.add(carry, self.multiply_high(splat(0), multiple, _MODULUS[0]))
        out = list(columns[1:])
        for j in range(1, LIMBS):
            out[j - 1] = self.multiply_low(out[j - 1], multiple, _MODULUS[j])
        for j in range(1, LIMBS):
            out[j] = self.multiply_high(out[j], multiple, _MODULUS[j])
        out[0] = builder.add(out[0], carry)
        return out

    def _picked(self, table: Sequence[int], index: Value) -> Value:
        """In each lane table[index], the index below eight."""
        return self._call("llvm.x86.avx512.permvar.di.512", ir.Constant(VECTOR, list(table)), index)

    def _call(self, name: str, *arguments: Value) -> Value:
        module = self.builder.module
        kind = ir.FunctionType(VECTOR, [VECTOR] * len(arguments))
        function = module.globals.get(name) or ir.Function(module, kind, name)
        return self.builder.call(function, arguments)


_FIELD = LazyField("scalar", SCALAR_MODULUS, LIMBS)
_MODULUS = _FIELD.words(SCALAR_MODULUS)
_NEGATIVE_INVERSE = splat(-pow(SCALAR_MODULUS, -1, 1 << LIMB_BITS) & LIMB_MASK)
