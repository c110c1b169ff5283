"""Field elements as values inside Numba kernels.

The type says the field: four words are an element of F_r, six words one of F_q, and a pair of
those, c0 + c1 u with u^2 = -1, one of F_q^2. All in Montgomery form, reduced. `load` and `store`
move them between registers and memory; addresses are int64 and in bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from pvcnn.algebra.constants import BASE_MODULUS, SCALAR_MODULUS
from pvcnn.algebra.kernels.compilation import intrinsic, types
from pvcnn.algebra.kernels.words import WORD, PrimeField, Value, join_words, split_words

SCALAR_FIELD = PrimeField("scalar", SCALAR_MODULUS, 4)
BASE_FIELD = PrimeField("base", BASE_MODULUS, 6)

SCALAR = types.UniTuple(types.uint64, 4)
BASE = types.UniTuple(types.uint64, 6)
EXTENSION = types.UniTuple(BASE, 2)

#: Pass one of these to `load` for an element of F_q or of F_q^2: its length is the degree.
DEGREE_ONE = (0,)
DEGREE_TWO = (0, 0)


def _prime_field(kind: Any) -> PrimeField:
    return {SCALAR: SCALAR_FIELD, BASE: BASE_FIELD}[kind]


def _coordinatewise(
    builder: Any,
    kind: Any,
    operation: Callable[[PrimeField, tuple[Value, ...]], Value],
    arguments: Any,
) -> Value:
    """Applies a prime field's operation, or to both coordinates of an extension's elements."""
    if kind != EXTENSION:
        return operation(_prime_field(kind), tuple(arguments))
    result = ir.Constant(ir.ArrayType(BASE_FIELD.element, 2), ir.Undefined)
    for i in range(2):
        parts = tuple(builder.extract_value(argument, i) for argument in arguments)
        result = builder.insert_value(result, operation(BASE_FIELD, parts), i)
    return result


@intrinsic
def load_scalar(_context: Any, address: Any) -> Any:
    """The element of F_r at an address."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        return builder.load(builder.inttoptr(arguments[0], SCALAR_FIELD.element.as_pointer()), align=8)

    return SCALAR(types.int64), generate


@intrinsic
def load(_context: Any, degree: Any, address: Any) -> Any:
    """The element of F_q (DEGREE_ONE) or F_q^2 (DEGREE_TWO) at an address."""
    kind = EXTENSION if degree.count == 2 else BASE

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        element = ir.ArrayType(BASE_FIELD.element, 2) if kind == EXTENSION else BASE_FIELD.element
        return builder.load(builder.inttoptr(arguments[1], element.as_pointer()), align=8)

    return kind(degree, types.int64), generate


@intrinsic
def store(_context: Any, address: Any, element: Any) -> Any:
    """Writes an element to an address."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        pointer = builder.inttoptr(arguments[0], arguments[1].type.as_pointer())
        builder.store(arguments[1], pointer, align=8)
        return target.get_dummy_value()

    return types.void(types.int64, element), generate


@intrinsic
def load_word(_context: Any, address: Any) -> Any:
    """The uint64 at an address."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=8)

    return types.uint64(types.int64), generate


@intrinsic
def load_signed(_context: Any, address: Any) -> Any:
    """The int64 at an address."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=8)

    return types.int64(types.int64), generate


@intrinsic
def load_index(_context: Any, address: Any) -> Any:
    """The int32 at an address, widened."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        pointer = builder.inttoptr(arguments[0], ir.IntType(32).as_pointer())
        return builder.sext(builder.load(pointer, align=4), ir.IntType(64))

    return types.int64(types.int64), generate


