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
        self.type = ir.ArrayType(WORD, words)
        self._wide = ir.IntType(64 * words)
        self._modulus_words = [(modulus >> (64 * i)) & _WORD_MASK for i in range(words)]
        self._negative_inverse = -pow(modulus, -1, 1 << 64) % (1 << 64)
        #: p 2^(64 n), a multiple of p that a product of two elements is below.
        self.shifted_modulus = ir.IntType(128 * words)(modulus << (64 * words))

    def constant(self, value: int) -> Value:
        """The element of an integer, brought into Montgomery form."""
        montgomery = (value << (64 * self.words)) % self.modulus
        words = [(montgomery >> (64 * i)) & _WORD_MASK for i in range(self.words)]
        return ir.Constant(self.type, words)

    def add(self, builder: Builder, left: Value, right: Value) -> Value:
        """left + right mod p. The sum of two reduced elements fits n words."""
        total = builder.add(self._join(builder, left), self._join(builder, right))
        return self._split(builder, self._subtract_once(builder, total))

    def subtract(self, builder: Builder, left: Value, right: Value) -> Value:
        wide_left, wide_right = self._join(builder, left), self._join(builder, right)
        borrowed = builder.icmp_unsigned("<", wide_left, wide_right)
        correction = builder.select(borrowed, self._wide(self.modulus), self._wide(0))
        return self._split(builder, builder.add(builder.sub(wide_left, wide_right), correction))

    def negate_if(self, builder: Builder, flag: Value, element: Value) -> Value:
        """-element if the flag is set, without a branch."""
        negated = self.subtract(builder, self.constant(0), element)
        wide = builder.select(flag, self._join(builder, negated), self._join(builder, element))
        return self._split(builder, wide)

    def multiply(self, builder: Builder, left: Value, right: Value) -> Value:
        """left right / 2^(64 n) mod p. `left` must be reduced; `right` may be any n words."""
        body, attribute = self._montgomery_product, "alwaysinline"
        name = f"pvcnn.{self.name}.multiply"
        return call_shared(builder, name, attribute, self.type, body, left, right)

    def square(self, builder: Builder, element: Value) -> Value:
        return self.multiply(builder, element, element)

    def is_zero(self, builder: Builder, element: Value) -> Value:
        return builder.icmp_unsigned("==", self._join(builder, element), self._wide(0))

    def equal(self, builder: Builder, left: Value, right: Value) -> Value:
        return builder.icmp_unsigned("==", self._join(builder, left), self._join(builder, right))

    def is_reduced(self, builder: Builder, element: Value) -> Value:
        return builder.icmp_unsigned("<", self._join(builder, element), self._wide(self.modulus))

    def exceeds_half(self, builder: Builder, words: Value) -> Value:
        """Whether n words, read as an integer, exceed (p - 1) / 2."""
        half = self._wide((self.modulus - 1) // 2)
        return builder.icmp_unsigned(">", self._join(builder, words), half)

    def norm(self, _builder: Builder, element: Value) -> Value:
        """The norm into the prime field: the element itself."""
        return element

    def times_conjugate(self, _builder: Builder, _element: Value, factor: Value) -> Value:
        """factor times the product of the element's other conjugates, of which there are none."""
        return factor

    def integer_sum(self, builder: Builder, left: Value, right: Value) -> list[Value]:
        """The words of left + right, not reduced."""
        total = builder.add(self._join(builder, left), self._join(builder, right))
        return split_words(builder, total, self.words)

    def wide_product(self, builder: Builder, left: Sequence[Value], right: Sequence[Value]) -> Value:
        """The product of two integers of n words, as one integer of 2 n words."""
        accumulator: list[Value] = [WORD(0)] * (2 * self.words)
        for i, word in enumerate(right):
            carry = WORD(0)
            row = builder.zext(word, _DOUBLE)
            for j, factor in enumerate(left):
                product = builder.mul(builder.zext(factor, _DOUBLE), row)
                accumulator[i + j], carry = _halves(
                    builder, _sum(builder, product, accumulator[i + j], carry)
                )
            accumulator[i + self.words] = carry
        return join_words(builder, accumulator, ir.IntType(128 * self.words))

    def reduce_wide(self, builder: Builder, wide: Value) -> Value:
        """wide / 2^(64 n) mod p, for an integer of 2 n words below p 2^(64 n)."""
        n = self.words
        accumulator = split_words(builder, wide, 2 * n)
        top_carry = WORD(0)
        for i in range(n):
            multiple = builder.mul(accumulator[i], WORD(self._negative_inverse))
            multiple = builder.zext(multiple, _DOUBLE)
            carry = WORD(0)
            for j in range(n):
                product = builder.mul(multiple, _DOUBLE(self._modulus_words[j]))
                accumulator[i + j], carry = _halves(
                    builder, _sum(builder, product, accumulator[i + j], carry)
                )
            total = builder.add(
                builder.add(builder.zext(accumulator[i + n], _DOUBLE), builder.zext(carry, _DOUBLE)),
                builder.zext(top_carry, _DOUBLE),
            )
            accumulator[i + n], top_carry = _halves(builder, total)
        total = join_words(builder, accumulator[n:], self._wide)
        return self._split(builder, self._subtract_once(builder, total))

    def _join(self, builder: Builder, element: Value) -> Value:
        return join_words(builder, unpack(builder, element), self._wide)

    def _split(self, builder: Builder, wide: Value) -> Value:
        return pack(builder, self.type, split_words(builder, wide, self.words))

    def _subtract_once(self, builder: Builder, wide: Value) -> Value:
        """wide mod p for wide in [0, 2p)."""
        reduced = builder.icmp_unsigned("<", wide, self._wide(self.modulus))
        return builder.select(reduced, wide, builder.sub(wide, self._wide(self.modulus)))

    def _montgomery_product(self, builder: Builder, left: Value, right: Value) -> Value:
        """Montgomery's product, one word of `right` at a time, fully unrolled.

        Before and after each row the accumulator is below 2p: with a < p the row's sum is
        (t + a b_i + m p) / 2^64 <= (2p + (2^64 - 1)(a + p)) / 2^64 < 2p for every word b_i.
        """
        n, modulus = self.words, self._modulus_words
        factors = [builder.zext(word, _DOUBLE) for word in unpack(builder, left)]
        accumulator: list[Value] = [WORD(0)] * n
        for word in unpack(builder, right):
            row = builder.zext(word, _DOUBLE)
            product_carry = reduction_carry = multiple = WORD(0)
            for j in range(n):
                product = builder.mul(factors[j], row)
                low, product_carry = _halves(builder, _sum(builder, product, accumulator[j], product_carry))
                if j == 0:
                    multiple = builder.zext(builder.mul(low, WORD(self._negative_inverse)), _DOUBLE)
                product = builder.mul(multiple, _DOUBLE(modulus[j]))
                low, reduction_carry = _halves(builder, _sum(builder, product, low, reduction_carry))
                if j > 0:
                    accumulator[j - 1] = low
            accumulator[n - 1] = builder.add(product_carry, reduction_carry)
        total = join_words(builder, accumulator, self._wide)
        return self._split(builder, self._subtract_once(builder, total))


def unpack(builder: Builder, aggregate: Value) -> list[Value]:
    """The members of an LLVM array."""
    return [builder.extract_value(aggregate, i) for i in range(aggregate.type.count)]


def pack(builder: Builder, kind: ir.ArrayType, members: Sequence[Value]) -> Value:
    """The LLVM array of these members."""
    aggregate = ir.Constant(kind, ir.Undefined)
    for i, member in enumerate(members):
        aggregate = builder.insert_value(aggregate, member, i)
    return aggregate


def join_words(builder: Builder, words: Sequence[Value], wide: ir.IntType) -> Value:
    """The integer of type `wide` whose words are `words`, least significant first."""
    total = builder.zext(words[0], wide)
    for i, word in enumerate(words[1:], start=1):
        total = builder.or_(total, builder.shl(builder.zext(word, wide), wide(64 * i)))
    return total


def split_words(builder: Builder, wide: Value, count: int) -> list[Value]:
    """The words of an integer, least significant first."""
    return [builder.trunc(builder.lshr(wide, wide.type(64 * i)), WORD) for i in range(count)]


def multiply_words(builder: Builder, left: Value, right: Value) -> tuple[Value, Value]:
    """The low and the high word of a product of two words."""
    product = builder.mul(builder.zext(left, _DOUBLE), builder.zext(right, _DOUBLE))
    return _halves(builder, product)


def call_shared(
    builder: Builder,
    name: str,
    attribute: str,
    result: ir.ArrayType,
    body: Callable[..., Value],
    *arguments: Value,
) -> Value:
    """Calls the module's one copy of a long operation, defining it first where it is missing.

    attribute: 'alwaysinline', or 'noinline' where code would grow too large to compile quickly.
    """
    module = builder.module
    function = module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = ir.Function(module, kind, name)
        function.linkage = "linkonce_odr"
        function.attributes.add(attribute)
        inner = ir.IRBuilder(function.append_basic_block("entry"))
        inner.ret(body(inner, *function.args))
    return builder.call(function, arguments)


def _halves(builder: Builder, double: Value) -> tuple[Value, Value]:
    return builder.trunc(double, WORD), builder.trunc(builder.lshr(double, _DOUBLE(64)), WORD)


def _sum(builder: Builder, product: Value, first: Value, second: Value) -> Value:
    """A product of two words plus two words: never more than 128 bits."""
    return builder.add(builder.add(product, builder.zext(first, _DOUBLE)), builder.zext(second, _DOUBLE))
