"""Packing, products and expansion of residues, against plain integers."""

from __future__ import annotations

import numpy as np
import pytest

from pvcnn.errors import DecodeError
from pvcnn.he.primes import transform_primes
from pvcnn.he.residues import Residues, add, expand, multiply, pack, packed_bytes, subtract, unpack

DEGREE = 4096
MODULI = transform_primes(DEGREE, (60, 40, 22))


def random_residues(seed: int) -> Residues:
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.integers(0, q, DEGREE, np.uint64) for q in MODULI])
    rows[:, 0] = 0
    rows[:, 1] = np.array(MODULI, np.uint64) - 1
    return rows


def test_packing_round_trip() -> None:
    polynomial = random_residues(0)
    packed = pack(polynomial, MODULI)
    assert len(packed) == packed_bytes(DEGREE, MODULI) == (60 + 40 + 22) * DEGREE // 8
    np.testing.assert_array_equal(unpack(packed, DEGREE, MODULI, "test"), polynomial)


def test_packing_is_little_endian_bits() -> None:
    polynomial = random_residues(1)
    integer = sum(int(value) << 60 * i for i, value in enumerate(polynomial[0]))
    assert pack(polynomial, MODULI)[: 60 * DEGREE // 8] == integer.to_bytes(60 * DEGREE // 8, "little")


@pytest.mark.parametrize("change", ["short", "long", "empty", "not reduced"])
def test_bad_polynomials(change: str) -> None:
    polynomial = random_residues(2)
    if change == "not reduced":
        polynomial[1, 7] = MODULI[1]
    packed = pack(polynomial, MODULI)
    data = {"short": packed[:-1], "long": packed + b"\0", "empty": b""}.get(change, packed)
    with pytest.raises(DecodeError):
        unpack(data, DEGREE, MODULI, "test")


def test_arithmetic_agrees_with_integers() -> None:
    a, b = random_residues(3), random_residues(4)
    for operation, ours in (("__mul__", multiply), ("__add__", add), ("__sub__", subtract)):
        found = ours(a, b, MODULI)
        for row, modulus in enumerate(MODULI):
            pairs = zip(a[row].tolist(), b[row].tolist(), strict=True)
            assert found[row].tolist() == [getattr(x, operation)(y) % modulus for x, y in pairs]


def test_expansion_is_reduced_deterministic_and_separate() -> None:
    polynomial = expand(b"s" * 32, 5, DEGREE, MODULI)
    assert (polynomial < np.array(MODULI, np.uint64)[:, None]).all()
    np.testing.assert_array_equal(polynomial, expand(b"s" * 32, 5, DEGREE, MODULI))
    for other in (expand(b"t" * 32, 5, DEGREE, MODULI), expand(b"s" * 32, 6, DEGREE, MODULI)):
        assert (polynomial == other).mean() < 0.01


def test_expansion_is_uniform() -> None:
    values = expand(b"s" * 32, 0, DEGREE, MODULI) / np.array(MODULI)[:, None]
    counts = np.stack([np.histogram(row, 16, (0, 1))[0] for row in values])
    assert abs(counts / DEGREE * 16 - 1).max() < 0.3
