"""Field elements as values inside Numba kernels.

The type says the field: four words are an element of F_r, six words one of F_q, and a pair of
those, c0 + c1 u with u^2 = -1, one of F_q^2. All in Montgomery form, reduced. `load` and `store`
move them between registers and memory; addresses are int64 and in bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir

from pvcnn.algebra.constants import BASE_MODULUS, SCALAR_MODULUS
from pvcnn.algebra.kernels.compilation import intrinsic, types
from pvcnn.algebra.kernels.extension import QuadraticExtension
from pvcnn.algebra.kernels.words import (
    WORD,
    PrimeField,
    Value,
    join_words,
    multiply_words,
    pack,
    split_words,
    unpack,
)

SCALAR_FIELD = PrimeField("scalar", SCALAR_MODULUS, 4)
BASE_FIELD = PrimeField("base", BASE_MODULUS, 6)
EXTENSION_FIELD = QuadraticExtension(BASE_FIELD)

SCALAR = types.UniTuple(types.uint64, 4)
BASE = types.UniTuple(types.uint64, 6)
EXTENSION = types.UniTuple(BASE, 2)

#: Pass one of these to `load` for an element of F_q or of F_q^2: its length is the degree.
DEGREE_ONE = (0,)
DEGREE_TWO = (0, 0)

#: A sum of multiples of elements of F_r: a signed integer of six words.
SUM_WORDS = 6
SUM = types.UniTuple(types.uint64, SUM_WORDS)
_WIDE_SUM = ir.IntType(64 * SUM_WORDS)
#: From this bit on a sum's quotient by r is estimated.
_ESTIMATE_BIT = 250

#: What an intrinsic's second result does: (target, builder, signature, arguments) to a value.
Generator: TypeAlias = Callable[[Any, Any, Any, Any], Value]

_EMITTERS: dict[Any, PrimeField | QuadraticExtension] = {
    SCALAR: SCALAR_FIELD,
    BASE: BASE_FIELD,
    EXTENSION: EXTENSION_FIELD,
}


def _operation(kind: Any, name: str) -> Generator:
    """Emits operation `name` of the field whose elements have Numba type `kind`."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        return getattr(_EMITTERS[kind], name)(builder, *arguments)

    return generate


def _constant(value: Value) -> Generator:
    return lambda _target, _builder, _signature, _arguments: value


def _loader(kind: Any, position: int) -> Generator:
    """Loads an element from the address that is argument number `position`."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        pointer = builder.inttoptr(arguments[position], _EMITTERS[kind].type.as_pointer())
        return builder.load(pointer, align=8)

    return generate


def _field_of_degree(degree: Any) -> Any:
    return {1: BASE, 2: EXTENSION}[degree.count]


# Arithmetic, in any of the fields.


@intrinsic
def add(_context: Any, left: Any, right: Any) -> Any:
    """left + right."""
    return left(left, left), _operation(left, "add")


@intrinsic
def subtract(_context: Any, left: Any, right: Any) -> Any:
    """left - right."""
    return left(left, left), _operation(left, "subtract")


@intrinsic
def negate_if(_context: Any, flag: Any, element: Any) -> Any:
    """-element if the flag is set, else the element, without a branch."""
    return element(types.boolean, element), _operation(element, "negate_if")


@intrinsic
def multiply(_context: Any, left: Any, right: Any) -> Any:
    """left right. In a prime field `right` may be any words, reduced or not."""
    return left(left, left), _operation(left, "multiply")


@intrinsic
def square(_context: Any, element: Any) -> Any:
    """element^2."""
    return element(element), _operation(element, "square")


@intrinsic
def is_zero(_context: Any, element: Any) -> Any:
    """Whether an element is 0."""
    return types.boolean(element), _operation(element, "is_zero")


@intrinsic
def equal(_context: Any, left: Any, right: Any) -> Any:
    """Whether two elements are equal."""
    return types.boolean(left, left), _operation(left, "equal")


@intrinsic
def is_reduced(_context: Any, element: Any) -> Any:
    """Whether an element's words are in [0, p), as every other operation expects."""
    return types.boolean(element), _operation(element, "is_reduced")


# F_q and F_q^2.


@intrinsic
def zero(_context: Any, degree: Any) -> Any:
    """0 in F_q (DEGREE_ONE) or F_q^2 (DEGREE_TWO)."""
    kind = _field_of_degree(degree)
    return kind(degree), _constant(_EMITTERS[kind].constant(0))


@intrinsic
def one(_context: Any, degree: Any) -> Any:
    """1 in F_q (DEGREE_ONE) or F_q^2 (DEGREE_TWO)."""
    kind = _field_of_degree(degree)
    return kind(degree), _constant(_EMITTERS[kind].constant(1))


