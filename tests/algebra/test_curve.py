"""Vectors of points against py_arkworks, py_ecc and Python's integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from py_ecc.optimized_bls12_381 import optimized_curve as ecc

from pvcnn.algebra import backends, curve, scalars
from pvcnn.algebra.batches import Batch, PointVector
from pvcnn.algebra.constants import BASE_MODULUS as Q
from pvcnn.algebra.constants import SCALAR_MODULUS as R
from pvcnn.algebra.kernels import point_vectors
from pvcnn.algebra.kernels.inversion import invert
from pvcnn.algebra.memory import aligned
from pvcnn.algebra.points import G1Point, G2Point, scalar

MIN, MAX = -(2**63), 2**63 - 1

pytestmark = pytest.mark.usefixtures("backend")


@dataclass(frozen=True)
class Group:
    """One of the two groups: its generator and the functions under test."""

    generator: Any
    degree: int
    from_points: Callable[[Sequence[Any]], PointVector]
    to_points: Callable[[PointVector], list[Any]]
    msm: Callable[[PointVector, NDArray[Any]], Any]
    fixed_base: Callable[[scalars.ScalarVector], PointVector]
    on_curve: Callable[[PointVector], NDArray[np.bool_]]

    def times(self, factor: int) -> Any:
        return self.generator * scalar(factor)


G1 = Group(
    G1Point(),
    1,
    curve.g1_from_points,
    curve.g1_to_points,
    curve.msm_g1,
    curve.fixed_base_g1,
    curve.g1_on_curve,
)
G2 = Group(
    G2Point(),
    2,
    curve.g2_from_points,
    curve.g2_to_points,
    curve.msm_g2,
    curve.fixed_base_g2,
    curve.g2_on_curve,
)
both = pytest.mark.parametrize("group", [G1, G2], ids=["G1", "G2"])

#: Logarithms of the points that sums are made of: the identity, equal and opposite ones among them.
LOGARITHMS = [0, 1, R - 1, 1, 2, R - 2, 2, 5, 5, 5, 0, R - 5, (R - 1) // 2, (R + 1) // 2]
LENGTHS = [0, 1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 255, 256, 257]


def logarithms(length: int, seed: int = 1) -> list[int]:
    rng = np.random.default_rng(seed)
    return (LOGARITHMS + [int.from_bytes(rng.bytes(32), "little") % R for _ in range(length)])[:length]


def inner(left: Sequence[int], right: Sequence[int]) -> int:
    return sum(int(a) * int(b) for a, b in zip(left, right, strict=True)) % R


# Multiples of the generator and conversions.


@both
@pytest.mark.parametrize("length", [0, 1, 9, 300])
def test_multiples_of_the_generator(group: Group, length: int) -> None:
    values = logarithms(length)
    vector = group.fixed_base(scalars.from_integers(values))
    assert vector.shape == (length, 12 * group.degree)
    assert group.to_points(vector) == [group.times(value) for value in values]
    assert (vector == group.from_points([group.times(value) for value in values])).all()


@both
def test_many_multiples_are_consistent(group: Group) -> None:
    """Enough for every width of table, and more than one batch a thread."""
    for length in (40, 2000, 20_000 // group.degree**2):
        values = scalars.random(length)
        vector = group.fixed_base(values)
        assert group.on_curve(vector).all()
        weights = np.random.default_rng(length).integers(-(2**20), 2**20, length)
        assert group.msm(vector, weights) == group.times(scalars.dot(scalars.from_int64(weights), values))


def test_coordinates_agree_with_py_ecc() -> None:
    for value in (1, 2, R - 1, 123456789):
        vector = curve.fixed_base_g1(scalars.from_integers([value]))
        assert coordinates(vector) == [int(c) for c in ecc.normalize(ecc.multiply(ecc.G1, value))]
        vector = curve.fixed_base_g2(scalars.from_integers([value]))
        expected = [int(c) for pair in ecc.normalize(ecc.multiply(ecc.G2, value)) for c in pair.coeffs]
        assert coordinates(vector) == expected


def coordinates(vector: PointVector) -> list[int]:
    """The integers of Montgomery form with R = 2^384."""
    rows = vector.reshape(-1, 6)
    return [int.from_bytes(row.tobytes(), "little") * pow(2, -384, Q) % Q for row in rows]


@both
def test_the_identity_is_all_zero(group: Group) -> None:
    identity = group.generator - group.generator
    vector = group.from_points([identity, group.generator, identity])
    assert not vector[[0, 2]].any()
    assert group.to_points(vector) == [identity, group.generator, identity]


@both
def test_points_off_the_curve_are_seen(group: Group) -> None:
    vector = group.fixed_base(scalars.from_integers([0, 1, 2, 3, 4]))
    assert group.on_curve(vector).tolist() == [True] * 5
    wrong = vector.copy()
    wrong[1, 0] ^= np.uint64(1)
    wrong[2, 6 * group.degree] ^= np.uint64(1)
    wrong[3, :6] = unreduced(wrong[3, :6])
    wrong[0, 12 * group.degree - 1] = 1
    assert group.on_curve(wrong).tolist() == [False, False, False, False, True]


def unreduced(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The same element of F_q, but not in [0, q)."""
    value = int.from_bytes(words.tobytes(), "little") + Q
    return np.frombuffer(value.to_bytes(48, "little"), np.uint64)


