"""LLVM code for the steps of a transform on eight lanes.

A transform of n = 8 m elements keeps m times eight of them as limbs (pvcnn.algebra.kernels.ifma_scalars.
blocks), loosely: `DESCENDING` while it goes from values in natural order to coefficients in bit-reversed
order, `ASCENDING` on the way back. Two levels at a time cost four products for four elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from llvmlite import ir

from pvcnn.algebra.kernels.ifma.vectors import LANES
from pvcnn.algebra.kernels.ifma_scalars.blocks import (
    LIMBS_BYTES,
    broadcast_limbs,
    load_limbs,
    load_words,
    store_limbs,
    store_words,
    transpose,
)
from pvcnn.algebra.kernels.ifma_scalars.field import Lazy, ScalarLanes
from pvcnn.algebra.kernels.words import WORD, Builder, Value

#: What numbers and limbs between levels are below: multiples of r, and of 2^52.
DESCENDING: Final = Fraction(4), 42
ASCENDING: Final = Fraction(6), 45

#: What values between `join_parts` and `separate_product` are below.
JOINED: Final = Fraction(4), 1


def descend_four(builder: Builder, first: Value, stride: Value, factors: Value) -> None:
    """Two levels down, on the four blocks of lanes at `first`, `stride` bytes apart.

    factors: w, w i and w^2, where i^2 = -1.
    """
    lanes = ScalarLanes(builder)
    places = _places(builder, first, stride, 4)
    x = [_load(builder, place, DESCENDING) for place in places]
    w, w_i, w_squared = (_factor(builder, factors, k) for k in range(3))
    even, odd = lanes.add(x[0], x[2]), lanes.add(x[1], x[3])
    difference = lanes.product(lanes.subtract(x[0], x[2]), w)
    other = lanes.product(lanes.subtract(x[1], x[3]), w_i)
    _store(builder, lanes.normal(lanes.folded(lanes.add(even, odd))), places[0], DESCENDING)
    _store(builder, lanes.product(lanes.subtract(even, odd), w_squared), places[1], DESCENDING)
    _store(builder, lanes.add(difference, other), places[2], DESCENDING)
    _store(builder, lanes.product(lanes.subtract(difference, other), w_squared), places[3], DESCENDING)


def ascend_four(builder: Builder, first: Value, stride: Value, factors: Value) -> None:
    """Two levels up: what `descend_four` does with the inverse factors, undone but for a factor of 4."""
    lanes = ScalarLanes(builder)
    places = _places(builder, first, stride, 4)
    x = [_load(builder, place, ASCENDING) for place in places]
    w, w_i, w_squared = (_factor(builder, factors, k) for k in range(3))
    start = lanes.normal(lanes.folded(x[0]))
    turned = lanes.product(x[1], w_squared)
    even, odd = lanes.add(start, turned), lanes.subtract(start, turned)
    turned = lanes.product(x[3], w_squared)
    above = lanes.product(lanes.add(x[2], turned), w)
    below = lanes.product(lanes.subtract(x[2], turned), w_i)
    _store(builder, lanes.add(even, above), places[0], ASCENDING)
    _store(builder, lanes.add(odd, below), places[1], ASCENDING)
    _store(builder, lanes.subtract(even, above), places[2], ASCENDING)
    _store(builder, lanes.subtract(odd, below), places[3], ASCENDING)


def descend_two(builder: Builder, first: Value, stride: Value, factors: Value) -> None:
    """One level down, on two blocks of lanes."""
    lanes = ScalarLanes(builder)
    places = _places(builder, first, stride, 2)
    x, y = (_load(builder, place, DESCENDING) for place in places)
    _store(builder, lanes.normal(lanes.folded(lanes.add(x, y))), places[0], DESCENDING)
    product = lanes.product(lanes.subtract(x, y), _factor(builder, factors, 0))
    _store(builder, product, places[1], DESCENDING)


def ascend_two(builder: Builder, first: Value, stride: Value, factors: Value) -> None:
    """One level up, on two blocks of lanes."""
    lanes = ScalarLanes(builder)
    places = _places(builder, first, stride, 2)
    x, y = (_load(builder, place, ASCENDING) for place in places)
    start, turned = lanes.normal(lanes.folded(x)), lanes.product(y, _factor(builder, factors, 0))
    _store(builder, lanes.add(start, turned), places[0], ASCENDING)
    _store(builder, lanes.subtract(start, turned), places[1], ASCENDING)


def enter(builder: Builder, out: Value, sources: Value, factors: Value, lane_factors: Value) -> None:
    """The three top levels down: from words to eight blocks of lanes one after another at `out`.

    sources: eight addresses, of the words of eight consecutive elements in each eighth of the vector.
    factors: seven, for parts 1 to 7; lane_factors: for each of those an element in limbs, and then the
    powers 0 to 3 of the eighth root of unity, in five limbs each.
    """
    lanes = ScalarLanes(builder)
    parts = []
    for i in range(LANES):
        address = builder.load(_word_pointer(builder, sources, 8 * i), align=8)
        parts.append(Lazy(load_words(builder, address), Fraction(1), 1))
    _separate(builder, lanes, parts, out, factors, lane_factors)


def leave(builder: Builder, out: Value, source: Value, factor: Value) -> None:
    """From lanes to words, times the factor."""
    lanes = ScalarLanes(builder)
    product = lanes.product(_load(builder, source, DESCENDING), _factor(builder, factor, 0))
    store_words(builder, lanes.canonical(product).limbs, out)


def combine(builder: Builder, out: Value, first: Value, second: Value, factors: Value) -> None:
    """From lanes to words: first times the first factor plus second times the second."""
    lanes = ScalarLanes(builder)
    x, y = (_load(builder, source, DESCENDING) for source in (first, second))
    total = lanes.sum_of_products(x, _factor(builder, factors, 0), y, _factor(builder, factors, 1))
    store_words(builder, lanes.canonical(total).limbs, out)


def join_parts(builder: Builder, out: Value, source: Value, factors: Value, lane_factors: Value) -> None:
    """The three top levels up: from eight blocks of lanes at `source`, one after another, to their values.

    Block i of `out` holds the values in the i-th eighth, eight consecutive ones in its lanes.
    """
    lanes = ScalarLanes(builder)
    blocks = [_load(builder, _moved(builder, source, LIMBS_BYTES * i), ASCENDING) for i in range(LANES)]
    bound, size = ASCENDING
    parts = [Lazy(limbs, bound, size) for limbs in transpose(builder, [block.limbs for block in blocks])]
    turned = [lanes.folded(parts[0])]
    turned += _turned(builder, lanes, parts[1:], factors, lane_factors)
    for i, value in enumerate(_eighths(builder, lanes, turned, lane_factors)):
        reduced = lanes.normal(lanes.folded(value))
        _store(builder, reduced, _moved(builder, out, LIMBS_BYTES * i), JOINED)


def separate_product(
    builder: Builder, out: Value, values: Value, factors: Value, lane_factors: Value
) -> None:
    """The three top levels down of the products of two times eight blocks that `join_parts` gave.

    values: the first eight blocks, and after them the second.
    """
    lanes = ScalarLanes(builder)
    parts = []
    for i in range(LANES):
        left, right = (
            _load(builder, _moved(builder, values, LIMBS_BYTES * k), JOINED) for k in (i, i + LANES)
        )
        parts.append(lanes.product(left, right))
    _separate(builder, lanes, parts, out, factors, lane_factors)


def _separate(
    builder: Builder,
    lanes: ScalarLanes,
    parts: Sequence[Lazy],
    out: Value,
    factors: Value,
    lane_factors: Value,
) -> None:
    """A transform of eight in each lane, its results turned by the factors, then lanes for parts."""
    first, *rest = _eighths(builder, lanes, parts, lane_factors)
    turned = [lanes.normal(lanes.folded(first))]
    turned += [lanes.normal(part) for part in _turned(builder, lanes, rest, factors, lane_factors)]
    for i, limbs in enumerate(transpose(builder, [part.limbs for part in turned])):
        block = Lazy(limbs, max(part.bound for part in turned), 1)
        _store(builder, block, _moved(builder, out, LIMBS_BYTES * i), DESCENDING)


def _turned(
    builder: Builder, lanes: ScalarLanes, parts: Sequence[Lazy], factors: Value, lane_factors: Value
) -> list[Lazy]:
    """Each part times its factor, the same in all lanes, and its lanes' factors."""
    out = []
    for i, part in enumerate(parts):
        in_lanes = Lazy(load_limbs(builder, _moved(builder, lane_factors, LIMBS_BYTES * i)), Fraction(1), 1)
        out.append(lanes.product(lanes.product(part, _factor(builder, factors, i)), in_lanes))
    return out


