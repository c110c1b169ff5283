"""Lists of points: the common tests and sums agree with single points, with and without Numba."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from pvcnn.algebra import point_lists, point_sums
from pvcnn.algebra.constants import BASE_MODULUS, SCALAR_MODULUS
from pvcnn.algebra.point_lists import (
    curve_points_g1,
    curve_points_g2,
    decode_g1_list,
    decode_g2_list,
    generate_g1,
    generate_g2,
)
from pvcnn.algebra.point_sums import (
    folded,
    multiples,
    multiples_of_generator_g1,
    multiples_of_generator_g2,
    sum_of_multiples_g1,
    sum_of_multiples_g2,
)
from pvcnn.algebra.points import G1Point, G2Point, decode_g1, decode_g2, encode_g1, encode_g2, scalar
from pvcnn.errors import DecodeError

COUNT = 200


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Every test runs on both paths."""
    if request.param == "plain":
        monkeypatch.setenv("PVCNN_NO_NUMBA", "1")
    for found in (point_lists._common_tests, point_sums._kernels):
        found.cache_clear()
        assert bool(found()) == (request.param == "compiled")
    yield request.param
    point_lists._common_tests.cache_clear()
    point_sums._kernels.cache_clear()


@pytest.fixture(scope="module")
def in_g1() -> list[G1Point]:
    rng = random.Random(1)
    return [G1Point() * scalar(rng.randrange(1, SCALAR_MODULUS)) for _ in range(COUNT)]


@pytest.fixture(scope="module")
def in_g2() -> list[G2Point]:
    rng = random.Random(2)
    return [G2Point() * scalar(rng.randrange(1, SCALAR_MODULUS)) for _ in range(COUNT)]


def outside_g1() -> bytes:
    """On the curve: x = 4."""
    return b"\x80" + bytes(46) + b"\x04"


def outside_g2() -> bytes:
    for x in range(1, 50):
        encoded = b"\x80" + bytes(94) + bytes([x])
        try:
            point = G2Point.from_compressed_bytes_unchecked(encoded)
        except ValueError:
            continue
        if not point.is_in_subgroup():
            return encoded
    raise AssertionError


@pytest.mark.parametrize("count", [0, 1, 191, COUNT])
def test_decoding_inverts_encoding(count: int, in_g1: list[G1Point], in_g2: list[G2Point]) -> None:
    assert decode_g1_list([encode_g1(point) for point in in_g1[:count]]) == in_g1[:count]
    assert decode_g2_list([encode_g2(point) for point in in_g2[:count]]) == in_g2[:count]
    assert generate_g1(in_g1[:count])
    assert generate_g2(in_g2[:count])


@pytest.mark.parametrize("count", [1, COUNT])
def test_one_point_outside_is_found(count: int, in_g1: list[G1Point], in_g2: list[G2Point]) -> None:
    """Wherever it is."""
    g1_encodings = [encode_g1(point) for point in in_g1[:count]]
    for at in {0, count // 2, count - 1}:
        with pytest.raises(DecodeError):
            decode_g1_list([*g1_encodings[:at], outside_g1(), *g1_encodings[at + 1 :]])
        outside = curve_points_g1([outside_g1()])[0]
        assert not generate_g1([*in_g1[:at], in_g1[at] + outside, *in_g1[at + 1 : count]])
        assert not generate_g1([*in_g1[:at], G1Point.identity(), *in_g1[at + 1 : count]])
        g2_encodings = [encode_g2(point) for point in in_g2[:count]]
        with pytest.raises(DecodeError):
            decode_g2_list([*g2_encodings[:at], outside_g2(), *g2_encodings[at + 1 :]])
        twisted = curve_points_g2([outside_g2()])[0]
        assert not generate_g2([*in_g2[:at], in_g2[at] + twisted, *in_g2[at + 1 : count]])
        assert not generate_g2([*in_g2[:at], G2Point.identity(), *in_g2[at + 1 : count]])


def test_hostile_encodings(in_g1: list[G1Point], in_g2: list[G2Point]) -> None:
    """Refused exactly where a single point would be."""
    rng = random.Random(3)
    for good, one, many in (
        (encode_g1(in_g1[0]), decode_g1, curve_points_g1),
        (encode_g2(in_g2[0]), decode_g2, curve_points_g2),
    ):
        size = len(good)
        q = BASE_MODULUS.to_bytes(48, "big")
        samples = [b"", good[:-1], good + b"\0", bytes(size), b"\xff" * size, b"\xc0" + bytes(size - 1)]
        samples += [bytes([good[0] & 0x7F]) + good[1:], bytes([good[0] | 0x40]) + good[1:]]
        samples += [bytes([q[0] | 0x80]) + q[1:] + good[48:], b"\xe0" + bytes(size - 1)]
        for i in (0, 1, 2, 8 * size - 1):
            flipped = bytearray(good)
            flipped[i // 8] ^= 0x80 >> (i % 8)
            samples.append(bytes(flipped))
        samples += [bytes([0x80 | rng.randrange(32)]) + rng.randbytes(size - 1) for _ in range(20)]
        for sample in samples:
            try:
                expected: object = one(sample)
            except DecodeError:
                expected = None
            try:
                (point,) = many([sample])
                found: object = point if point.is_in_subgroup() else None
            except DecodeError:
                found = None
            assert found == expected


def test_sums_and_multiples(in_g1: list[G1Point], in_g2: list[G2Point]) -> None:
    rng = random.Random(4)
    factors = [rng.randrange(-SCALAR_MODULUS, 2 * SCALAR_MODULUS) for _ in range(COUNT)]
    for count in (1, 3, COUNT):
        expected_g1, expected_g2 = G1Point.identity(), G2Point.identity()
        for p, q, factor in zip(in_g1[:count], in_g2, factors, strict=False):
            expected_g1 += p * scalar(factor)
            expected_g2 += q * scalar(factor)
        assert sum_of_multiples_g1(in_g1[:count], factors[:count]) == expected_g1
        assert sum_of_multiples_g2(in_g2[:count], factors[:count]) == expected_g2
    assert multiples(in_g1[:9], factors[:9]) == [
        p * scalar(f) for p, f in zip(in_g1[:9], factors, strict=False)
    ]
    assert folded(in_g2[:6], factors[0]) == [in_g2[i] + in_g2[3 + i] * scalar(factors[0]) for i in range(3)]
    for count in (0, 1, COUNT):
        assert multiples_of_generator_g1(factors[:count]) == [G1Point() * scalar(f) for f in factors[:count]]
        assert multiples_of_generator_g2(factors[:count]) == [G2Point() * scalar(f) for f in factors[:count]]
    for call in (lambda: multiples(in_g1, factors[:1]), lambda: sum_of_multiples_g1(in_g1, factors[:1])):
        with pytest.raises(ValueError, match="factors"):
            call()
