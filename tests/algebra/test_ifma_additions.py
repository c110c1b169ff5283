"""Additions of rows whose numbers lie anywhere in their ranges, edges first, against Python's integers.

The formulas know nothing of the curve's constant, so any coordinates will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.algebra.constants import BASE_MODULUS as P
from pvcnn.algebra.ifma_batches import IfmaBackend
from pvcnn.algebra.kernels.ifma.coordinates import BASE_FIELD
from pvcnn.algebra.kernels.ifma.field import LIMB_BITS, LIMB_MASK
from pvcnn.algebra.kernels.selection import Kernels, choose, compiled_features
from pvcnn.algebra.memory import aligned

pytestmark = pytest.mark.skipif(
    choose("auto", compiled_features()) is not Kernels.IFMA, reason="the processor has no AVX-512 IFMA"
)

U = 1 << 364
RADIX_INVERSE = pow(BASE_FIELD.radix, -1, P)
X_EDGES = [-4 * U, -1, 0, 1, P - 1, P, P + 1, 2 * P - 1, 2 * P, 2 * P + 2 * U]
Y_EDGES = [-2 * U, -1, 0, 1, P - 1, P, P + 1, 2 * P, 2 * P + 2 * U]

#: The numbers of a row: x and y, of one part in G1 and two in G2.
Numbers: TypeAlias = tuple[int, ...]
#: An element of F_q^2, or of F_q with a second part of 0.
Pair: TypeAlias = tuple[int, int]


def to_rows(points: Sequence[Numbers]) -> NDArray[np.uint64]:
    rows = aligned((len(points), 8 * len(points[0])), np.int64)
    for row, numbers in zip(rows, points, strict=True):
        row[:] = [limb for number in numbers for limb in BASE_FIELD.split(number)]
    return rows.view(np.uint64)


def to_numbers(rows: NDArray[np.uint64]) -> list[Numbers]:
    limbs = rows.view(np.int64).reshape(len(rows), -1, 8)
    assert ((limbs[:, :, :-1] >= 0) & (limbs[:, :, :-1] <= LIMB_MASK)).all(), "not normalised"
    return [
        tuple(sum(int(limb) << (LIMB_BITS * i) for i, limb in enumerate(line)) for line in row)
        for row in limbs
    ]


def product_of(a: Pair, b: Pair) -> Pair:
    return (a[0] * b[0] - a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P


def inverse_of(a: Pair) -> Pair:
    scale = pow(a[0] * a[0] + a[1] * a[1], -1, P)
    return a[0] * scale % P, -a[1] * scale % P


def difference(a: Pair, b: Pair) -> Pair:
    return (a[0] - b[0]) % P, (a[1] - b[1]) % P


def expected_sum(left: Numbers, right: Numbers) -> list[int] | None:
    """The sum's coordinates as residues of numbers; None if the two points' x agree and y don't."""

    def pair(numbers: Numbers, first: int) -> Pair:
        parts = [part * RADIX_INVERSE % P for part in numbers[first : first + degree]]
        return parts[0], parts[1] if degree == 2 else 0

    degree = len(left) // 2
    x1, y1, x2, y2 = pair(left, 0), pair(left, degree), pair(right, 0), pair(right, degree)
    if x1 != x2:
        slope = product_of(difference(y2, y1), inverse_of(difference(x2, x1)))
    elif y1 == y2 and any(y1):
        squared = product_of(x1, x1)
        triple, twice = (3 * squared[0], 3 * squared[1]), (2 * y1[0], 2 * y1[1])
        slope = product_of(triple, inverse_of(twice))
    else:
        return None
    x3 = difference(difference(product_of(slope, slope), x1), x2)
    y3 = difference(product_of(slope, difference(x1, x3)), y1)
    return [part * BASE_FIELD.radix % P for part in (*x3[:degree], *y3[:degree])]


