"""Transforms over F_r against evaluation in Python's integers."""

from __future__ import annotations

import pytest

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS as R
from pvcnn.algebra.ntt import Domain

SIZES = [1, 2, 4, 8, 64, 1 << 10, 1 << 14, 1 << 15]


def evaluate(coefficients: list[int], x: int) -> int:
    total = 0
    for coefficient in reversed(coefficients):
        total = (total * x + coefficient) % R
    return total


def places(size: int) -> list[int]:
    """Every index of a small domain, some of a large one."""
    return list(range(size)) if size <= 64 else [0, 1, 2, size // 2 - 1, size // 2, size - 1]


@pytest.mark.parametrize("size", SIZES)
def test_values_are_those_of_the_polynomial(size: int) -> None:
    domain = Domain(size)
    vector = scalars.random(size)
    coefficients = scalars.to_integers(vector)
    values = scalars.to_integers(domain.evaluate(vector))
    on_coset = scalars.to_integers(domain.evaluate_on_coset(vector))
    for i in places(size):
        root = pow(domain.root, i, R)
        assert values[i] == evaluate(coefficients, root)
        assert on_coset[i] == evaluate(coefficients, 7 * root)


@pytest.mark.parametrize("size", SIZES)
def test_interpolation_inverts_evaluation(size: int) -> None:
    domain = Domain(size)
    vector = scalars.random(size)
    before = vector.copy()
    assert (domain.interpolate(domain.evaluate(vector)) == vector).all()
    assert (domain.evaluate(domain.interpolate(vector)) == vector).all()
    assert (domain.interpolate_from_coset(domain.evaluate_on_coset(vector)) == vector).all()
    assert (vector == before).all()


@pytest.mark.parametrize("size", [1, 2, 32])
def test_the_root_has_exactly_this_order(size: int) -> None:
    root = Domain(size).root
    assert [k for k in range(1, size + 1) if pow(root, k, R) == 1] == [size]


@pytest.mark.parametrize("size", [1, 2, 16, 1 << 13])
def test_lagrange_polynomials_evaluate_what_is_interpolated(size: int) -> None:
    domain = Domain(size)
    values = scalars.random(size)
    coefficients = scalars.to_integers(domain.interpolate(values))
    for x in (0, 1, 12345, R - 1, domain.root, R + 3):
        assert scalars.dot(domain.lagrange_at(x), values) == evaluate(coefficients, x)


def test_vanishing_polynomial() -> None:
    domain = Domain(8)
    assert domain.vanishing_at(domain.root) == 0
    assert domain.vanishing_at(3) == 3**8 - 1
    assert {domain.vanishing_at(7 * pow(domain.root, i, R)) for i in range(8)} == {domain.coset_vanishing}
    assert domain.coset_vanishing != 0


def test_a_quotient_on_the_coset() -> None:
    """What the prover does: (a b - c) / (X^n - 1) is a polynomial where a b = c on the domain."""
    domain = Domain(64)
    a, b = scalars.random(64), scalars.random(64)
    c = scalars.multiply(a, b)
    polynomials = [domain.interpolate(v) for v in (a, b, c)]
    cosets = [domain.evaluate_on_coset(p) for p in polynomials]
    difference = scalars.subtract(scalars.multiply(cosets[0], cosets[1]), cosets[2])
    quotient = domain.interpolate_from_coset(scalars.scale(difference, pow(domain.coset_vanishing, -1, R)))
    x = 987654321
    p, q, s = (evaluate(scalars.to_integers(v), x) for v in polynomials)
    assert (p * q - s) % R == evaluate(scalars.to_integers(quotient), x) * domain.vanishing_at(x) % R


@pytest.mark.parametrize("size", [0, -1, 3, 12, 1 << 33])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Domain(size)


@pytest.mark.parametrize("length", [0, 7, 9])
def test_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match=r"domain|lengths"):
        Domain(8).evaluate(scalars.zeros(length))
    with pytest.raises(ValueError, match=r"domain|lengths"):
        Domain(8).evaluate_on_coset(scalars.zeros(length))
