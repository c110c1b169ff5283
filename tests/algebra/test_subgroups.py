"""The batched subgroup check: one point outside is found wherever it is, whatever its order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pvcnn.algebra import scalars, subgroups
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.constants import BASE_MODULUS as Q
from pvcnn.algebra.constants import SCALAR_MODULUS as R
from pvcnn.algebra.curve import (
    fixed_base_g1,
    fixed_base_g2,
    g1_from_points,
    g1_on_curve,
    g1_to_points,
    g2_from_points,
    g2_on_curve,
    g2_to_points,
)
from pvcnn.algebra.points import G1Point, G2Point
from pvcnn.algebra.subgroups import COFACTORS, TRIALS, g1_in_subgroup, g2_in_subgroup

pytestmark = pytest.mark.usefixtures("backend")


@dataclass(frozen=True)
class Group:
    """One of the two groups and the primes that may be the order of a small stray component."""

    degree: int
    small_orders: tuple[int, ...]
    generator: Any
    from_points: Callable[[Sequence[Any]], PointVector]
    to_points: Callable[[PointVector], list[Any]]
    on_curve: Callable[[PointVector], Any]
    fixed_base: Callable[[scalars.ScalarVector], PointVector]
    in_subgroup: Callable[[Sequence[PointVector]], bool]

    @property
    def cofactor(self) -> int:
        return COFACTORS[self.degree - 1]

    def points(self, count: int) -> PointVector:
        return self.fixed_base(scalars.random(count))

    def curve_point(self, x: int) -> Any:
        """A point of the curve with this x, or the next that is one's."""
        while True:
            flagged = (x | 1 << (384 * self.degree - 1)).to_bytes(48 * self.degree, "big")
            try:
                return type(self.generator).from_compressed_bytes_unchecked(flagged)
            except ValueError:
                x += 1

    def of_order(self, order: int) -> Any:
        """A point of the given prime order, which divides the cofactor, perhaps more than once."""
        identity = self.generator - self.generator
        others = R * self.cofactor
        while others % order == 0:
            others //= order
        x, point = 0, identity
        while point == identity:
            x += 1
            point = times(self.curve_point(x), others)
        while times(point, order) != identity:
            point = times(point, order)
        return point


def times(point: Any, factor: int) -> Any:
    """By doubling and adding: a factor must not be reduced modulo r here."""
    total = point - point
    for bit in bin(factor)[2:]:
        total = total + total
        if bit == "1":
            total = total + point
    return total


G1 = Group(1, (3, 11), G1Point(), g1_from_points, g1_to_points, g1_on_curve, fixed_base_g1, g1_in_subgroup)
G2 = Group(2, (13, 23), G2Point(), g2_from_points, g2_to_points, g2_on_curve, fixed_base_g2, g2_in_subgroup)
both = pytest.mark.parametrize("group", [G1, G2], ids=["G1", "G2"])


@both
def test_cofactors_are_odd_prime_to_r_and_those_of_the_curves(group: Group) -> None:
    assert group.cofactor % 2 == 1
    assert group.cofactor % R != 0
    assert [p for p in (3, 5, 7, 11, 13, 17, 19, 23) if group.cofactor % p == 0] == [*group.small_orders]
    size, trace = Q**group.degree, group.cofactor * R - Q**group.degree - 1
    assert trace**2 <= 4 * size  # Hasse's bound
    identity = group.generator - group.generator
    assert times(group.curve_point(5), group.cofactor * R) == identity


@both
@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 300])
def test_honest_points(group: Group, length: int) -> None:
    assert group.in_subgroup([group.points(length)])
    assert group.in_subgroup([np.zeros((length, 12 * group.degree), np.uint64)])


@both
def test_identities_equal_and_opposite_points(group: Group) -> None:
    point = group.generator
    points = [point - point, point, point, -point, point - point, -point, -point, point + point]
    assert group.in_subgroup([group.from_points(points * 40)])
    assert group.in_subgroup([])


@both
def test_one_point_of_small_order_is_found(group: Group) -> None:
    for order in group.small_orders:
        stray = group.of_order(order)
        for length in (1, 7, 8, 9, 40):
            for position in sorted({0, length // 2, length - 1}):
                for hidden in (stray, stray + group.generator):
                    vector = group.points(length)
                    vector[position] = group.from_points([hidden])[0]
                    assert group.on_curve(vector).all()
                    assert not group.in_subgroup([vector])


@both
def test_one_point_is_found_among_many_chunks_and_vectors(group: Group) -> None:
    count = 40_000 // group.degree
    vectors = [group.points(5), group.points(count)]
    assert group.in_subgroup(vectors)
    stray = group.from_points([group.of_order(group.small_orders[0])])[0]
    for number, position in ((0, 4), (1, 0), (1, count - 1)):
        changed = [vector.copy() for vector in vectors]
        changed[number][position] = stray
        assert not group.in_subgroup(changed)


@both
def test_strays_that_add_up_to_nothing_are_found(group: Group) -> None:
    stray = group.of_order(group.small_orders[0])
    for strays in ([stray, -stray], [stray] * group.small_orders[0], [stray, -stray] * 50):
        assert not group.in_subgroup([group.from_points(strays)])


@both
def test_stray_component_of_large_order_is_found(group: Group) -> None:
    vector = group.points(20)
    vector[11] = group.from_points([group.curve_point(4)])[0]
    assert not group.in_subgroup([vector])


@both
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7])
def test_trials_are_the_sums_that_the_labels_say(
    group: Group, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels' digits, drawn here, against the sums that a pass makes of them."""
    drawn: list[Any] = []
    draw = subgroups._random_labels

    def remember(count: int, digits: int) -> Any:
        drawn.append(draw(count, digits))
        return drawn[-1]

    monkeypatch.setattr(subgroups, "_random_labels", remember)
    values = [1, 2, 2, R - 2, 0, 5, 1 << 20]
    vector = group.fixed_base(scalars.from_integers(values))
    sums = group.to_points(subgroups._Passes(2, width, group.degree).trials([vector[:3], vector[3:]]))
    assert len(sums) == 2 * width
    for i in range(2):
        labels = np.concatenate([drawn[i], drawn[2 + i]]).astype(object)
        for point in sums[i * width : (i + 1) * width]:
            digits = (labels + 1) % 3 - 1
            expected = sum(int(d) * v for d, v in zip(digits, values, strict=True))
            assert point == times(group.generator, expected % R)
            labels = (labels - digits) // 3
        assert not labels.any()


def test_labels_are_spread_evenly() -> None:
    labels = subgroups._random_labels(60_000, 2)
    values, counts = np.unique(labels, return_counts=True)
    assert values.tolist() == list(range(-4, 5))
    assert 6000 < counts.min() <= counts.max() < 7400
    assert (labels != subgroups._random_labels(60_000, 2)).any()


@pytest.mark.parametrize("count", [1, 100, 10_000, 1 << 20])
def test_enough_trials(count: int) -> None:
    width = subgroups._label_width(count)
    passes = subgroups._pass_count(width)
    assert passes * width >= TRIALS
    most_likely = (2**32 // 3**width + 1) / 2**32
    assert most_likely**passes < 2.0**-128


def test_other_arrays_are_refused() -> None:
    arrays: list[Any] = [np.zeros((2, 11), np.uint64), np.zeros((2, 12), np.int64), np.zeros(12, np.uint64)]
    for array in arrays:
        with pytest.raises(ValueError, match="not a vector of points"):
            g1_in_subgroup([array])
