"""Multiples by scalars of their own, Lagrange bases in the exponent and integer columns, all of points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pvcnn.algebra import backends, curve, scalars
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.constants import CURVE_PARAMETER as Z
from pvcnn.algebra.constants import SCALAR_MODULUS as R
from pvcnn.algebra.memory import aligned
from pvcnn.algebra.multiples import multiples_g1, multiples_g2
from pvcnn.algebra.ntt import Domain
from pvcnn.algebra.point_columns import columns_times_points
from pvcnn.algebra.point_pairs import sums_and_differences
from pvcnn.algebra.point_transforms import lagrange_points

pytestmark = pytest.mark.usefixtures("backend")


@dataclass(frozen=True)
class Group:
    degree: int
    fixed_base: Callable[[scalars.ScalarVector], PointVector]
    multiples: Callable[[PointVector, scalars.ScalarVector], PointVector]


G1 = Group(1, curve.fixed_base_g1, multiples_g1)
G2 = Group(2, curve.fixed_base_g2, multiples_g2)
both = pytest.mark.parametrize("group", [G1, G2], ids=["G1", "G2"])

#: Where digits to the bases |z| and z^2 carry, and the edges of windows of four bits.
EDGES = [
    0,
    1,
    2,
    7,
    8,
    9,
    15,
    16,
    R - 1,
    R - 2,
    (R - 1) // 2,
    1 << 64,
    (1 << 64) - 1,
    1 << 128,
    (1 << 128) - 1,
]
EDGES += [sign * Z**k + d for k, sign in ((1, -1), (2, 1), (3, -1)) for d in (-1, 0, 1)]
EDGES += [Z**4 - Z**2, -(Z**3) * (-Z - 1) + 5, 0x8888888888888888 << 64, 0x7777777777777777]


@both
def test_multiples_at_the_edges_of_digits(group: Group) -> None:
    values = scalars.from_integers(EDGES)
    logarithms = scalars.random(len(EDGES))
    logarithms[3] = 0
    found = group.multiples(group.fixed_base(logarithms), values)
    assert (found == group.fixed_base(scalars.multiply(values, logarithms))).all()


@both
@pytest.mark.parametrize("count", [0, 1, 7, 9, 1300])
def test_multiples_of_every_length(group: Group, count: int) -> None:
    values, logarithms = scalars.random(count), scalars.random(count)
    found = group.multiples(group.fixed_base(logarithms), values)
    assert (found == group.fixed_base(scalars.multiply(values, logarithms))).all()


@both
def test_points_that_meet_their_own_multiples(group: Group) -> None:
    """Scalars whose digits make a sum equal to, or the opposite of, what is added to it."""
    point = group.fixed_base(scalars.from_integers([5] * 64))
    values = scalars.from_integers([k * 16**e for k in (1, -1, 17, 15) for e in range(16)])
    assert (group.multiples(point, values) == group.fixed_base(scalars.scale(values, 5))).all()


@both
def test_wrong_arrays_are_refused(group: Group) -> None:
    points = group.fixed_base(scalars.random(3))
    with pytest.raises(ValueError, match="3 points and 2 scalars"):
        group.multiples(points, scalars.random(2))
    with pytest.raises(ValueError, match="not a vector of points"):
        group.multiples(points[:, 1:], scalars.random(3))


@both
@pytest.mark.parametrize("count", [0, 1, 8, 1030])
def test_batches_double(group: Group, count: int) -> None:
    """In place, with signs, identities among them."""
    logarithms = scalars.random(count)
    logarithms[2::50] = 0
    points = group.fixed_base(logarithms)
    backend = backends.backend()
    rows = aligned((count, backend.row_words(group.degree)))
    backend.enter(rows, points, group.degree)
    batch = backend.batch(count, group.degree)
    addresses = rows.ctypes.data + rows.strides[0] * np.arange(count)
    signs = np.arange(count) % 3 == 1
    batch.tasks[0, :count] = addresses | signs
    batch.tasks[2, :count] = addresses
    batch.double(count)
    found = np.empty_like(points)
    backend.leave(found, rows, group.degree)
    factors = scalars.from_int64(np.where(signs, -2, 2).astype(np.int64))
    assert (found == group.fixed_base(scalars.multiply(factors, logarithms))).all()


@both
@pytest.mark.parametrize("count", [0, 1, 9, 5000])
def test_sums_and_differences(group: Group, count: int) -> None:
    left, right = scalars.random(count), scalars.random(count)
    right[::7], left[3::11] = left[::7], 0
    sums, differences = sums_and_differences(group.fixed_base(left), group.fixed_base(right))
    assert (sums == group.fixed_base(scalars.add(left, right))).all()
    assert (differences == group.fixed_base(scalars.subtract(left, right))).all()


@both
@pytest.mark.parametrize("size", [1, 2, 4, 64])
def test_lagrange_points(group: Group, size: int) -> None:
    secret, factor, steps = 123456789, 77, []
    powers = group.fixed_base(scalars.geometric(factor, secret, size))
    found = lagrange_points(Domain(size), powers, lambda: steps.append(1))
    expected = scalars.scale(Domain(size).lagrange_at(secret), factor)
    assert (found == group.fixed_base(expected)).all()
    assert len(steps) == size.bit_length()


def test_lagrange_points_take_a_whole_domain() -> None:
    with pytest.raises(ValueError, match="a domain of 4 and 3 points"):
        lagrange_points(Domain(4), curve.fixed_base_g1(scalars.random(3)))


@both
def test_columns(group: Group) -> None:
    """Coefficients of every size, repeated entries, sums that vanish, columns without entries."""
    rng = np.random.default_rng(group.degree)
    height, width, count = 40, 25, 3000
    rows = np.concatenate([rng.integers(0, height, count), [1, 1, 2, 2]])
    columns = np.concatenate([rng.integers(0, 20, count), [21, 21, 22, 22]]).astype(np.int32)
    choice = [1, -1, 1, -1, 3, 255, -4096, 2**62, 2**63 - 1, 1 - 2**63, 0, 0x5555555555555555]
    values = np.concatenate([rng.choice(choice, count), [5, -5, 1, 1]])
    logarithms = scalars.random(height)
    logarithms[5] = 0
    found = columns_times_points(rows, columns, values, width, group.fixed_base(logarithms))
    expected = [0] * width
    integers = scalars.to_integers(logarithms)
    for row, column, value in zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True):
        expected[column] += value * integers[row]
    assert (found == group.fixed_base(scalars.from_integers(expected))).all()
    assert not found[[20, 21, 23, 24]].any()


def test_columns_refuse_what_lies_outside() -> None:
    points = curve.fixed_base_g1(scalars.random(3))
    good: dict[str, Any] = {
        "rows": np.array([0, 2]),
        "columns": np.array([1, 0], np.int32),
        "coefficients": np.array([1, 1]),
    }
    assert columns_times_points(**good, width=2, points=points).shape == (2, 12)
    for name, values in (
        ("rows", [0, 3]),
        ("columns", [2, 0]),
        ("columns", [-1, 0]),
        ("coefficients", [1, -(2**63)]),
    ):
        bad = good | {name: np.array(values, good[name].dtype)}
        with pytest.raises(ValueError, match=r"outside|coefficient"):
            columns_times_points(**bad, width=2, points=points)
    with pytest.raises(ValueError, match="an entry has"):
        columns_times_points(**(good | {"rows": np.array([0])}), width=2, points=points)