# Sums of multiples.


@both
@pytest.mark.parametrize("length", LENGTHS)
def test_sums_of_every_length(group: Group, length: int) -> None:
    logs = logarithms(length)
    points = group.fixed_base(scalars.from_integers(logs))
    values = scalars.random(length)
    assert group.msm(points, values) == group.times(inner(scalars.to_integers(values), logs))
    small = np.random.default_rng(length).integers(-128, 128, length)
    assert group.msm(points, small) == group.times(inner(small.tolist(), logs))


@both
@pytest.mark.parametrize(
    "value", [0, 1, 2, R - 1, R - 2, (R - 1) // 2, (R + 1) // 2, 1 << 254, (1 << 128) - 1]
)
def test_sums_with_one_scalar_throughout(group: Group, value: int) -> None:
    logs = logarithms(50)
    points = group.fixed_base(scalars.from_integers(logs))
    assert group.msm(points, scalars.from_integers([value] * 50)) == group.times(value * sum(logs))


@both
@pytest.mark.parametrize("value", [0, 1, -1, 127, -128, 1 << 13, MIN, MAX, MIN + 1, 1 << 62, -(1 << 32)])
def test_sums_with_one_integer_throughout(group: Group, value: int) -> None:
    logs = logarithms(50)
    points = group.fixed_base(scalars.from_integers(logs))
    assert group.msm(points, np.full(50, value, np.int64)) == group.times(value * sum(logs))


@both
def test_sums_of_mixed_extremes(group: Group) -> None:
    logs = logarithms(12)
    points = group.fixed_base(scalars.from_integers(logs))
    integers = np.array([MIN, MAX, 0, -1, 1, MIN, MAX, 2, -2, 1 << 40, -(1 << 40), 7], np.int64)
    assert group.msm(points, integers) == group.times(inner(integers.tolist(), logs))


@both
def test_equal_and_opposite_points(group: Group) -> None:
    """Every kind of pair meets in one bucket: doublings, cancellations, and what comes after them."""
    point = group.from_points([group.times(11)])
    opposite = group.from_points([group.times(-11)])
    for copies in (1, 2, 3, 4, 5, 8, 100, 1000):
        same = np.repeat(point, copies, axis=0)
        ones = np.ones(copies, np.int64)
        assert group.msm(same, ones) == group.times(11 * copies)
        assert group.msm(same, scalars.from_int64(ones)) == group.times(11 * copies)
        cancelling = np.concatenate([same, np.repeat(opposite, copies, axis=0)])
        assert group.msm(cancelling, np.ones(2 * copies, np.int64)) == group.times(0)
        alternating = np.tile(np.array([3, -3], np.int64), copies)
        assert group.msm(np.repeat(point, 2 * copies, axis=0), alternating) == group.times(0)


@both
def test_the_identity_contributes_nothing(group: Group) -> None:
    identity = np.zeros((9, 12 * group.degree), np.uint64)
    assert group.msm(identity, scalars.random(9)) == group.times(0)
    assert group.msm(identity, np.arange(9)) == group.times(0)


@given(st.lists(st.tuples(st.sampled_from(range(len(LOGARITHMS))), st.integers(MIN, MAX)), max_size=30))
@settings(deadline=None, max_examples=50)
def test_sums_are_linear_in_integers(terms: list[tuple[int, int]]) -> None:
    table = curve.fixed_base_g1(scalars.from_integers(LOGARITHMS))
    chosen = table[[index for index, _ in terms]]
    values = np.array([value for _, value in terms], np.int64)
    expected = inner(values.tolist(), [LOGARITHMS[index] for index, _ in terms])
    assert curve.msm_g1(chosen, values) == G1.times(expected)
    assert curve.msm_g1(chosen, scalars.from_int64(values)) == G1.times(expected)


@pytest.mark.parametrize("bits", [1, 2, 3, 7, 8, 13, 16, 17, 31, 33, 62, 63])
def test_every_magnitude(bits: int) -> None:
    logs = logarithms(300)
    points = curve.fixed_base_g1(scalars.from_integers(logs))
    values = np.random.default_rng(bits).integers(-(2**bits) + 1, 2**bits, 300)
    values[:2] = [2**bits - 1, 1 - 2**bits]
    assert curve.msm_g1(points, values) == G1.times(inner(values.tolist(), logs))


@both
def test_agreement_with_arkworks(group: Group) -> None:
    values = scalars.random(500)
    points = group.fixed_base(scalars.random(500))
    reference = type(group.generator).multiexp_unchecked(
        group.to_points(points), [scalar(value) for value in scalars.to_integers(values)]
    )
    assert group.msm(points, values) == reference


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_threads_do_not_change_sums(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PVCNN_THREADS", threads)
    logs, values = scalars.random(3000), scalars.random(3000)
    points = curve.fixed_base_g1(logs)
    assert curve.msm_g1(points, values) == G1.times(scalars.dot(logs, values))
    small = np.random.default_rng(3).integers(-128, 128, 3000)
    assert curve.msm_g1(points, small) == G1.times(scalars.dot(logs, scalars.from_int64(small)))


def test_arguments_may_be_read_only_or_strided() -> None:
    logs = logarithms(60)
    points, values = curve.fixed_base_g1(scalars.from_integers(logs)), np.arange(-30, 30)
    points.flags.writeable = values.flags.writeable = False
    assert curve.msm_g1(points[::2], values[::-2]) == G1.times(inner(values[::-2].tolist(), logs[::2]))


@both
def test_wrong_arrays_are_refused(group: Group) -> None:
    points = group.fixed_base(scalars.from_integers([1, 2, 3]))
    with pytest.raises(ValueError, match="3 points and 2 scalars"):
        group.msm(points, np.ones(2, np.int64))
    with pytest.raises(ValueError, match="not a vector of scalars"):
        group.msm(points, np.ones(3, np.int32))
    with pytest.raises(ValueError, match="not a vector of scalars"):
        group.msm(points, np.ones((3, 4), np.int64))
    with pytest.raises(ValueError, match="not a vector of points"):
        group.msm(points[:, 1:], np.ones(3, np.int64))
    with pytest.raises(ValueError, match="not a vector of points"):
        group.on_curve(points.astype(np.int64))


# What everything above rests on.


@both
def test_batches_handle_every_kind_of_pair(group: Group) -> None:
    """All pairs of some points, with both signs, in one batch and so with one inversion."""
    logs = [0, 1, 2, R - 1, 3, R - 3]
    rows = backends.backend().rows(
        group.fixed_base(scalars.from_integers(logs)), group.degree, parallel=False
    )
    addresses = [rows.ctypes.data + rows.strides[0] * i for i in range(len(logs))]
    operands = [
        (log * sign, address + (sign < 0))
        for log, address in zip(logs, addresses, strict=True)
        for sign in (1, -1)
    ]
    pairs = [(a, b) for a in operands for b in operands]
    assert sums_of(group, [(a, b) for (_, a), (_, b) in pairs]) == [
        group.times(a + b) for (a, _), (b, _) in pairs
    ]
    assert copies_of(group, [a for _, a in operands]) == [group.times(a) for a, _ in operands]


def sums_of(group: Group, pairs: Sequence[tuple[int, int]]) -> list[Any]:
    """The sums of pairs of operands."""
    out, batch = room_for(group, len(pairs))
    batch.tasks[0, : len(pairs)] = [a for a, _ in pairs]
    batch.tasks[1, : len(pairs)] = [b for _, b in pairs]
    batch.add(len(pairs))
    return points_of(group, out)


def copies_of(group: Group, operands: Sequence[int]) -> list[Any]:
    """Operands as points, their signs taken into account."""
    out, batch = room_for(group, len(operands))
    batch.tasks[0, : len(operands)] = operands
    batch.copy(len(operands))
    return points_of(group, out)


def room_for(group: Group, count: int) -> tuple[NDArray[np.uint64], Batch]:
    """Rows that a batch's first `count` targets are set to, and the batch."""
    out = aligned((count, backends.backend().row_words(group.degree)))
    batch = backends.backend().batch(count, group.degree)
    batch.tasks[2, :count] = out.ctypes.data + out.strides[0] * np.arange(count)
    return out, batch


def points_of(group: Group, rows: NDArray[np.uint64]) -> list[Any]:
    points = np.empty((len(rows), 12 * group.degree), np.uint64)
    backends.backend().leave(points, rows, group.degree)
    return group.to_points(points)


@both
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1023, 1024, 1025, 2047, 2048, 2049, 4100])
def test_batches_of_every_size(group: Group, count: int) -> None:
    """Sums written over one of their operands, with some exceptional pairs among them."""
    logs = np.random.default_rng(count).integers(1, 1 << 40, (2, count))
    logs[1, ::97] = logs[0, ::97]
    logs[0, 5::89] = 0
    points = group.fixed_base(scalars.from_int64(logs))
    rows = backends.backend().rows(points, group.degree, parallel=True)
    addresses = rows.ctypes.data + rows.strides[0] * np.arange(2 * count)
    batch = backends.backend().batch(count, group.degree)
    batch.tasks[0, :count], batch.tasks[1, :count] = addresses[:count], addresses[count:] | 1
    batch.tasks[2, :count] = np.where(np.arange(count) % 2, addresses[:count], addresses[count:])
    batch.add(count)
    written = np.where((np.arange(count) % 2)[:, None], rows[:count], rows[count:])
    sums = np.empty((count, points.shape[1]), np.uint64)
    backends.backend().leave(sums, written, group.degree)
    assert (sums == group.fixed_base(scalars.from_int64(logs[0] - logs[1]))).all()


