"""An aggregator that may cheat at every step, and verifiers that forget something.

A cheat overrides a step of `DishonestAggregator`. Everything after it is computed from what the cheat made,
as an honest aggregator would: nothing but the lie itself can give the aggregate away. Some make an aggregate
first only to learn its challenges, which is worth something where a verifier leaves out what would have
changed them. `forgetful` makes both verifiers such ones, and cheats succeed; the real ones refuse the same
aggregate. So it is this item that stops the cheat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pvcnn.aggregate.aggregate import Aggregate, FinalVectors, Openings
from pvcnn.aggregate.aggregator import _openings, _vectors
from pvcnn.aggregate.challenges import AggregateTranscript
from pvcnn.aggregate.inner_product import InitialClaim, Round, Vectors, padded_groups, public_scalars
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.algebra.points import encode_g1
from pvcnn.algebra.transcript import Transcript
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from tests.aggregate import standalone


class DishonestAggregator:
    """Folds proofs under one key that nobody checks. r, y, x and z are its challenges, as they are drawn."""

    def __init__(self, key: AggregationKey, vk: VerificationKey, proofs: Sequence[Proof]) -> None:
        self.key, self.vk, self.proofs = key, vk, list(proofs)
        self.r = self.y = self.z = 0
        self.x: list[int] = []

    # What a cheat overrides.

    def vectors(self) -> Vectors:
        """Proofs, padding and commitment keys, all of which it commits to."""
        return _vectors(self.key, self.proofs)

    def after_r(self, vectors: Vectors) -> Vectors:
        """Other vectors than it has committed to."""
        return vectors

    def lie(self, claim: InitialClaim) -> InitialClaim:
        """Another Z_AB or Z_C."""
        return claim

    def cross_terms(self, terms: Round) -> Round:
        """Those of round len(self.x)."""
        return terms

    def final(self, final: FinalVectors) -> FinalVectors:
        """Other vectors of length 1."""
        return final

    def openings(self) -> Openings:
        """Of the final keys at z."""
        return _openings(self.key, self.r, self.x, self.z)

    def aggregate(self) -> Aggregate:
        """What it publishes."""
        auxiliary = [proof.auxiliary_commitment for proof in self.proofs]
        transcript = AggregateTranscript(
            self.key.verifier.digest(),
            [(self.vk.digest(), len(self.proofs))],
            [proof.statement.to_bytes() for proof in self.proofs],
            list(map(encode_g1, auxiliary)),
        )
        vectors = self.vectors()
        padded = padded_groups([len(self.proofs)], len(vectors))
        commitments = vectors.commitments()
        self.r = transcript.scaling_challenge(commitments.to_bytes())
        vectors = self.after_r(vectors).scaled(self.r)
        claim = self.lie(vectors.initial_claim(commitments, padded))
        self.y = transcript.combining_challenge(claim.product.encoded, claim.encoded_totals())
        vectors = vectors.combined(public_scalars(padded, self.y))
        rounds: list[Round] = []
        self.x = []
        while len(vectors) > 1:
            rounds.append(self.cross_terms(vectors.cross_terms()))
            left, right = rounds[-1].left.to_bytes(), rounds[-1].right.to_bytes()
            self.x.append(transcript.round_challenge(left, right))
            vectors = vectors.folded(self.x[-1])
        final = self.final(FinalVectors.of(vectors))
        self.z = transcript.opening_challenge(final.to_bytes())
        return Aggregate((len(self.proofs),), tuple(auxiliary), claim, tuple(rounds), final, self.openings())


class Forgetful(Transcript):
    """Leaves items out, and has challenges that it does not draw."""

    omitted: tuple[str, ...] = ()
    fixed: dict[str, int] = {}  # noqa: RUF012 - of a class that is made for one test

    def absorb(self, label: str, data: bytes) -> None:
        if label not in self.omitted:
            super().absorb(label, data)

    def challenge(self, label: str) -> int:
        return self.fixed.get(label) or super().challenge(label)


def forgetful(patch: pytest.MonkeyPatch, *omitted: str, **fixed: int) -> None:
    """Has both verifiers, the aggregator and the prover leave items out of all transcripts, by their labels,
    and take fixed values for challenges."""
    ours = type("Ours", (Forgetful,), {"omitted": omitted, "fixed": fixed})
    patch.setattr("pvcnn.aggregate.challenges.Transcript", ours)
    patch.setattr("pvcnn.qmp.challenges.Transcript", ours)
    script: Any = standalone.load()

    class Theirs(script.Transcript):  # type: ignore[misc]
        def absorb(self, *items: tuple[str, bytes | int]) -> None:
            super().absorb(*(item for item in items if item[0] not in omitted))

        def challenge(self, label: str) -> int:
            return fixed.get(label) or int(super().challenge(label))

    patch.setattr(script, "Transcript", Theirs)
