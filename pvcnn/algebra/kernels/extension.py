"""LLVM code for a quadratic extension of a prime field: pairs c0 + c1 u with u^2 = -1."""

from __future__ import annotations

from llvmlite import ir

from pvcnn.algebra.kernels.words import Builder, PrimeField, Value, call_shared, pack, unpack


class QuadraticExtension:
    """Emits the arithmetic of F_p[u] / (u^2 + 1), with the same operations as `PrimeField`."""

    def __init__(self, field: PrimeField) -> None:
        self._field = field
        self.type = ir.ArrayType(field.type, 2)

    def constant(self, real: int, imaginary: int = 0) -> Value:
        """The element real + imaginary u, brought into Montgomery form."""
        return ir.Constant(self.type, [self._field.constant(real), self._field.constant(imaginary)])

    def add(self, builder: Builder, left: Value, right: Value) -> Value:
        (a0, a1), (b0, b1) = unpack(builder, left), unpack(builder, right)
        field = self._field
        return pack(builder, self.type, [field.add(builder, a0, b0), field.add(builder, a1, b1)])

    def subtract(self, builder: Builder, left: Value, right: Value) -> Value:
        (a0, a1), (b0, b1) = unpack(builder, left), unpack(builder, right)
        field = self._field
        return pack(builder, self.type, [field.subtract(builder, a0, b0), field.subtract(builder, a1, b1)])

    def negate_if(self, builder: Builder, flag: Value, element: Value) -> Value:
        """-element if the flag is set, without a branch."""
        parts = [self._field.negate_if(builder, flag, part) for part in unpack(builder, element)]
        return pack(builder, self.type, parts)

    def multiply(self, builder: Builder, left: Value, right: Value) -> Value:
        """(a0 + a1 u)(b0 + b1 u) with three products of the prime field (Karatsuba)."""
        name = f"pvcnn.{self._field.name}.extension.multiply"
        return call_shared(builder, name, "noinline", self.type, self._product, left, right)

    def square(self, builder: Builder, element: Value) -> Value:
        """(a0 + a1 u)^2 = (a0 + a1)(a0 - a1) + 2 a0 a1 u."""
        name = f"pvcnn.{self._field.name}.extension.square"
        return call_shared(builder, name, "noinline", self.type, self._square, element)

    def is_zero(self, builder: Builder, element: Value) -> Value:
        return builder.and_(*(self._field.is_zero(builder, part) for part in unpack(builder, element)))

    def equal(self, builder: Builder, left: Value, right: Value) -> Value:
        pairs = zip(unpack(builder, left), unpack(builder, right), strict=True)
        return builder.and_(*(self._field.equal(builder, a, b) for a, b in pairs))

    def is_reduced(self, builder: Builder, element: Value) -> Value:
        return builder.and_(*(self._field.is_reduced(builder, part) for part in unpack(builder, element)))

    def norm(self, builder: Builder, element: Value) -> Value:
        """a0^2 + a1^2, in the prime field."""
        squares = [self._field.square(builder, part) for part in unpack(builder, element)]
        return self._field.add(builder, *squares)

    def times_conjugate(self, builder: Builder, element: Value, factor: Value) -> Value:
        """factor (a0 - a1 u), for a factor in the prime field."""
        a0, a1 = unpack(builder, element)
        real = self._field.multiply(builder, a0, factor)
        imaginary = self._field.multiply(builder, a1, factor)
        negated = self._field.subtract(builder, self._field.constant(0), imaginary)
        return pack(builder, self.type, [real, negated])

    def _product(self, builder: Builder, left: Value, right: Value) -> Value:
        """Three products of integers, and two reductions of what they combine to.

        The sums a0 + a1 and b0 + b1 are not reduced: both are below 2 p, and 4 p < 2^(64 n). So all
        of a0 b0 + a1 b1, a0 b1 + a1 b0 <= 2 (p - 1)^2 and a0 b0 - a1 b1 (plus p 2^(64 n) if it is
        negative) are in range for a reduction.
        """
        field = self._field
        (a0, a1), (b0, b1) = unpack(builder, left), unpack(builder, right)
        low = field.wide_product(builder, unpack(builder, a0), unpack(builder, b0))
        high = field.wide_product(builder, unpack(builder, a1), unpack(builder, b1))
        left_sum, right_sum = field.integer_sum(builder, a0, a1), field.integer_sum(builder, b0, b1)
        cross = field.wide_product(builder, left_sum, right_sum)
        imaginary = builder.sub(builder.sub(cross, low), high)
        borrowed = builder.icmp_unsigned("<", low, high)
        correction = builder.select(borrowed, field.shifted_modulus, field.shifted_modulus.type(0))
        real = builder.add(builder.sub(low, high), correction)
        parts = [field.reduce_wide(builder, real), field.reduce_wide(builder, imaginary)]
        return pack(builder, self.type, parts)

    def _square(self, builder: Builder, element: Value) -> Value:
        a0, a1 = unpack(builder, element)
        field = self._field
        real = field.multiply(builder, field.add(builder, a0, a1), field.subtract(builder, a0, a1))
        product = field.multiply(builder, a0, a1)
        return pack(builder, self.type, [real, field.add(builder, product, product)])
