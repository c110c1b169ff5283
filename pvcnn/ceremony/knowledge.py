"""Proofs that a contributor knows the secrets it multiplied with: docs/ceremony.md, section "Contributions".

For each secret a Schnorr proof that `after` is x times `before`, two points of one group, made
non-interactive by one transcript for all secrets of a contribution. It shows nothing but those two points:
a pair of points in G1 and G2 that has the ratio x, as is often used instead, would show [gamma_s]1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pvcnn.algebra.constants import G1_BYTES, SCALAR_BYTES, SCALAR_MODULUS
from pvcnn.algebra.points import (
    decode_g1,
    decode_g2,
    decode_scalar,
    encode_scalar,
    random_scalar,
    scalar,
)
from pvcnn.algebra.transcript import Transcript
from pvcnn.ceremony.description import Point, Secret
from pvcnn.errors import VerificationError


@dataclass(frozen=True)
class Proof:
    """commitment = k before, response = k + challenge x."""

    commitment: Point
    response: int

    def to_bytes(self) -> bytes:
        return encode_point(self.commitment) + encode_scalar(self.response)

    @classmethod
    def from_bytes(cls, data: bytes) -> Proof:
        """Inverse of `to_bytes`. Raises DecodeError for anything else."""
        return cls(decode_point(data[:-SCALAR_BYTES]), decode_scalar(data[-SCALAR_BYTES:]))


@dataclass(frozen=True)
class Update:
    """What a contribution changes: everything that its proofs depend on.

    previous: the digest of what it builds on; state: that of the state it leaves; before, after: the
    secrets' points.
    """

    previous: bytes
    number: int
    name: str
    state: bytes
    secrets: tuple[Secret, ...]
    before: tuple[Point, ...]
    after: tuple[Point, ...]

    def challenges(self, commitments: Sequence[Point]) -> list[int]:
        """One for each secret, from everything above and all commitments."""
        transcript = Transcript("pvcnn/ceremony-contribution")
        transcript.absorb("previous", self.previous)
        transcript.absorb_integer("number", self.number)
        transcript.absorb("name", self.name.encode())
        transcript.absorb("state", self.state)
        rows = zip(self.secrets, self.before, self.after, commitments, strict=True)
        for secret, before, after, commitment in rows:
            transcript.absorb("secret", secret.name.encode())
            transcript.absorb("before", encode_point(before))
            transcript.absorb("after", encode_point(after))
            transcript.absorb("commitment", encode_point(commitment))
        return [transcript.challenge(secret.name) for secret in self.secrets]


def prove(update: Update, ratios: Sequence[int]) -> tuple[Proof, ...]:
    """Proofs that after[i] = ratios[i] before[i]. SECRET: the ratios."""
    nonces = [random_scalar() for _ in ratios]
    commitments = [times(point, nonce) for point, nonce in zip(update.before, nonces, strict=True)]
    challenges = update.challenges(commitments)
    return tuple(
        Proof(commitment, (nonce + challenge * ratio) % SCALAR_MODULUS)
        for commitment, nonce, challenge, ratio in zip(commitments, nonces, challenges, ratios, strict=True)
    )


def check_proofs(update: Update, proofs: Sequence[Proof]) -> None:
    """Raises VerificationError, naming the secret, if a proof does not fit the update."""
    if len(proofs) != len(update.secrets):
        raise VerificationError("there must be one proof of knowledge for each secret")
    for secret, proof, point in zip(update.secrets, proofs, update.after, strict=True):
        if not type(proof.commitment) is type(point) is type(secret.generator):
            raise VerificationError(f"the proof of knowledge of {secret.name} is in the wrong group")
    challenges = update.challenges([proof.commitment for proof in proofs])
    rows = zip(update.secrets, proofs, challenges, update.before, update.after, strict=True)
    for secret, proof, challenge, before, after in rows:
        if times(before, proof.response) != plus(proof.commitment, times(after, challenge)):
            raise VerificationError(f"the proof of knowledge of {secret.name} does not hold")


def times(point: Point, factor: int) -> Point:
    """factor point."""
    any_point: Any = point
    product: Point = any_point * scalar(factor)
    return product


def plus(left: Point, right: Point) -> Point:
    """left + right, of one group."""
    any_left: Any = left
    total: Point = any_left + right
    return total


def encode_point(point: Point) -> bytes:
    """48 bytes of a point of G1, 96 of one of G2."""
    data: bytes = bytes(point.to_compressed_bytes())
    return data


def decode_point(data: bytes) -> Point:
    """A point of G1 or of G2, by its length; DecodeError otherwise, and for an identity."""
    point: Point = decode_g1(data) if len(data) == G1_BYTES else decode_g2(data)
    return point
