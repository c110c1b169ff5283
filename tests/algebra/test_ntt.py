"""Transforms over F_r against evaluation in Python's integers."""

from __future__ import annotations

import pytest

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS as R
from pvcnn.algebra.kernels import selection
from pvcnn.algebra.ntt import Domain

pytestmark = pytest.mark.usefixtures("kernels")

SIZES = [1, 2, 4, 8, 32, 64, 128, 256, 512, 1 << 10, 1 << 14, 1 << 15]


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


@pytest.mark.parametrize("size", [1, 2, 32, 64, 128, 1024, 1 << 13])
@pytest.mark.parametrize("missing", [0, 1, 5])
def test_the_quotient(size: int, missing: int) -> None:
    """What the prover does: (a b - c) / (X^n - 1) is a polynomial where a b = c on the domain."""
    domain = Domain(size)
    a, b = (scalars.random(max(0, size - missing)) for _ in range(2))
    c = scalars.multiply(a, b)
    before = [vector.copy() for vector in (a, b, c)]
    quotient = domain.quotient(a, b, c)
    assert quotient.shape == (size, 4)
    assert scalars.is_zero(quotient[-1:]).all()
    x = 987654321
    lagrange = domain.lagrange_at(x)[: len(a)]
    p, q, s = (scalars.dot(lagrange, vector) for vector in (a, b, c))
    assert (p * q - s) % R == evaluate(scalars.to_integers(quotient), x) * domain.vanishing_at(x) % R
    assert all((old == new).all() for old, new in zip(before, (a, b, c), strict=True))


def test_the_quotient_of_extremes() -> None:
    """Only r - 1 and 0, so that all lanes are equal, or as different as can be."""
    for values in ([R - 1] * 256, [R - 1, 0] * 128, ([R - 1] * 8 + [0] * 8) * 16, [0] * 256):
        domain = Domain(256)
        a = scalars.from_integers(values)
        c = scalars.multiply(a, a)
        quotient, lagrange = scalars.to_integers(domain.quotient(a, a, c)), domain.lagrange_at(5)
        p, s = scalars.dot(lagrange, a), scalars.dot(lagrange, c)
        assert (p * p - s) % R == evaluate(quotient, 5) * domain.vanishing_at(5) % R


def test_what_is_no_quotient_has_a_rest() -> None:
    domain = Domain(64)
    a, b = scalars.random(64), scalars.random(64)
    quotient = scalars.to_integers(domain.quotient(a, b, scalars.zeros(64)))
    lagrange = domain.lagrange_at(5)
    assert scalars.dot(lagrange, a) * scalars.dot(lagrange, b) % R != (
        evaluate(quotient, 5) * domain.vanishing_at(5) % R
    )


@pytest.mark.parametrize("size", [1, 64, 4096])
def test_both_kernels_agree_bit_by_bit(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = [scalars.random(size) for _ in range(3)]
    here = [Domain(size).evaluate(vectors[0]), Domain(size).quotient(*vectors)]
    monkeypatch.setattr(selection, "KERNELS", selection.Kernels.PORTABLE)
    there = [Domain(size).evaluate(vectors[0]), Domain(size).quotient(*vectors)]
    assert all((x == y).all() for x, y in zip(here, there, strict=True))


@pytest.mark.parametrize("threads", ["1", "2", "3"])
def test_threads_do_not_change_results(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = Domain(1 << 13)
    vectors = [scalars.powers(k, domain.size) for k in (3, 5, 7)]
    expected = domain.quotient(*vectors)
    monkeypatch.setenv("PVCNN_THREADS", threads)
    assert (domain.quotient(*vectors) == expected).all()


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


def test_vectors_longer_than_the_domain_have_no_quotient() -> None:
    with pytest.raises(ValueError, match="domain"):
        Domain(64).quotient(scalars.zeros(64), scalars.zeros(65), scalars.zeros(64))