@both
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 15, 16, 17, 5000])
def test_rows_are_entered_and_left(group: Group, count: int) -> None:
    """Any reduced coordinates come back, on the curve or not; only all zero is the identity."""
    rng = np.random.default_rng(count)
    values = [ELEMENTS[i] for i in rng.integers(0, len(ELEMENTS), 2 * group.degree * count)]
    data = b"".join(value.to_bytes(48, "little") for value in values)
    points = np.frombuffer(data, np.uint64).reshape(count, 12 * group.degree).copy()
    points[::3, : 6 * group.degree] = 0
    points[::6] = 0
    for parallel in (False, True):
        rows = backends.backend().rows(points, group.degree, parallel=parallel)
        back = np.full_like(points, 1)
        backends.backend().leave(back, rows, group.degree)
        assert (back == points).all()


ELEMENTS = [
    0,
    1,
    2,
    Q - 1,
    Q - 2,
    Q // 2,
    Q // 2 + 1,
    1 << 64,
    (1 << 64) - 1,
    1 << 320,
    (1 << 380) - 1,
    (1 << 30) - 1,
]
base_elements = st.one_of(st.sampled_from(ELEMENTS), st.integers(0, Q - 1))


def montgomery(value: int) -> tuple[np.uint64, ...]:
    words = value * 2**384 % Q
    return tuple(np.uint64((words >> (64 * i)) & (2**64 - 1)) for i in range(6))


def integer(words: Sequence[np.uint64]) -> int:
    return sum(int(word) << (64 * i) for i, word in enumerate(words)) * pow(2, -384, Q) % Q


@given(base_elements, base_elements)
@settings(deadline=None, max_examples=200)
def test_inverses(a: int, b: int) -> None:
    expected = pow(a, -1, Q) if a else 0
    assert integer(invert(montgomery(a))) == expected
    c0, c1 = (integer(part) for part in invert((montgomery(a), montgomery(b))))
    assert ((a * c0 - b * c1) % Q, (a * c1 + b * c0) % Q) == ((1, 0) if a or b else (0, 0))


@given(st.lists(base_elements, min_size=1, max_size=8))
@settings(deadline=None)
def test_montgomery_form_is_entered_and_left(values: list[int]) -> None:
    data = np.frombuffer(b"".join(value.to_bytes(48, "little") for value in values), np.uint64)
    inside, outside = np.empty_like(data), np.empty_like(data)
    point_vectors.enter_montgomery(inside.ctypes.data, data.ctypes.data, len(values))
    assert coordinates(inside) == values
    point_vectors.leave_montgomery(outside.ctypes.data, inside.ctypes.data, len(values))
    assert (outside == data).all()
