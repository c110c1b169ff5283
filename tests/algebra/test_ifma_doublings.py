"""Doublings of rows whose numbers lie anywhere in their ranges, edges first, against Python's integers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest

from pvcnn.algebra.constants import BASE_MODULUS as P
from pvcnn.algebra.ifma_batches import IfmaBackend
from pvcnn.algebra.kernels.ifma.groups import IDENTITY_BOUND
from pvcnn.algebra.kernels.selection import Kernels, choose, compiled_features
from pvcnn.algebra.memory import aligned
from tests.algebra.test_ifma_additions import X_EDGES, Y_EDGES, Numbers, U, expected_sum, to_numbers, to_rows

pytestmark = pytest.mark.skipif(
    choose("auto", compiled_features()) is not Kernels.IFMA, reason="the processor has no AVX-512 IFMA"
)


def check_doubles(points: Sequence[Numbers]) -> None:
    """Every point, with both signs, in one batch; results in their ranges."""
    degree = len(points[0]) // 2
    # (0, 0) is on no curve with b other than 0, and stands for the identity in point vectors.
    points = [point for point in points if any(number % P for number in point)]
    rows, out = to_rows(points), aligned((2 * len(points), 16 * degree))
    batch = IfmaBackend().batch(len(out), degree)
    tasks = [(i, sign) for i in range(len(points)) for sign in (0, 1)]
    for task, (i, sign) in enumerate(tasks):
        batch.tasks[0, task] = rows[i:].ctypes.data + sign
        batch.tasks[2, task] = out[task:].ctypes.data
    batch.double(len(tasks))
    absent = out.view(np.int64)[:, 7] > IDENTITY_BOUND
    for (i, sign), gone, row in zip(tasks, absent, out, strict=True):
        point = points[i][:degree] + tuple(-y if sign else y for y in points[i][degree:])
        expected = expected_sum(point, point)
        assert gone == (expected is None)
        if expected is not None:
            numbers = to_numbers(row[None])[0]
            assert [number % P for number in numbers] == expected
            assert all(-4 * U <= x <= 2 * P + 2 * U for x in numbers[:degree])
            assert all(-2 * U <= y <= 2 * P + 2 * U for y in numbers[degree:])


def test_doubles_at_every_edge_of_g1() -> None:
    """A y of 0 among them, in each of its representations, which must not spoil the others."""
    check_doubles(list(product(X_EDGES, Y_EDGES)))


def test_doubles_at_edges_of_g2() -> None:
    rng = np.random.default_rng(3)
    xs, ys = rng.choice(len(X_EDGES), (300, 2)), rng.choice(len(Y_EDGES), (300, 2))
    points = [
        (X_EDGES[x[0]], X_EDGES[x[1]], Y_EDGES[y[0]], Y_EDGES[y[1]]) for x, y in zip(xs, ys, strict=True)
    ]
    check_doubles([*points, (3, 4, 0, P), (3, 4, 2 * P, 0), (3, 4, 0, 1), (3, 4, 1, P)])
