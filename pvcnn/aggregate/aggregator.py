"""The aggregator: n proofs, under one verification key or several, become one aggregate. It holds nothing
secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pvcnn.aggregate.aggregate import Aggregate, FinalVectors, Openings
from pvcnn.aggregate.challenges import AggregateTranscript
from pvcnn.aggregate.folded_keys import v_polynomial, w_polynomial
from pvcnn.aggregate.inner_product import (
    PAIRINGS_PER_ENTRY,
    Round,
    Vectors,
    padded_groups,
    public_scalars,
)
from pvcnn.aggregate.intake import Intake, Progress, ProofGroups
from pvcnn.aggregate.packed import PackedAggregate
from pvcnn.aggregate.reference_string import MAX_PROOFS, AggregationKey, padded_size
from pvcnn.aggregate.schemes import SCHEMES, AnyAggregate, Scheme, smallest
from pvcnn.algebra.point_sums import sum_of_multiples_g1, sum_of_multiples_g2
from pvcnn.algebra.target import Tick
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof


def silent(_what: str, _done: int, _total: int) -> None:
    """Nobody wants to know."""


def aggregate(
    key: AggregationKey,
    vk: VerificationKey,
    proofs: Iterable[Proof],
    *,
    scheme: Scheme = "auto",
    check: bool = True,
    progress: Progress = silent,
) -> AnyAggregate:
    """The aggregate of `proofs`, each with its statement attached, in their order: see `aggregate_groups`."""
    return aggregate_groups(key, [(vk, proofs)], scheme=scheme, check=check, progress=progress)


def aggregate_groups(
    key: AggregationKey,
    groups: ProofGroups,
    *,
    scheme: Scheme = "auto",
    check: bool = True,
    progress: Progress = silent,
) -> AnyAggregate:
    """One aggregate of proofs under several verification keys, in the order of groups and proofs.

    Proofs may come from iterators: they are read one by one, and only points and encoded statements are kept.
    scheme: "snarkpack" folds the proofs (`Aggregate`), "packed" lists them (`PackedAggregate`), "auto" does
    what makes the smaller aggregate, and lists what the reference string doesn't serve.

    Every proof is verified first (`check`): one bad proof would spoil the aggregate, and nobody could tell
    which. Raises VerificationError naming it, ValueError if there are no proofs, more than key.max_proofs
    (where they are to be folded; MAX_PROOFS otherwise), one without its statement, a group without proofs, or
    two groups with one key.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"there is no scheme {scheme!r}")
    intake = Intake(key.max_proofs if scheme == "snarkpack" else MAX_PROOFS)
    intake.read(groups, check, progress)
    chosen = smallest(intake.sizes, key.max_proofs) if scheme == "auto" else scheme
    if chosen == "packed":
        return PackedAggregate(tuple(intake.sizes), tuple(intake.proofs))
    return _fold(key, intake, _tick_of(progress, len(intake.proofs)))


def _tick_of(progress: Progress, proofs: int) -> Tick:
    """Adds up the pairings that are done."""
    total, done = PAIRINGS_PER_ENTRY * padded_size(proofs), 0

    def tick(pairings: int) -> None:
        nonlocal done
        done = min(total, done + pairings)
        progress("folding", done, total)

    return tick


def _fold(key: AggregationKey, intake: Intake, tick: Tick) -> Aggregate:
    auxiliary = intake.encoded_auxiliary()
    transcript = AggregateTranscript(key.verifier.digest(), intake.groups, intake.statements, auxiliary)
    vectors = _vectors(key, intake.proofs)
    commitments = vectors.commitments(tick)
    r = transcript.scaling_challenge(commitments.to_bytes())
    vectors = vectors.scaled(r)
    padded = padded_groups(intake.sizes, len(vectors))
    claim = vectors.initial_claim(commitments, padded, tick)
    y = transcript.combining_challenge(claim.product.encoded, claim.encoded_totals())
    vectors = vectors.combined(public_scalars(padded, y))

    rounds: list[Round] = []
    challenges: list[int] = []
    while len(vectors) > 1:
        rounds.append(vectors.cross_terms(tick))
        challenges.append(transcript.round_challenge(rounds[-1].left.to_bytes(), rounds[-1].right.to_bytes()))
        vectors = vectors.folded(challenges[-1])

    final = FinalVectors.of(vectors)
    z = transcript.opening_challenge(final.to_bytes())
    return Aggregate(
        tuple(intake.sizes),
        tuple(proof.auxiliary_commitment for proof in intake.proofs),
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
        sum_of_multiples_g2(key.a.g2[: len(v_quotient)], v_quotient),
        sum_of_multiples_g2(key.b.g2[: len(v_quotient)], v_quotient),
        sum_of_multiples_g1(key.a.g1[: len(w_quotient)], w_quotient),
        sum_of_multiples_g1(key.b.g1[: len(w_quotient)], w_quotient),
    )
