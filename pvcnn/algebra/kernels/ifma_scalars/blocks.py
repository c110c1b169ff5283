"""LLVM code that moves eight elements of F_r between memory and lanes.

Two ways lie in memory: *words*, eight elements of a ScalarVector one after another, four 64-bit words
each (256 bytes); and *limbs*, the five vectors of an element on eight lanes (320 bytes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from llvmlite import ir

from pvcnn.algebra.kernels.ifma import vectors
from pvcnn.algebra.kernels.ifma.field import LIMB_BITS, LIMB_MASK, Element
from pvcnn.algebra.kernels.ifma.vectors import LANES, splat
from pvcnn.algebra.kernels.ifma_scalars.field import LIMBS
from pvcnn.algebra.kernels.words import WORD, Builder, Value

WORDS: Final = 4
WORD_BITS: Final = 64
#: Bytes of eight elements as limbs.
LIMBS_BYTES: Final = 8 * LIMBS * LANES


def load_words(builder: Builder, address: Value, shift: int = 0) -> Element:
    """The eight elements at `address` times 2^shift, shift 0 or 4; normal if the elements are below 2^256."""
    return split(builder, deinterleave(builder, address), shift)


def store_words(builder: Builder, element: Sequence[Value], address: Value) -> None:
    """Writes a normal element below 2^256 in each lane as eight elements."""
    pairs = interleave(builder, join(builder, element))
    for i, pair in enumerate(pairs):
        vectors.store(builder, pair, address, vectors.BYTES * i)


def load_limbs(builder: Builder, address: Value) -> Element:
    return [vectors.load(builder, address, vectors.BYTES * i) for i in range(LIMBS)]


def store_limbs(builder: Builder, element: Sequence[Value], address: Value) -> None:
    for i, limb in enumerate(element):
        vectors.store(builder, limb, address, vectors.BYTES * i)


def broadcast_limbs(builder: Builder, address: Value, index: int = 0) -> Element:
    """Element number `index` of those of five limbs (40 bytes) at `address`, in every lane."""
    out = []
    for i in range(LIMBS):
        moved = builder.add(address, WORD(8 * (LIMBS * index + i)))
        word = builder.load(builder.inttoptr(moved, WORD.as_pointer()), align=8)
        out.append(vectors.broadcast(builder, word))
    return out


def transpose(builder: Builder, elements: Sequence[Sequence[Value]]) -> list[Element]:
    """Eight elements: lane j of number i becomes lane i of number j."""
    by_limb = [vectors.transpose(builder, [element[limb] for element in elements]) for limb in range(LIMBS)]
    return [[by_limb[limb][i] for limb in range(LIMBS)] for i in range(LANES)]


def split(builder: Builder, words: Sequence[Value], shift: int) -> Element:
    """The limbs of four words, times 2^shift."""
    limbs = []
    for i in range(LIMBS):
        position = LIMB_BITS * i - shift
        limb = _bits(builder, words, position) if position >= 0 else builder.shl(words[0], splat(-position))
        limbs.append(limb if i == LIMBS - 1 else builder.and_(limb, splat(LIMB_MASK)))
    return limbs


def join(builder: Builder, limbs: Sequence[Value]) -> list[Value]:
    """The four words of a normal element below 2^256."""
    words = []
    for i in range(WORDS):
        first, offset = divmod(WORD_BITS * i, LIMB_BITS)
        low = builder.lshr(limbs[first], splat(offset)) if offset else limbs[first]
        high = builder.shl(limbs[first + 1], splat(LIMB_BITS - offset))
        words.append(builder.or_(low, high))
    return words


def deinterleave(builder: Builder, address: Value) -> list[Value]:
    """Word k of each of the eight elements at `address`, for k = 0 .. 3."""
    pairs = [vectors.load(builder, address, vectors.BYTES * i) for i in range(WORDS)]
    # Four elements' words k and k + 1, for k = 0 and 2.
    low, high = [0, 4, 8, 12, 1, 5, 9, 13], [2, 6, 10, 14, 3, 7, 11, 15]
    halves = [
        (_shuffle(builder, pairs[0], pairs[1], lanes), _shuffle(builder, pairs[2], pairs[3], lanes))
        for lanes in (low, high)
    ]
    return [
        _shuffle(builder, front, back, lanes)
        for front, back in halves
        for lanes in ([0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])
    ]


def interleave(builder: Builder, words: Sequence[Value]) -> list[Value]:
    """Inverse of `deinterleave`: the four vectors that lie in memory."""
    # Words 0 and 1, and words 2 and 3, of elements 0 to 3 and 4 to 7.
    low, high = [0, 8, 1, 9, 2, 10, 3, 11], [4, 12, 5, 13, 6, 14, 7, 15]
    out = []
    for lanes in (low, high):
        front, back = (_shuffle(builder, words[k], words[k + 1], lanes) for k in (0, 2))
        out.append(_shuffle(builder, front, back, [0, 1, 8, 9, 2, 3, 10, 11]))
        out.append(_shuffle(builder, front, back, [4, 5, 12, 13, 6, 7, 14, 15]))
    return out


def _bits(builder: Builder, words: Sequence[Value], position: int) -> Value:
    """The 64 bits from `position` on of the number that the words are, or what there is of them."""
    first, offset = divmod(position, WORD_BITS)
    if offset == 0:
        return words[first]
    low = builder.lshr(words[first], splat(offset))
    if first + 1 == len(words) or offset + LIMB_BITS <= WORD_BITS:
        return low
    return builder.or_(low, builder.shl(words[first + 1], splat(WORD_BITS - offset)))


def _shuffle(builder: Builder, left: Value, right: Value, lanes: Sequence[int]) -> Value:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(lanes))
    return builder.shuffle_vector(left, right, mask)
