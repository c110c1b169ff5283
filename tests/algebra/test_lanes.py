"""Arithmetic on eight lanes where its lazy bounds are reached: the largest numbers, the oddest limbs.

Every number is written in several ways: with normal limbs, and with as much of each limb as the bounds
allow moved to the one below, or borrowed from it, in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from pvcnn.algebra import lane_transforms
from pvcnn.algebra.constants import SCALAR_GENERATOR
from pvcnn.algebra.constants import SCALAR_MODULUS as R
from pvcnn.algebra.kernels.ifma.vectors import splat
from pvcnn.algebra.kernels.ifma_scalars import blocks, butterflies, transforms
from pvcnn.algebra.kernels.ifma_scalars.field import CAPACITY, Lazy, ScalarLanes
from pvcnn.algebra.kernels.ifma_scalars.intrinsics import of_three
from pvcnn.algebra.kernels.selection import Kernels, choose, compiled_features

if choose("auto", compiled_features()) is not Kernels.IFMA:
    pytest.skip("this processor lacks AVX-512 IFMA", allow_module_level=True)


LIMBS, LANES = 5, 8
RADIX = 1 << 260
#: (4 steps of limbs) moved down: nothing, all that fits, borrowed instead, by turns.
PATTERNS = [(0, 0, 0, 0), (1, 1, 1, 1), (-1, -1, -1, -1), (1, -1, 1, -1), (-1, 1, -1, 1), (0, 0, 0, 1)]


def largest_below(bound: Fraction) -> int:
    """The largest integer below bound r."""
    return ceil(bound * R) - 1


def edges(bound: Fraction) -> list[int]:
    """Numbers in [0, bound r): the ends, around multiples of r and of 2^255, and between."""
    top = largest_below(bound)
    around = [k * unit + d for unit in (R, 1 << 255, 1 << 208) for k in range(40) for d in (-1, 0, 1)]
    return sorted({n for n in [*around, top, top - 1, top // 2] if 0 <= n <= top})


def written(number: int, size: int, pattern: tuple[int, ...]) -> list[int]:
    """Limbs of the number, below size 2^52 in magnitude: normal, but for what the pattern moves down."""
    limbs = [(number >> (52 * i)) & ((1 << 52) - 1) for i in range(LIMBS - 1)] + [number >> 208]
    for i, direction in enumerate(pattern):
        moved = direction * (size - 2) if size > 1 else 0
        limbs[i] += moved << 52
        limbs[i + 1] -= moved
    assert all(abs(limb) < size << 52 for limb in limbs)
    assert sum(limb << (52 * i) for i, limb in enumerate(limbs)) == number
    return limbs


def ways(bound: Fraction, size: int) -> list[list[int]]:
    return [written(n, size, p) for n in edges(bound) for p in (PATTERNS if size > 1 else PATTERNS[:1])]


def packed(rows: list[list[int]]) -> NDArray[np.int64]:
    """(blocks, 5, 8): elements side by side, repeated to fill the last block."""
    filled = rows + rows[: -len(rows) % LANES]
    filled += [filled[-1]] * (-len(filled) % LANES)
    lanes = np.array(filled, np.int64).reshape(-1, LANES, LIMBS).transpose(0, 2, 1)
    return np.ascontiguousarray(lanes)


def numbers(lanes: NDArray[np.int64]) -> list[int]:
    """The numbers in blocks of lanes, in the order of `packed`."""
    rows = lanes.transpose(0, 2, 1).reshape(-1, LIMBS).tolist()
    return [sum(limb << (52 * i) for i, limb in enumerate(row)) for row in rows]


Operation = Callable[["ScalarLanes", "Lazy", "Lazy"], "Lazy"]


def run(operation: Operation, left: Any, right: Any, kind: Any, other: Any) -> tuple[list[int], Any]:
    """`operation` on blocks of lanes of two kinds (bound, size): the numbers, and the kind they have."""
    results: list[Lazy] = []

    def body(builder: Any, out: Any, a: Any, b: Any) -> None:
        x, y = Lazy(blocks.load_limbs(builder, a), *kind), Lazy(blocks.load_limbs(builder, b), *other)
        result = operation(ScalarLanes(builder), x, y)
        results.append(result)
        blocks.store_limbs(builder, list(result.limbs), out)

    step = of_three(body)

    def loop(out: int, a: int, b: int, count: int) -> None:
        for i in range(0, 320 * count, 320):
            step(out + i, a + i, b + i)

    out = np.empty_like(left)
    compiled: Any = njit(loop)
    compiled(out.ctypes.data, left.ctypes.data, right.ctypes.data, len(left))
    result = results[-1]
    assert (np.abs(out) < (result.size << 52)).all()
    assert result.size > 1 or (out >= 0).all()
    values = numbers(out)
    assert min(values) >= 0
    assert max(values) < result.bound * R
    return values, result


def pairs(kind: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    """Every way beside a way of the other kind, shifted so that extremes meet extremes and small ones."""
    left, right = ways(*kind), ways(*other)
    for shift in (0, 1, len(right) // 2, len(right) - 1):
        beside = [right[-1 - (i + shift) % len(right)] for i in range(len(left))]
        yield packed(left), packed(beside)


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ((Fraction(1), 1), (Fraction(1), 1)),
        ((Fraction(16), 1), (Fraction(1), 1)),
        ((Fraction(35), 1), (Fraction(1), 1)),
        ((Fraction(17), 250), (Fraction(17), 250)),
        ((Fraction(35), 500), (Fraction(1), 1)),
    ],
)
def test_products(kind: Any, other: Any) -> None:
    for left, right in pairs(kind, other):
        got, result = run(lambda lanes, x, y: lanes.product(x, y), left, right, kind, other)
        assert all(
            (g * RADIX - a * b) % R == 0 for g, a, b in zip(got, numbers(left), numbers(right), strict=True)
        )
        assert result.bound <= kind[0] * other[0] / CAPACITY + 1


def test_sums_of_products_and_differences() -> None:
    kind, other = (Fraction(6), 45), (Fraction(4), 42)
    for left, right in pairs(kind, other):
        a, b = numbers(left), numbers(right)
        got, _ = run(lambda lanes, x, y: lanes.sum_of_products(x, y, y, x), left, right, kind, other)
        assert all((g * RADIX - 2 * x * y) % R == 0 for g, x, y in zip(got, a, b, strict=True))
        got, _ = run(lambda lanes, x, y: lanes.subtract(x, y), left, right, kind, other)
        assert all((g - x + y) % R == 0 for g, x, y in zip(got, a, b, strict=True))
        got, _ = run(lambda lanes, x, y: lanes.normal(lanes.add(x, y)), left, right, kind, other)
        assert got == [x + y for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize(
    "kind", [(Fraction(1), 1), (Fraction(6), 45), (Fraction(8), 500), (Fraction(16), 170)]
)
def test_folding(kind: Any) -> None:
    lanes = packed(ways(*kind))
    got, result = run(lambda lanes, x, _: lanes.folded(x), lanes, lanes, kind, kind)
    assert all((g - n) % R == 0 for g, n in zip(got, numbers(lanes), strict=True))
    assert result.bound < (Fraction(185, 100) if kind[0] < 8.8 else Fraction(37, 10))


def test_canonical_numbers() -> None:
    kind = Fraction(2), 44
    lanes = packed(ways(*kind))
    got, result = run(lambda lanes, x, _: lanes.canonical(x), lanes, lanes, kind, kind)
    assert got == [n % R for n in numbers(lanes)]
    assert result.bound == 1


def test_bounds_that_do_not_hold_are_refused_when_code_is_emitted() -> None:
    limbs = [splat(0)] * LIMBS
    with pytest.raises(ValueError, match="beyond the lanes"):
        Lazy(limbs, Fraction(36), 1)
    with pytest.raises(ValueError, match="beyond the lanes"):
        Lazy(limbs, Fraction(1), 513)
    with pytest.raises(ValueError, match="more than one subtraction"):
        ScalarLanes(None).canonical(Lazy(limbs, Fraction(21, 10), 1))
    with pytest.raises(ValueError, match="folded"):
        ScalarLanes(None).folded(Lazy(limbs, Fraction(18), 1))


def residues(lanes: NDArray[np.int64]) -> list[int]:
    return [number % R for number in numbers(lanes)]


def in_blocks(kind: Any, count: int) -> Iterator[NDArray[np.int64]]:
    """(count, 5, 8): blocks in which the ways of a kind meet one another, its largest numbers first."""
    rows = ways(*kind)[::-1]
    yield packed([rows[0]] * (count * LANES))
    yield packed([rows[i % len(PATTERNS)] for i in range(count * LANES)])
    yield packed([(rows[0], ways(*kind)[0])[i // LANES % 2] for i in range(count * LANES)])
    rng = np.random.default_rng(count)
    for _ in range(20):
        yield packed([rows[i] for i in rng.integers(0, len(rows), count * LANES)])


def factors(values: list[int]) -> NDArray[np.uint64]:
    """(n, 5): k 2^260 mod r."""
    limbs = [written(value * RADIX % R, 1, PATTERNS[0]) for value in values]
    return np.array(limbs, np.uint64)


def check_kind(lanes: NDArray[np.int64], kind: Any) -> None:
    bound, size = kind
    assert (np.abs(lanes) < (size << 52)).all()
    assert min(numbers(lanes)) >= 0
    assert max(numbers(lanes)) < bound * R


#: Whose representatives k 2^260 mod r are 1, r - 1, and something between.
FACTORS = [pow(RADIX, -1, R), -pow(RADIX, -1, R) % R, 3**100 % R]


@pytest.mark.parametrize("w", FACTORS)
def test_steps_of_two_levels_down_and_up(w: int) -> None:
    i = pow(SCALAR_GENERATOR, (R - 1) // 4, R)
    table = factors([w, w * i, w * w])
    for lanes in in_blocks(butterflies.DESCENDING, 4):
        x0, x1, x2, x3 = (residues(block[None]) for block in lanes)
        transforms.descend_level(lanes.ctypes.data, 4, 1, table.ctypes.data, 0, 1)
        check_kind(lanes, butterflies.DESCENDING)
        got = [residues(block[None]) for block in lanes]
        for k, (a, b, c, d) in enumerate(zip(x0, x1, x2, x3, strict=True)):
            u, v = (a - c) * w, (b - d) * w * i
            expected = [a + b + c + d, (a + c - b - d) * w * w, u + v, (u - v) * w * w]
            assert [row[k] for row in got] == [value % R for value in expected]
    for lanes in in_blocks(butterflies.ASCENDING, 4):
        x0, x1, x2, x3 = (residues(block[None]) for block in lanes)
        transforms.ascend_level(lanes.ctypes.data, 4, 1, table.ctypes.data, 0, 1)
        check_kind(lanes, butterflies.ASCENDING)
        got = [residues(block[None]) for block in lanes]
        for k, (a, b, c, d) in enumerate(zip(x0, x1, x2, x3, strict=True)):
            even, odd = a + b * w * w, a - b * w * w
            above, below = (c + d * w * w) * w, (c - d * w * w) * w * i
            expected = [even + above, odd + below, even - above, odd - below]
            assert [row[k] for row in got] == [value % R for value in expected]


@pytest.mark.parametrize("w", FACTORS)
def test_steps_of_one_level_down_and_up(w: int) -> None:
    table = factors([w])
    for lanes in in_blocks(butterflies.DESCENDING, 2):
        x, y = (residues(block[None]) for block in lanes)
        transforms.descend_level(lanes.ctypes.data, 2, 0, table.ctypes.data, 0, 1)
        check_kind(lanes, butterflies.DESCENDING)
        assert residues(lanes[:1]) == [(a + b) % R for a, b in zip(x, y, strict=True)]
        assert residues(lanes[1:]) == [(a - b) * w % R for a, b in zip(x, y, strict=True)]
    for lanes in in_blocks(butterflies.ASCENDING, 2):
        x, y = (residues(block[None]) for block in lanes)
        transforms.ascend_level(lanes.ctypes.data, 2, 0, table.ctypes.data, 0, 1)
        check_kind(lanes, butterflies.ASCENDING)
        assert residues(lanes[:1]) == [(a + b * w) % R for a, b in zip(x, y, strict=True)]
        assert residues(lanes[1:]) == [(a - b * w) % R for a, b in zip(x, y, strict=True)]


def words(elements: NDArray[np.uint64]) -> list[int]:
    return [sum(int(word) << (64 * i) for i, word in enumerate(row)) for row in elements.reshape(-1, 4)]


@pytest.mark.parametrize("w", FACTORS)
def test_the_way_to_words(w: int) -> None:
    table = factors([w, -w])
    for lanes in in_blocks(butterflies.DESCENDING, 2):
        first, second = (residues(block[None]) for block in lanes)
        out = np.zeros((8, 4), np.uint64)
        transforms.leave(out.ctypes.data, lanes.ctypes.data, 0, table.ctypes.data, 0, 1)
        assert words(out) == [a * w % R for a in first]
        transforms.combine(
            out.ctypes.data, lanes.ctypes.data, lanes.ctypes.data + 320, 0, table.ctypes.data, 0, 1
        )
        assert words(out) == [(a - b) * w % R for a, b in zip(first, second, strict=True)]


def test_values_on_the_coset_and_back() -> None:
    """Eight blocks up to values, those multiplied, and down again, at the bounds."""
    root = pow(SCALAR_GENERATOR, (R - 1) // 64, R)
    up = lane_transforms._Factors.of(64, root, SCALAR_GENERATOR)
    down = lane_transforms._Factors.of(64, pow(root, -1, R), pow(SCALAR_GENERATOR, -1, R))
    for lanes in in_blocks(butterflies.ASCENDING, 8):
        before = residues(lanes)
        other = lanes[::-1].copy()
        out = np.empty_like(lanes)
        transforms.multiply_values(
            out.ctypes.data,
            lanes.ctypes.data,
            other.ctypes.data,
            up.parts.ctypes.data,
            up.lanes.ctypes.data,
            down.parts.ctypes.data,
            down.lanes.ctypes.data,
            0,
            1,
        )
        check_kind(out, butterflies.DESCENDING)
        assert residues(out) == expected_products(before, residues(other), root)


def expected_products(left: list[int], right: list[int], root: int) -> list[int]:
    """What `multiply_values` gives: row j holds the parts b of x_j, in lane b."""

    def values(lanes: list[int], j: int) -> list[int]:
        turned = [lanes[8 * j + b] * pow(7 * pow(root, j, R), b, R) for b in range(8)]
        return [sum(t * pow(root, 8 * a * b, R) for b, t in enumerate(turned)) % R for a in range(8)]

    out = []
    for j in range(8):
        products = [x * y * pow(RADIX, -1, R) for x, y in zip(values(left, j), values(right, j), strict=True)]
        for b in range(8):
            total = sum(v * pow(root, -8 * a * b, R) for a, v in enumerate(products))
            out.append(total * pow(7 * pow(root, j, R), -b, R) % R)
    return out
