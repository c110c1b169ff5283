"""Aggregates of any number of proofs verify and survive encoding; the folding is what it says it is."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

import pvcnn
from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.aggregator import _vectors
from pvcnn.aggregate.folded_keys import KeyPolynomial, v_polynomial, w_polynomial
from pvcnn.aggregate.inner_product import Vectors, powers_of
from pvcnn.aggregate.reference_string import AggregationKey, padded_size
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import scalar
from pvcnn.algebra.target import _compiled, product_of_powers
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.verifier import verify
from tests.aggregate.synthetic import Trapdoor, fold, g1, g2


def test_synthetic_proofs_are_valid(trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    for proof in proofs:
        verify(trapdoor.vk, proof.statement, proof)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10])
def test_aggregate_verifies(count: int, key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    made = fold(key, trapdoor.vk, proofs[:count])
    statements = [proof.statement for proof in proofs[:count]]
    verify_aggregate(key.verifier, trapdoor.vk, statements, made)
    decoded = Aggregate.from_bytes(made.to_bytes())
    assert decoded == made
    assert decoded.proofs == count
    verify_aggregate(key.verifier, trapdoor.vk, statements, decoded)


def test_top_level_names(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    """`pvcnn.aggregate` is a package and a function."""
    made = pvcnn.aggregate(key, trapdoor.vk, proofs[:2])
    pvcnn.verify_aggregate(key.verifier, trapdoor.vk, [p.statement for p in proofs[:2]], made)


@pytest.mark.parametrize("path", ["compiled", "plain"])
def test_verifies_with_and_without_compiled_code(
    path: str,
    key: AggregationKey,
    trapdoor: Trapdoor,
    proofs: list[Proof],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded = fold(key, trapdoor.vk, proofs[:4]).to_bytes()
    statements = [proof.statement for proof in proofs[:4]]
    if path == "plain":
        monkeypatch.setenv("PVCNN_NO_NUMBA", "1")
    _compiled.cache_clear()
    try:
        assert (_compiled() is None) == (path == "plain")
        verify_aggregate(key.verifier, trapdoor.vk, statements, Aggregate.from_bytes(encoded))
    finally:
        _compiled.cache_clear()


def test_size_grows_with_the_logarithm(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    """8.6 kB for N = 4 and 3 kB a doubling; the aggregate does not hold A, B or C."""
    sizes = {n: len(fold(key, trapdoor.vk, proofs[:n]).to_bytes()) for n in (4, 10)}
    assert sizes[4] < 8_700
    assert sizes[10] - sizes[4] < 2 * 2_990 + 6 * 49


@pytest.mark.parametrize(
    ("proofs_in", "size"), [(1, 2), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 16), (4096, 4096)]
)
def test_padded_size(proofs_in: int, size: int) -> None:
    assert padded_size(proofs_in) == size


def random_vectors(size: int, rng: random.Random) -> Vectors:
    def draw() -> int:
        return rng.randrange(SCALAR_MODULUS)

    in_g1 = [[g1(draw()) for _ in range(size)] for _ in range(4)]
    in_g2 = [[g2(draw()) for _ in range(size)] for _ in range(3)]
    e = tuple(draw() for _ in range(size))
    return Vectors(in_g1[0], in_g2[0], in_g1[1], in_g2[1], in_g2[2], in_g1[2], in_g1[3], e)


def test_a_claim_folds_as_its_vectors_do() -> None:
    rng = random.Random(529)
    x = rng.randrange(2, SCALAR_MODULUS)
    inverse = pow(x, -1, SCALAR_MODULUS)
    vectors = random_vectors(4, rng)
    while len(vectors) > 1:
        claim, fold = vectors.claim(), vectors.cross_terms()
        vectors = vectors.folded(x)
        folded = vectors.claim()
        parts = zip(claim.targets, fold.left.targets, fold.right.targets, folded.targets, strict=True)
        for value, left, right, expected in parts:
            assert product_of_powers([value, left, right], [1, x, inverse]) == expected
        total = claim.total + fold.left.total * scalar(x) + fold.right.total * scalar(inverse)
        assert total == folded.total


def test_scaling_keeps_commitments_and_brings_in_the_powers_of_r() -> None:
    rng = random.Random(13)
    vectors, r = random_vectors(4, rng), rng.randrange(2, SCALAR_MODULUS)
    scaled = vectors.scaled(r)
    assert scaled.commitments() == vectors.commitments()
    totals = scaled.initial_claim(scaled.commitments(), [3, 1]).totals
    expected = [c * scalar(power) for c, power in zip(vectors.c, powers_of(r, 4), strict=True)]
    assert totals == (expected[0] + expected[1] + expected[2], expected[3])


def test_key_polynomials_are_the_folded_keys() -> None:
    rng = random.Random(18)
    secret, r, *challenges = (rng.randrange(2, SCALAR_MODULUS) for _ in range(5))
    powers = powers_of(secret, 16)
    v = [
        power * unscaling % SCALAR_MODULUS
        for power, unscaling in zip(powers[:8], powers_of(pow(r, -1, SCALAR_MODULUS), 8), strict=True)
    ]
    w = powers[8:]
    for x in challenges:
        half = len(v) // 2
        inverse = pow(x, -1, SCALAR_MODULUS)
        v = [(low + inverse * high) % SCALAR_MODULUS for low, high in zip(v[:half], v[half:], strict=True)]
        w = [(low + x * high) % SCALAR_MODULUS for low, high in zip(w[:half], w[half:], strict=True)]
    assert v == [v_polynomial(r, challenges).at(secret)]
    assert w == [w_polynomial(challenges).at(secret)]


def test_quotient() -> None:
    polynomial = KeyPolynomial((3, 5, 7), 8)
    point, secret = 11, 123456789
    quotient = sum(c * secret**i for i, c in enumerate(polynomial.quotient(point)))
    difference = polynomial.at(secret) - polynomial.at(point)
    assert (quotient * (secret - point) - difference) % SCALAR_MODULUS == 0


def test_other_vectors_with_the_same_commitment_under_one_string(
    key: AggregationKey, proofs: list[Proof]
) -> None:
    """docs/security-argument.md, Lemma 4: powers of a in both groups cancel under a, and not under b."""
    honest = _vectors(key, proofs[:4])
    size = len(honest)
    shifted = replace(
        honest,
        a=[honest.a[0], honest.a[1] + key.a.g1[size], *honest.a[2:]],
        b=[honest.b[0] - key.a.g2[1], *honest.b[1:]],
    )
    left, right = honest.commitments(), shifted.commitments()
    assert left.t_ab == right.t_ab
    assert left.u_ab != right.u_ab