@intrinsic
def store_word(_context: Any, address: Any, word: Any) -> Any:
    """Writes a 64-bit word to an address."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=8)
        return target.get_dummy_value()

    return types.void(types.int64, word), generate


@intrinsic
def add(_context: Any, left: Any, right: Any) -> Any:
    """left + right, in any of the fields."""

    def generate(_target: Any, builder: Any, signature: Any, arguments: Any) -> Value:
        return _coordinatewise(builder, left, lambda field, parts: field.add(builder, *parts), arguments)

    return left(left, left), generate


@intrinsic
def subtract(_context: Any, left: Any, right: Any) -> Any:
    """left - right, in any of the fields."""

    def generate(_target: Any, builder: Any, signature: Any, arguments: Any) -> Value:
        return _coordinatewise(builder, left, lambda field, parts: field.subtract(builder, *parts), arguments)

    return left(left, left), generate


@intrinsic
def multiply(_context: Any, left: Any, right: Any) -> Any:
    """left right, in any of the fields. In a prime field `right` need not be reduced."""

    def generate(_target: Any, builder: Any, signature: Any, arguments: Any) -> Value:
        if left == EXTENSION:
            return _multiply_extension(builder, *arguments)
        return _prime_field(left).multiply(builder, *arguments)

    return left(left, left), generate


def _multiply_extension(builder: Any, left: Value, right: Value) -> Value:
    """(a0 + a1 u)(b0 + b1 u) with three products of F_q (Karatsuba)."""
    field = BASE_FIELD
    a0, a1 = (builder.extract_value(left, i) for i in range(2))
    b0, b1 = (builder.extract_value(right, i) for i in range(2))
    low = field.multiply(builder, a0, b0)
    high = field.multiply(builder, a1, b1)
    cross = field.multiply(builder, field.add(builder, a0, a1), field.add(builder, b0, b1))
    real = field.subtract(builder, low, high)
    imaginary = field.subtract(builder, field.subtract(builder, cross, low), high)
    result = ir.Constant(ir.ArrayType(field.element, 2), ir.Undefined)
    return builder.insert_value(builder.insert_value(result, real, 0), imaginary, 1)


@intrinsic
def square(_context: Any, element: Any) -> Any:
    """element^2, in any of the fields."""

    def generate(_target: Any, builder: Any, signature: Any, arguments: Any) -> Value:
        if element == EXTENSION:
            return _square_extension(builder, arguments[0])
        return _prime_field(element).multiply(builder, arguments[0], arguments[0])

    return element(element), generate


def _square_extension(builder: Any, element: Value) -> Value:
    """(a0 + a1 u)^2 = (a0 + a1)(a0 - a1) + 2 a0 a1 u."""
    field = BASE_FIELD
    a0, a1 = (builder.extract_value(element, i) for i in range(2))
    real = field.multiply(builder, field.add(builder, a0, a1), field.subtract(builder, a0, a1))
    product = field.multiply(builder, a0, a1)
    result = ir.Constant(ir.ArrayType(field.element, 2), ir.Undefined)
    result = builder.insert_value(result, real, 0)
    return builder.insert_value(result, field.add(builder, product, product), 1)


@intrinsic
def is_zero(_context: Any, element: Any) -> Any:
    """Whether an element of any of the fields is 0."""

    def generate(_target: Any, builder: Any, signature: Any, arguments: Any) -> Value:
        if element != EXTENSION:
            return _prime_field(element).is_zero(builder, arguments[0])
        parts = [builder.extract_value(arguments[0], i) for i in range(2)]
        return builder.and_(*(BASE_FIELD.is_zero(builder, part) for part in parts))

    return types.boolean(element), generate


#: A sum of products of elements of F_r with words, as an integer of seven words.
ACCUMULATOR = types.UniTuple(types.uint64, 7)
_ACCUMULATOR_INTEGER = ir.IntType(64 * 7)


@intrinsic
def accumulator_zero(_context: Any) -> Any:
    """The empty sum."""

    def generate(_target: Any, _builder: Any, _signature: Any, _arguments: Any) -> Value:
        return ir.Constant(ir.ArrayType(ir.IntType(64), 7), [0] * 7)

    return ACCUMULATOR(), generate


@intrinsic
def accumulate(_context: Any, total: Any, element: Any, factor: Any) -> Any:
    """total + element factor over the integers, the factor a uint64: room for 2^129 such terms."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        total_words = [builder.extract_value(arguments[0], i) for i in range(7)]
        words = SCALAR_FIELD.unpack(builder, arguments[1])
        double = ir.IntType(128)
        wide_factor = builder.zext(arguments[2], double)
        products = [builder.mul(builder.zext(word, double), wide_factor) for word in words]
        low = join_words(builder, [builder.trunc(p, WORD) for p in products], _ACCUMULATOR_INTEGER)
        tops = [builder.trunc(builder.lshr(p, double(64)), WORD) for p in products]
        high = join_words(builder, [WORD(0), *tops], _ACCUMULATOR_INTEGER)
        wide = join_words(builder, total_words, _ACCUMULATOR_INTEGER)
        wide = builder.add(builder.add(wide, low), high)
        result = ir.Constant(ir.ArrayType(ir.IntType(64), 7), ir.Undefined)
        for i, word in enumerate(split_words(builder, wide, 7)):
            result = builder.insert_value(result, word, i)
        return result

    return ACCUMULATOR(ACCUMULATOR, SCALAR, types.uint64), generate


def _constant(kind: Any, value: int) -> Any:
    """An intrinsic that gives the constant `value` of a prime field, in Montgomery form."""
    field = _prime_field(kind)
    montgomery = (value << (64 * field.words)) % field.modulus

    @intrinsic
    def constant(_context: Any) -> Any:
        def generate(_target: Any, _builder: Any, _signature: Any, _arguments: Any) -> Value:
            return field.constant(montgomery)

        return kind(), generate

    return constant


