"""LLVM code between point vectors (`pvcnn.algebra.curve`) and the rows that `groups` works on.

A point vector has elements of F_q in six words of 64 bits, in Montgomery form with R = 2^384, in
[0, p), one after another; the identity is all zero. A row has lines of eight limbs of 52 bits, for
which R is 2^416. The number x 2^384 stays as it is and is then read as x u^2, with u = 2^-16; y 2^384
becomes y 2^368, which is read as y u^3. So rows are points of the isomorphic curve y^2 = x^3 + b u^6,
where addition has the same formulas, and x costs no product on its way in. Eight points are converted
at a time.
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

#: Words of an element in a point vector, and their bits and bytes.
WORDS: Final = 6
WORD_BITS: Final = 64
ELEMENT_BYTES: Final = 48

_FIELD = BASE_FIELD
#: What the number of a y is multiplied by to become a row's, and by to become a vector's again.
Y_SCALE: Final = pow(1 << 16, -1, _FIELD.modulus)
Y_UNSCALE: Final = 1 << 16


def emit_enter(builder: Builder, degree: int, rows: Value, points: Value) -> None:
    """Rows of eight points: x in [0, p), y in [0, p + 2^374). rows, points: addresses."""
    lines, absent = [], []
    for i in range(2 * degree):
        words = _load_words(builder, degree, i, points)
        absent.append(builder.icmp_unsigned("==", reduce(builder.or_, words), splat(0)))
        limbs = _repack(builder, words, WORD_BITS, LIMB_BITS, _FIELD.limbs)
        lines.append(limbs if i < degree else _FIELD.multiply(builder, limbs, _FIELD.constant(Y_SCALE)))
    identity = reduce(builder.and_, absent)
    lines[0][-1] = builder.select(identity, splat(IDENTITY_LIMB), lines[0][-1])
    for i, line in enumerate(lines):
        for lane, row in enumerate(vectors.transpose(builder, line)):
            vectors.store(builder, row, rows, BYTES * (2 * degree * lane + i))


def emit_leave(builder: Builder, degree: int, points: Value, rows: Value) -> None:
    """Eight points of rows, the inverse of `emit_enter` but for the numbers' reduction."""
    identity = None
    for i in range(2 * degree):
        loaded = [vectors.load(builder, rows, BYTES * (2 * degree * lane + i)) for lane in range(LANES)]
        line = vectors.transpose(builder, loaded)
        if identity is None:
            identity = builder.icmp_signed(">", line[-1], splat(IDENTITY_BOUND))
        normal = _FIELD.normalise(builder, _FIELD.raised(builder, line, 2))
        factor = _FIELD.constant(1 if i < degree else Y_UNSCALE)
        reduced = _FIELD.reduce_once(builder, _FIELD.multiply(builder, normal, factor))
        present = _FIELD.select(builder, identity, _FIELD.words(0), reduced)
        words = _repack(builder, present, LIMB_BITS, WORD_BITS, WORDS)
        for lane, row in enumerate(vectors.transpose(builder, [*words, splat(0), splat(0)])):
            at = builder.add(points, WORD(ELEMENT_BYTES * (2 * degree * lane + i)))
            vectors.store_words(builder, row, at, WORDS)


def _load_words(builder: Builder, degree: int, element: int, points: Value) -> list[Value]:
    """The words of one of the elements of eight points."""
    offsets = [ELEMENT_BYTES * (2 * degree * lane + element) for lane in range(LANES)]
    loaded = [vectors.load_words(builder, builder.add(points, WORD(at)), WORDS) for at in offsets]
    return vectors.transpose(builder, loaded)[:WORDS]


def _repack(builder: Builder, parts: list[Value], given: int, wanted: int, count: int) -> Element:
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
