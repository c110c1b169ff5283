"""The aggregator: n proofs under one verification key become one aggregate. It holds nothing secret."""

from __future__ import annotations

from collections.abc import Sequence

from pvcnn.aggregate.aggregate import Aggregate, FinalVectors, Openings
from pvcnn.aggregate.challenges import AggregateTranscript
from pvcnn.aggregate.folded_keys import v_polynomial, w_polynomial
from pvcnn.aggregate.inner_product import Round, Vectors
from pvcnn.aggregate.reference_string import AggregationKey, padded_size
from pvcnn.algebra.points import G2Point, encode_g1, linear_combination_g1, scalar
from pvcnn.errors import VerificationError
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.verifier import verify


def aggregate(
    key: AggregationKey, vk: VerificationKey, proofs: Sequence[Proof], *, check: bool = True
) -> Aggregate:
    """The aggregate of `proofs`, each with its statement attached, in their order.

    Every proof is verified first (`check`): one bad proof would spoil the aggregate, and nobody could
    tell which. Raises VerificationError naming it, ValueError if there are no proofs, more than
    key.max_proofs, or one without its statement.
    """
    if not 1 <= len(proofs) <= key.max_proofs:
        raise ValueError(f"{len(proofs)} proofs: the reference string serves 1 to {key.max_proofs}")
    statements = [proof.statement for proof in proofs]
    if check:
        for i, proof in enumerate(proofs):
            try:
                verify(vk, proof.statement, proof)
            except VerificationError as error:
                raise VerificationError(f"proof {i}: {error}") from error

    transcript = AggregateTranscript(
        key.verifier.digest(),
        vk.digest(),
        [statement.to_bytes() for statement in statements],
        [encode_g1(proof.auxiliary_commitment) for proof in proofs],
    )
    vectors = _vectors(key, proofs)
    commitments = vectors.commitments()
    r = transcript.scaling_challenge(commitments.to_bytes())
    vectors = vectors.scaled(r)
    claim = vectors.claim(commitments)
    transcript.absorb_totals(claim.product.encoded, encode_g1(claim.total))

    rounds: list[Round] = []
    challenges: list[int] = []
    while len(vectors) > 1:
        rounds.append(vectors.cross_terms())
        challenges.append(transcript.round_challenge(rounds[-1].left.to_bytes(), rounds[-1].right.to_bytes()))
        vectors = vectors.folded(challenges[-1])

    final = FinalVectors.of(vectors)
    z = transcript.opening_challenge(final.to_bytes())
    return Aggregate(
        tuple(proof.auxiliary_commitment for proof in proofs),
        claim,
        tuple(rounds),
        final,
        _openings(key, r, challenges, z),
    )


def _vectors(key: AggregationKey, proofs: Sequence[Proof]) -> Vectors:
    """The vectors of length N: proofs, the last one repeated, and the commitment keys for N."""
    size = padded_size(len(proofs))
    padded = [*proofs, *[proofs[-1]] * (size - len(proofs))]
    return Vectors(
        [proof.a for proof in padded],
        [proof.b for proof in padded],
        [proof.c for proof in padded],
        list(key.a.g2[:size]),
        list(key.b.g2[:size]),
        list(key.a.g1[size : 2 * size]),
        list(key.b.g1[size : 2 * size]),
    )


def _openings(key: AggregationKey, r: int, challenges: Sequence[int], z: int) -> Openings:
    """Eq. (18): [(f(s) - f(z)) / (s - z)] for v and w and for s = a and b."""
    v_quotient = v_polynomial(r, challenges).quotient(z)
    w_quotient = w_polynomial(challenges).quotient(z)
    return Openings(
        _combine_g2(key.a.g2, v_quotient),
        _combine_g2(key.b.g2, v_quotient),
        linear_combination_g1(key.a.g1[: len(w_quotient)], w_quotient),
        linear_combination_g1(key.b.g1[: len(w_quotient)], w_quotient),
    )


def _combine_g2(points: Sequence[G2Point], factors: Sequence[int]) -> G2Point:
    return G2Point.multiexp_unchecked(list(points[: len(factors)]), [scalar(f) for f in factors])
