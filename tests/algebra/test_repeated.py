"""Merging points that share a scalar changes no sum."""

from __future__ import annotations

import numpy as np
import pytest

from pvcnn.algebra import scalars
from pvcnn.algebra.curve import fixed_base_g1, fixed_base_g2, g1_from_points, msm_g1, msm_g2
from pvcnn.algebra.points import G1Point
from pvcnn.algebra.repeated import merge_repeated
from pvcnn.algebra.scalars import ScalarVector

pytestmark = pytest.mark.usefixtures("backend")


def repeated(count: int, distinct: int, seed: int = 1) -> ScalarVector:
    """`count` scalars drawn from `distinct` ones, the first of which is 0."""
    source = np.random.default_rng(seed)
    choices = scalars.random(distinct)
    choices[0] = 0
    return choices[source.integers(0, distinct, count)]


@pytest.mark.parametrize(("count", "distinct"), [(1, 2), (2, 2), (3, 2), (100, 7), (3000, 40), (3000, 2500)])
def test_sum_stays_the_same(count: int, distinct: int) -> None:
    values = repeated(count, distinct)
    points = fixed_base_g1(scalars.random(count))
    merged, left = merge_repeated(points, values)
    assert len(merged) == len(left) <= distinct
    assert len({row.tobytes() for row in left}) == len(left)
    assert left.any(axis=1).all()
    assert msm_g1(merged, left) == msm_g1(points, values)


def test_sum_stays_the_same_in_g2() -> None:
    values = repeated(200, 9)
    points = fixed_base_g2(scalars.random(200))
    assert msm_g2(*merge_repeated(points, values)) == msm_g2(points, values)


def test_distinct_scalars_stay() -> None:
    values = scalars.random(50)
    points = fixed_base_g1(values)
    merged, left = merge_repeated(points, values)
    assert len(left) == 50
    assert msm_g1(merged, left) == msm_g1(points, values)


def test_nothing_and_only_zeros() -> None:
    for count in (0, 3):
        points = fixed_base_g1(scalars.random(count))
        merged, left = merge_repeated(points, scalars.zeros(count))
        assert merged.shape == (0, 12)
        assert left.shape == (0, 4)
        assert msm_g1(merged, left) == G1Point.identity()


def test_equal_opposite_and_identical_points() -> None:
    point, identity = G1Point(), G1Point.identity()
    lists = [[point, point], [point, -point], [identity, point], [identity, identity], [point, point, -point]]
    points = [entry for entries in lists for entry in entries]
    values = scalars.from_integers([i + 1 for i, entries in enumerate(lists) for _ in entries])
    vector = g1_from_points(points)
    assert msm_g1(*merge_repeated(vector, values)) == msm_g1(vector, values)


def test_scalars_that_agree_in_one_word() -> None:
    values = scalars.random(64)
    values[:, 0] = 5
    values = np.concatenate([values, values])
    points = fixed_base_g1(scalars.random(128))
    assert msm_g1(*merge_repeated(points, values)) == msm_g1(points, values)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 points and 3 scalars"):
        merge_repeated(fixed_base_g1(scalars.random(2)), scalars.random(3))
