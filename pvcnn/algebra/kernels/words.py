"""LLVM code for arithmetic modulo a prime on 64-bit words: what the fields' intrinsics are made of.

An element is an LLVM array of n words, least significant first, in Montgomery form (x 2^(64 n) mod
p), reduced to [0, p). The prime's top word must be below 2^63 - 1: then a row of the Montgomery
product needs no word beyond the n-th (the bound that gnark and arkworks use).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from llvmlite import ir

#: llvmlite's builders and values are untyped.
Builder: TypeAlias = Any
Value: TypeAlias = Any

WORD = ir.IntType(64)
_DOUBLE = ir.IntType(128)
_WORD_MASK = (1 << 64) - 1


class PrimeField:
    """Emits the arithmetic of one prime field into the module that is being built."""

    def __init__(self, name: str, modulus: int, words: int) -> None:
        if modulus >> (64 * (words - 1)) >= (1 << 63) - 1:
            raise ValueError("the modulus is too large for the products' carry bound")
        self.name = name
        self.modulus = modulus
        self.words = words
        self.element = ir.ArrayType(WORD, words)
        self._wide = ir.IntType(64 * words)
        self._modulus_words = [(modulus >> (64 * i)) & _WORD_MASK for i in range(words)]
        self._negative_inverse = -pow(modulus, -1, 1 << 64) % (1 << 64)

    def constant(self, value: int) -> Value:
        """The element whose words are those of `value`, as it stands (no conversion)."""
        return ir.Constant(self.element, [(value >> (64 * i)) & _WORD_MASK for i in range(self.words)])

    def unpack(self, builder: Builder, element: Value) -> list[Value]:
        return [builder.extract_value(element, i) for i in range(self.words)]

    def pack(self, builder: Builder, words: Sequence[Value]) -> Value:
        element = ir.Constant(self.element, ir.Undefined)
        for i, word in enumerate(words):
            element = builder.insert_value(element, word, i)
        return element

    def multiply(self, builder: Builder, left: Value, right: Value) -> Value:
        """left right / 2^(64 n) mod p. `left` must be reduced; `right` may be any n words."""
        return self._call(builder, "multiply", self._multiply_words, left, right)

    def add(self, builder: Builder, left: Value, right: Value) -> Value:
        """left + right mod p. The sum of two reduced elements fits n words."""
        total = builder.add(self._join(builder, left), self._join(builder, right))
        return self._split(builder, self._subtract_once(builder, total))

    def subtract(self, builder: Builder, left: Value, right: Value) -> Value:
        wide_left, wide_right = self._join(builder, left), self._join(builder, right)
        borrowed = builder.icmp_unsigned("<", wide_left, wide_right)
        correction = builder.select(borrowed, self._wide(self.modulus), self._wide(0))
        return self._split(builder, builder.add(builder.sub(wide_left, wide_right), correction))

    def is_zero(self, builder: Builder, element: Value) -> Value:
        return builder.icmp_unsigned("==", self._join(builder, element), self._wide(0))

    def equal(self, builder: Builder, left: Value, right: Value) -> Value:
        return builder.icmp_unsigned("==", self._join(builder, left), self._join(builder, right))

    def is_reduced(self, builder: Builder, element: Value) -> Value:
        return builder.icmp_unsigned("<", self._join(builder, element), self._wide(self.modulus))

    def exceeds(self, builder: Builder, element: Value, bound: int) -> Value:
        """Whether the words, read as an integer, exceed `bound`."""
        return builder.icmp_unsigned(">", self._join(builder, element), self._wide(bound))

    def _join(self, builder: Builder, element: Value) -> Value:
        return join_words(builder, self.unpack(builder, element), self._wide)

    def _split(self, builder: Builder, wide: Value) -> Value:
        return self.pack(builder, split_words(builder, wide, self.words))

    def _subtract_once(self, builder: Builder, wide: Value) -> Value:
        """wide mod p for wide in [0, 2p)."""
        reduced = builder.icmp_unsigned("<", wide, self._wide(self.modulus))
        return builder.select(reduced, wide, builder.sub(wide, self._wide(self.modulus)))

    def _multiply_words(self, builder: Builder, left: Value, right: Value) -> Value:
        """Montgomery's product, one word of `right` at a time, fully unrolled.

        Before and after each row the accumulator is below 2p: with a < p the row's sum is
        (t + a b_i + m p) / 2^64 <= (2p + (2^64 - 1)(a + p)) / 2^64 < 2p for every word b_i.
        """
        n, modulus = self.words, self._modulus_words
        factors = [builder.zext(word, _DOUBLE) for word in self.unpack(builder, left)]
        accumulator: list[Value] = [WORD(0)] * n
        for word in self.unpack(builder, right):
            row = builder.zext(word, _DOUBLE)
            product_carry = reduction_carry = multiple = WORD(0)
            for j in range(n):
                total = self._sum(builder, builder.mul(factors[j], row), accumulator[j], product_carry)
                low, product_carry = _halves(builder, total)
                if j == 0:
                    multiple = builder.zext(builder.mul(low, WORD(self._negative_inverse)), _DOUBLE)
                total = self._sum(builder, builder.mul(multiple, _DOUBLE(modulus[j])), low, reduction_carry)
                low, reduction_carry = _halves(builder, total)
                if j > 0:
                    accumulator[j - 1] = low
            accumulator[n - 1] = builder.add(product_carry, reduction_carry)
        total = join_words(builder, accumulator, self._wide)
        return self._split(builder, self._subtract_once(builder, total))

    @staticmethod
    def _sum(builder: Builder, product: Value, first: Value, second: Value) -> Value:
        """A product of two words plus two words: never more than 128 bits."""
        return builder.add(builder.add(product, builder.zext(first, _DOUBLE)), builder.zext(second, _DOUBLE))

    def _call(
        self,
        builder: Builder,
        operation: str,
        body: Callable[..., Value],
        *arguments: Value,
    ) -> Value:
        """Calls the module's one copy of a long operation, defining it first where it is missing."""
        module = builder.module
        name = f"pvcnn.{self.name}.{operation}"
        function = module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(self.element, [self.element] * len(arguments))
            function = ir.Function(module, kind, name)
            function.linkage = "linkonce_odr"
            function.attributes.add("alwaysinline")
            inner = ir.IRBuilder(function.append_basic_block("entry"))
            inner.ret(body(inner, *function.args))
        return builder.call(function, arguments)


def _halves(builder: Builder, double: Value) -> tuple[Value, Value]:
    return builder.trunc(double, WORD), builder.trunc(builder.lshr(double, _DOUBLE(64)), WORD)


def join_words(builder: Builder, words: Sequence[Value], wide: ir.IntType) -> Value:
    """The integer of type `wide` whose words are `words`, least significant first."""
    total = builder.zext(words[0], wide)
    for i, word in enumerate(words[1:], start=1):
        total = builder.or_(total, builder.shl(builder.zext(word, wide), wide(64 * i)))
    return total


def split_words(builder: Builder, wide: Value, count: int) -> list[Value]:
    """The words of an integer, least significant first."""
    return [builder.trunc(builder.lshr(wide, wide.type(64 * i)) if i else wide, WORD) for i in range(count)]