def _eighths(builder: Builder, lanes: ScalarLanes, x: Sequence[Lazy], lane_factors: Value) -> list[Lazy]:
    """sum_j x_j root^(ij) for i = 0 .. 7; powers of the root follow the lanes' factors."""
    roots = _moved(builder, lane_factors, LIMBS_BYTES * (LANES - 1))
    turns = [_factor(builder, roots, i) for i in range(4)]
    sums = [lanes.add(x[i], x[i + 4]) for i in range(4)]
    differences = [lanes.subtract(x[i], x[i + 4]) for i in range(4)]
    turned = [differences[0], *(lanes.product(differences[i], turns[i]) for i in range(1, 4))]
    out: list[Lazy] = []
    halves = [_fourths(lanes, half, turns[2]) for half in (sums, turned)]
    for even, odd in zip(*halves, strict=True):
        out += [even, odd]
    return out


def _fourths(lanes: ScalarLanes, x: Sequence[Lazy], i: Lazy) -> list[Lazy]:
    """sum_j x_j i^(jk) for k = 0 .. 3, i^2 = -1."""
    even, odd = lanes.add(x[0], x[2]), lanes.add(x[1], x[3])
    difference, turned = lanes.subtract(x[0], x[2]), lanes.product(lanes.subtract(x[1], x[3]), i)
    return [
        lanes.add(even, odd),
        lanes.add(difference, turned),
        lanes.subtract(even, odd),
        lanes.subtract(difference, turned),
    ]


def _load(builder: Builder, address: Value, kind: tuple[Fraction, int]) -> Lazy:
    return Lazy(load_limbs(builder, address), *kind)


def _store(builder: Builder, element: Lazy, address: Value, kind: tuple[Fraction, int]) -> None:
    bound, size = kind
    if element.bound > bound or element.size > size:
        raise ValueError(f"{element.bound} r and {element.size} 2^52 exceed what is kept between levels")
    store_limbs(builder, element.limbs, address)


def _factor(builder: Builder, factors: Value, index: int) -> Lazy:
    return Lazy(broadcast_limbs(builder, factors, index), Fraction(1), 1)


def _places(builder: Builder, first: Value, stride: Value, count: int) -> list[Value]:
    places = [first]
    for _ in range(count - 1):
        places.append(builder.add(places[-1], stride))
    return places


def _moved(builder: Builder, address: Value, offset: int) -> Value:
    return builder.add(address, WORD(offset)) if offset else address


def _word_pointer(builder: Builder, address: Value, offset: int) -> Value:
    return builder.inttoptr(_moved(builder, address, offset), ir.IntType(64).as_pointer())