scalar_zero = _constant(SCALAR, 0)
scalar_one = _constant(SCALAR, 1)
#: 2^256: `multiply(scalar_radix(), words)` brings any four words into Montgomery form.
scalar_radix = _constant(SCALAR, 1 << 256)
#: The words 1, 0, 0, 0: `multiply(element, scalar_unit_words())` takes an element out of Montgomery form.
scalar_unit_words = _constant(SCALAR, pow(1 << 256, -1, SCALAR_MODULUS))
base_one = _constant(BASE, 1)
base_radix = _constant(BASE, 1 << 384)
base_unit_words = _constant(BASE, pow(1 << 384, -1, BASE_MODULUS))


@intrinsic
def one(_context: Any, degree: Any) -> Any:
    """1 in F_q (DEGREE_ONE) or F_q^2 (DEGREE_TWO)."""
    unit = BASE_FIELD.constant((1 << 384) % BASE_MODULUS)
    kind = EXTENSION if degree.count == 2 else BASE

    def generate(_target: Any, _builder: Any, _signature: Any, _arguments: Any) -> Value:
        if kind == BASE:
            return unit
        return ir.Constant(ir.ArrayType(BASE_FIELD.element, 2), [unit, BASE_FIELD.constant(0)])

    return kind(degree), generate


@intrinsic
def zero(_context: Any, degree: Any) -> Any:
    """0 in F_q (DEGREE_ONE) or F_q^2 (DEGREE_TWO)."""
    kind = EXTENSION if degree.count == 2 else BASE

    def generate(_target: Any, _builder: Any, _signature: Any, _arguments: Any) -> Value:
        null = BASE_FIELD.constant(0)
        return null if kind == BASE else ir.Constant(ir.ArrayType(BASE_FIELD.element, 2), [null, null])

    return kind(degree), generate


@intrinsic
def norm(_context: Any, element: Any) -> Any:
    """The norm into F_q: a0^2 + a1^2 for a0 + a1 u, the element itself in F_q."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        if element == BASE:
            return arguments[0]
        parts = [builder.extract_value(arguments[0], i) for i in range(2)]
        squares = [BASE_FIELD.multiply(builder, part, part) for part in parts]
        return BASE_FIELD.add(builder, *squares)

    return BASE(element), generate


@intrinsic
def times_conjugate(_context: Any, element: Any, factor: Any) -> Any:
    """factor times the product of element's other conjugates: 1 / element if factor is 1 / norm."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        if element == BASE:
            return arguments[1]
        a0, a1 = (builder.extract_value(arguments[0], i) for i in range(2))
        real = BASE_FIELD.multiply(builder, a0, arguments[1])
        imaginary = BASE_FIELD.multiply(builder, a1, arguments[1])
        negated = BASE_FIELD.subtract(builder, BASE_FIELD.constant(0), imaginary)
        result = ir.Constant(ir.ArrayType(BASE_FIELD.element, 2), ir.Undefined)
        return builder.insert_value(builder.insert_value(result, real, 0), negated, 1)

    return element(element, BASE), generate


@intrinsic
def equal(_context: Any, left: Any, right: Any) -> Any:
    """Whether two elements of one of the fields are equal."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        if left != EXTENSION:
            return _prime_field(left).equal(builder, *arguments)
        parts = [[builder.extract_value(argument, i) for argument in arguments] for i in range(2)]
        return builder.and_(*(BASE_FIELD.equal(builder, *pair) for pair in parts))

    return types.boolean(left, left), generate


@intrinsic
def is_reduced(_context: Any, element: Any) -> Any:
    """Whether an element's words are in [0, p), as every other operation expects."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        if element != EXTENSION:
            return _prime_field(element).is_reduced(builder, arguments[0])
        parts = [builder.extract_value(arguments[0], i) for i in range(2)]
        return builder.and_(*(BASE_FIELD.is_reduced(builder, part) for part in parts))

    return types.boolean(element), generate


@intrinsic
def exceeds_half(_context: Any, words: Any) -> Any:
    """Whether the words of a scalar, read as an integer, exceed (r - 1) / 2."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        return SCALAR_FIELD.exceeds(builder, arguments[0], (SCALAR_MODULUS - 1) // 2)

    return types.boolean(SCALAR), generate


@intrinsic
def curve_constant(_context: Any, degree: Any) -> Any:
    """b of y^2 = x^3 + b: 4 over F_q (DEGREE_ONE), 4 + 4 u over F_q^2 (DEGREE_TWO)."""
    four = BASE_FIELD.constant((4 << 384) % BASE_MODULUS)
    kind = EXTENSION if degree.count == 2 else BASE

    def generate(_target: Any, _builder: Any, _signature: Any, _arguments: Any) -> Value:
        return four if kind == BASE else ir.Constant(ir.ArrayType(BASE_FIELD.element, 2), [four, four])

    return kind(degree), generate