@intrinsic
def curve_constant(_context: Any, degree: Any) -> Any:
    """b of y^2 = x^3 + b: 4 over F_q (DEGREE_ONE), 4 + 4 u over F_q^2 (DEGREE_TWO)."""
    kind = _field_of_degree(degree)
    value = EXTENSION_FIELD.constant(4, 4) if kind == EXTENSION else BASE_FIELD.constant(4)
    return kind(degree), _constant(value)


@intrinsic
def norm(_context: Any, element: Any) -> Any:
    """The norm into F_q: a0^2 + a1^2 for a0 + a1 u, the element itself in F_q."""
    return BASE(element), _operation(element, "norm")


@intrinsic
def times_conjugate(_context: Any, element: Any, factor: Any) -> Any:
    """factor times the product of element's other conjugates: 1 / element if factor is 1 / norm."""
    return element(element, BASE), _operation(element, "times_conjugate")


def constant_of(kind: Any, value: int) -> Any:
    """An intrinsic without arguments that gives a constant of a prime field."""

    @intrinsic
    def constant(_context: Any) -> Any:
        return kind(), _constant(_EMITTERS[kind].constant(value))

    return constant


#: 2^384: `multiply(base_radix(), words)` brings any six words into Montgomery form.
base_radix = constant_of(BASE, 1 << 384)
#: The words 1, 0, ..: `multiply(element, base_unit_words())` takes an element out of Montgomery form.
base_unit_words = constant_of(BASE, pow(1 << 384, -1, BASE_MODULUS))
#: Takes the inverse of an element's words to the words of its inverse.
base_radix_squared = constant_of(BASE, 1 << 768)


# F_r.

scalar_zero = constant_of(SCALAR, 0)
scalar_one = constant_of(SCALAR, 1)
#: 2^256: `multiply(scalar_radix(), words)` brings any four words into Montgomery form.
scalar_radix = constant_of(SCALAR, 1 << 256)
#: The words 1, 0, 0, 0: `multiply(element, scalar_unit_words())` takes an element out of Montgomery form.
scalar_unit_words = constant_of(SCALAR, pow(1 << 256, -1, SCALAR_MODULUS))


@intrinsic
def exceeds_half(_context: Any, words: Any) -> Any:
    """Whether the words of a scalar, read as an integer, exceed (r - 1) / 2."""
    return types.boolean(SCALAR), _operation(SCALAR, "exceeds_half")


@intrinsic
def sum_zero(_context: Any) -> Any:
    """The empty sum of multiples."""
    return SUM(), _constant(ir.Constant(ir.ArrayType(WORD, SUM_WORDS), [0] * SUM_WORDS))


@intrinsic
def sum_plus(_context: Any, total: Any, element: Any) -> Any:
    """total + element over the integers."""
    return SUM(SUM, SCALAR), _on_sum(lambda builder, wide, words: builder.add(wide, words))


@intrinsic
def sum_minus(_context: Any, total: Any, element: Any) -> Any:
    """total - element over the integers."""
    return SUM(SUM, SCALAR), _on_sum(lambda builder, wide, words: builder.sub(wide, words))


@intrinsic
def sum_plus_multiple(_context: Any, total: Any, element: Any, factor: Any) -> Any:
    """total + element factor over the integers, the factor an int64: room for 2^64 such terms."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        total, element, factor = arguments
        negative = builder.icmp_signed("<", factor, WORD(0))
        magnitude = builder.select(negative, builder.neg(factor), factor)
        products = [multiply_words(builder, word, magnitude) for word in unpack(builder, element)]
        low = join_words(builder, [product[0] for product in products], _WIDE_SUM)
        high = join_words(builder, [WORD(0), *(product[1] for product in products)], _WIDE_SUM)
        product = builder.add(low, high)
        before = join_words(builder, unpack(builder, total), _WIDE_SUM)
        after = builder.select(negative, builder.sub(before, product), builder.add(before, product))
        return pack(builder, ir.ArrayType(WORD, SUM_WORDS), split_words(builder, after, SUM_WORDS))

    return SUM(SUM, SCALAR, types.int64), generate


@intrinsic
def sum_is_small(_context: Any, total: Any) -> Any:
    """Whether `sum_reduced` takes this sum: whether it lies in [-2^313, 2^313)."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        wide = join_words(builder, unpack(builder, arguments[0]), _WIDE_SUM)
        above = builder.ashr(wide, _WIDE_SUM(_ESTIMATE_BIT + 63))
        nothing = builder.icmp_signed("==", above, _WIDE_SUM(0))
        return builder.or_(nothing, builder.icmp_signed("==", above, _WIDE_SUM(-1)))

    return types.boolean(SUM), generate


