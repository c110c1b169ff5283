"""LLVM code between point vectors (`pvcnn.algebra.curve`) and the rows that `groups` works on.

A point vector has elements of F_q in six words of 64 bits, in Montgomery form with R = 2^384, in
[0, p), one after another; the identity is all zero. A row has lines of eight limbs of 52 bits with
R = 2^416, in the intervals of `groups`. Eight elements are converted at a time: four points of G1 or
two of G2.
"""

from __future__ import annotations

from functools import reduce
from typing import Final

from pvcnn.algebra.kernels.ifma import vectors
from pvcnn.algebra.kernels.ifma.coordinates import BASE_FIELD
from pvcnn.algebra.kernels.ifma.field import LIMB_BITS, LIMB_MASK, Element
from pvcnn.algebra.kernels.ifma.groups import IDENTITY_BOUND, IDENTITY_LIMB
from pvcnn.algebra.kernels.ifma.vectors import BYTES, LANES, splat
from pvcnn.algebra.kernels.words import WORD, Builder, Value

#: Words of an element in a point vector, and their bits.
WORDS: Final = 6
WORD_BITS: Final = 64
PORTABLE_RADIX: Final = 1 << (WORDS * WORD_BITS)

_FIELD = BASE_FIELD


def emit_enter(builder: Builder, degree: int, rows: Value, elements: Value) -> None:
    """Rows of eight elements, in [0, p + 2^374). rows, elements: addresses."""
    loaded = [
        vectors.load_words(builder, builder.add(elements, WORD(8 * WORDS * i)), WORDS) for i in range(LANES)
    ]
    words = vectors.transpose(builder, loaded)[:WORDS]
    # From v 2^384 to v 2^416: times 2^448, as the product divides by 2^416.
    factor = _FIELD.words(_FIELD.radix * (_FIELD.radix // PORTABLE_RADIX) % _FIELD.modulus)
    converted = _FIELD.multiply(builder, _to_limbs(builder, words), factor)
    zero = builder.icmp_unsigned("==", reduce(builder.or_, words), splat(0))
    identity = _first_of_points(builder, zero, degree)
    converted[-1] = builder.select(identity, splat(IDENTITY_LIMB), converted[-1])
    for i, row in enumerate(vectors.transpose(builder, converted)):
        vectors.store(builder, row, rows, BYTES * i)


def emit_leave(builder: Builder, degree: int, elements: Value, rows: Value) -> None:
    """Elements of eight rows, the inverse of `emit_enter` up to the numbers' reduction."""
    limbs = vectors.transpose(builder, [vectors.load(builder, rows, BYTES * i) for i in range(LANES)])
    identity = _all_of_points(builder, limbs[-1], degree)
    normal = _FIELD.normalise(builder, _FIELD.raised(builder, limbs, 2))
    factor = _FIELD.words(PORTABLE_RADIX % _FIELD.modulus)
    reduced = _FIELD.reduce_once(builder, _FIELD.multiply(builder, normal, factor))
    present = _FIELD.select(builder, identity, _FIELD.words(0), reduced)
    words = [*_to_words(builder, present), *([splat(0)] * (LANES - WORDS))]
    for i, row in enumerate(vectors.transpose(builder, words)):
        vectors.store_words(builder, row, builder.add(elements, WORD(8 * WORDS * i)), WORDS)


def _first_of_points(builder: Builder, zero: Value, degree: int) -> Value:
    """Flags of the first lane of each point all of whose 2 degree lanes are flagged in `zero`."""
    byte = vectors.to_byte(builder, zero)
    for i in range(degree):
        byte = builder.and_(byte, builder.lshr(byte, byte.type(1 << i)))
    return vectors.to_flags(builder, builder.and_(byte, byte.type({1: 0b01010101, 2: 0b00010001}[degree])))


def _all_of_points(builder: Builder, tops: Value, degree: int) -> Value:
    """Flags of all lanes of each point whose first lane is marked as the identity's."""
    byte = vectors.to_byte(builder, builder.icmp_signed(">", tops, splat(IDENTITY_BOUND)))
    for i in range(degree):
        byte = builder.or_(byte, builder.shl(byte, byte.type(1 << i)))
    return vectors.to_flags(builder, byte)


def _to_limbs(builder: Builder, words: list[Value]) -> Element:
    """Numbers of six words as normal limbs."""
    return _repack(builder, words, WORD_BITS, LIMB_BITS, _FIELD.limbs)


def _to_words(builder: Builder, limbs: Element) -> list[Value]:
    """Normal numbers below 2^384 as six words."""
    return _repack(builder, limbs, LIMB_BITS, WORD_BITS, WORDS)


def _repack(builder: Builder, parts: list[Value], given: int, wanted: int, count: int) -> list[Value]:
    """The same bits, `wanted` to a part instead of `given`."""
    out = []
    for k in range(count):
        pieces = []
        for i, part in enumerate(parts):
            shift = given * i - wanted * k
            if 0 <= shift < wanted:
                pieces.append(builder.shl(part, splat(shift)) if shift else part)
            elif -given < shift < 0:
                pieces.append(builder.lshr(part, splat(-shift)))
        total = reduce(builder.or_, pieces)
        out.append(builder.and_(total, splat(LIMB_MASK)) if wanted == LIMB_BITS else total)
    return out