def check_sums(pairs: Sequence[tuple[Numbers, Numbers]]) -> None:
    """Every pair, with every combination of signs, in one batch; results in their ranges."""
    degree = len(pairs[0][0]) // 2
    # (0, 0) is on no curve with b other than 0, and stands for the identity in point vectors.
    pairs = [pair for pair in pairs if all(any(number % P for number in point) for point in pair)]
    rows = to_rows([point for pair in pairs for point in pair])
    out = aligned((4 * len(pairs), 16 * degree))
    batch = IfmaBackend().batch(len(out), degree)
    tasks = [(2 * i, 2 * i + 1, a, b) for i in range(len(pairs)) for a in (0, 1) for b in (0, 1)]
    for task, (left, right, a, b) in enumerate(tasks):
        batch.tasks[0, task] = rows[left:].ctypes.data + a
        batch.tasks[1, task] = rows[right:].ctypes.data + b
        batch.tasks[2, task] = out[task:].ctypes.data
    batch.add(len(tasks))
    flagged = out.view(np.int64)[:, 7] > 1 << 40
    for (left, right, a, b), absent, row in zip(tasks, flagged, out, strict=True):
        expected = expected_sum(
            *(
                numbers[:degree] + tuple(-y if sign else y for y in numbers[degree:])
                for numbers, sign in ((pairs[left // 2][0], a), (pairs[right // 2][1], b))
            )
        )
        if expected is None:
            assert absent
            continue
        assert not absent
        numbers = to_numbers(row[None])[0]
        assert [number % P for number in numbers] == expected
        assert all(-4 * U <= x <= 2 * P + 2 * U for x in numbers[:degree])
        assert all(-2 * U <= y <= 2 * P + 2 * U for y in numbers[degree:])


def test_sums_at_every_edge_of_g1() -> None:
    """Equal x in different representations among them: doublings, and opposite points."""
    points = list(product(X_EDGES, Y_EDGES))
    rng = np.random.default_rng(1)
    pairs = []
    for x1, x2 in product(X_EDGES, X_EDGES):
        pairs += [((x1, Y_EDGES[i]), (x2, Y_EDGES[j])) for i, j in rng.choice(len(Y_EDGES), (8, 2))]
    doubles = [((x, y), (x + k * P, y + m * P)) for x, y in points for k in (0, 1) for m in (0, 1)]
    pairs += [pair for pair in doubles if max(pair[1]) <= 2 * P + 2 * U]
    check_sums(pairs)


def test_sums_at_edges_of_g2() -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        xs, ys = rng.choice(len(X_EDGES), (8, 4)), rng.choice(len(Y_EDGES), (8, 4))
        check_sums(
            [
                (
                    (X_EDGES[x[0]], X_EDGES[x[1]], Y_EDGES[y[0]], Y_EDGES[y[1]]),
                    (X_EDGES[x[2]], X_EDGES[x[3]], Y_EDGES[y[2]], Y_EDGES[y[3]]),
                )
                for x, y in zip(xs, ys, strict=True)
            ]
        )


def test_equal_low_limbs_are_not_equal_points() -> None:
    """What looks exceptional is computed all the same."""
    step = 1 << LIMB_BITS
    check_sums([((5, 7), (5 + k * step, 9)) for k in (1, 2, step, P // step)])
    check_sums([((5, 6, 7, 8), (5 + step, 6, 9, 9)), ((5, 6, 7, 8), (5, 6 + step, 9, 9))])


@pytest.mark.parametrize("degree", [1, 2])
def test_negatives_stay_in_range(degree: int) -> None:
    """Copies of negatives, and their copies' negatives."""
    points = [(3,) * degree + (y,) * degree for y in Y_EDGES]
    rows, out = to_rows(points), aligned((len(points), 16 * degree))
    batch = IfmaBackend().batch(len(points), degree)
    batch.tasks[0, : len(points)] = rows.ctypes.data + rows.strides[0] * np.arange(len(points)) + 1
    batch.tasks[2, : len(points)] = out.ctypes.data + out.strides[0] * np.arange(len(points))
    batch.copy(len(points))
    for before, after in zip(points, to_numbers(out), strict=True):
        assert after[:degree] == before[:degree]
        assert after[degree:] == tuple(2 * P - y for y in before[degree:])
        assert all(-2 * U <= y <= 2 * P + 2 * U for y in after[degree:])


@pytest.mark.parametrize("degree", [1, 2])
def test_numbers_anywhere_in_range_become_reduced_points(degree: int) -> None:
    points = [(x,) * degree + (y,) * degree for x in X_EDGES for y in Y_EDGES]
    left = np.empty((len(points), 12 * degree), np.uint64)
    IfmaBackend().leave(left, to_rows(points), degree)
    for numbers, row in zip(points, left.reshape(len(points), -1, 6), strict=True):
        found = [int.from_bytes(element.tobytes(), "little") for element in row]
        assert found == [x % P for x in numbers[:degree]] + [(y << 16) % P for y in numbers[degree:]]