@intrinsic
def sum_reduced(_context: Any, total: Any) -> Any:
    """A sum s in [-2^313, 2^313) modulo r.

    With t = floor(s / 2^250) and m = floor(2^314 / r), q = floor(t m / 2^64) differs from s / r by what
    t, m and q are rounded by: s / r - q lies in (-0.5, 1.54). So s - q r needs r added or subtracted once.
    """

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        wide = join_words(builder, unpack(builder, arguments[0]), _WIDE_SUM)
        double = ir.IntType(128)
        estimate = builder.trunc(builder.ashr(wide, _WIDE_SUM(_ESTIMATE_BIT)), WORD)
        scaled = builder.mul(
            builder.sext(estimate, double), double((1 << (_ESTIMATE_BIT + 64)) // SCALAR_MODULUS)
        )
        quotient = builder.trunc(builder.ashr(scaled, double(64)), WORD)
        # q r modulo 2^320, q read as unsigned and then corrected.
        room = ir.IntType(320)
        words = [(SCALAR_MODULUS >> (64 * i)) & ((1 << 64) - 1) for i in range(4)]
        products = [multiply_words(builder, quotient, WORD(word)) for word in words]
        low = join_words(builder, [product[0] for product in products], room)
        high = join_words(builder, [WORD(0), *(product[1] for product in products)], room)
        negative = builder.icmp_signed("<", quotient, WORD(0))
        correction = builder.select(negative, room(SCALAR_MODULUS << 64), room(0))
        rest = builder.sub(builder.trunc(wide, room), builder.sub(builder.add(low, high), correction))
        below = builder.icmp_signed("<", rest, room(0))
        rest = builder.add(rest, builder.select(below, room(SCALAR_MODULUS), room(0)))
        above = builder.icmp_signed(">=", rest, room(SCALAR_MODULUS))
        rest = builder.sub(rest, builder.select(above, room(SCALAR_MODULUS), room(0)))
        return pack(builder, SCALAR_FIELD.type, split_words(builder, builder.trunc(rest, ir.IntType(256)), 4))

    return SCALAR(SUM), generate


@intrinsic
def sum_magnitude(_context: Any, total: Any) -> Any:
    """The absolute value of a sum."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        wide = join_words(builder, unpack(builder, arguments[0]), _WIDE_SUM)
        negative = builder.icmp_signed("<", wide, _WIDE_SUM(0))
        magnitude = builder.select(negative, builder.neg(wide), wide)
        return pack(builder, ir.ArrayType(WORD, SUM_WORDS), split_words(builder, magnitude, SUM_WORDS))

    return SUM(SUM), generate


def _on_sum(operation: Callable[[Any, Value, Value], Value]) -> Generator:
    """An operation on a sum and an element, both as integers of `SUM_WORDS` words."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        total, element = (join_words(builder, unpack(builder, value), _WIDE_SUM) for value in arguments)
        after = operation(builder, total, element)
        return pack(builder, ir.ArrayType(WORD, SUM_WORDS), split_words(builder, after, SUM_WORDS))

    return generate


# Memory.


@intrinsic
def load_scalar(_context: Any, address: Any) -> Any:
    """The element of F_r at an address."""
    return SCALAR(types.int64), _loader(SCALAR, 0)


@intrinsic
def load(_context: Any, degree: Any, address: Any) -> Any:
    """The element of F_q (DEGREE_ONE) or F_q^2 (DEGREE_TWO) at an address."""
    kind = _field_of_degree(degree)
    return kind(degree, types.int64), _loader(kind, 1)


def _store_value(target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
    address, value = arguments
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=8)
    return target.get_dummy_value()


def _load_word(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
    return builder.load(builder.inttoptr(arguments[0], WORD.as_pointer()), align=8)


@intrinsic
def store(_context: Any, address: Any, element: Any) -> Any:
    """Writes an element of any of the fields to an address."""
    return types.void(types.int64, element), _store_value


@intrinsic
def store_word(_context: Any, address: Any, word: Any) -> Any:
    """Writes a 64-bit word to an address."""
    return types.void(types.int64, word), _store_value


@intrinsic
def load_word(_context: Any, address: Any) -> Any:
    """The uint64 at an address."""
    return types.uint64(types.int64), _load_word


@intrinsic
def load_signed(_context: Any, address: Any) -> Any:
    """The int64 at an address."""
    return types.int64(types.int64), _load_word


@intrinsic
def load_index(_context: Any, address: Any) -> Any:
    """The int32 at an address, widened."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        pointer = builder.inttoptr(arguments[0], ir.IntType(32).as_pointer())
        return builder.sext(builder.load(pointer, align=4), WORD)

    return types.int64(types.int64), generate


@intrinsic
def store_index(_context: Any, address: Any, index: Any) -> Any:
    """Writes an int64 below 2^31 to an address as an int32."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        index_type = ir.IntType(32)
        pointer = builder.inttoptr(arguments[0], index_type.as_pointer())
        builder.store(builder.trunc(arguments[1], index_type), pointer, align=4)
        return target.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def prefetch(_context: Any, address: Any) -> Any:
    """Asks for the cache line at an address, which will be read soon."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Value:
        pointer_type, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer_type, word, word, word])
        name = "llvm.prefetch.p0"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        builder.call(function, [builder.inttoptr(arguments[0], pointer_type), word(0), word(3), word(1)])
        return target.get_dummy_value()

    return types.void(types.int64), generate
