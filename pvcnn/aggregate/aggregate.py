"""The aggregate: one artefact for n proofs, of size O(log n) apart from the n commitments D_aux.

D_aux stays listed per proof because each proof's challenges depend on it. The statements are not part of
the artefact: whoever verifies must know what is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.aggregate.inner_product import CLAIM_BYTES, Claim, Round, Vectors, decode_claims
from pvcnn.aggregate.reference_string import MAX_PROOFS, padded_size
from pvcnn.algebra.constants import G1_BYTES, G2_BYTES
from pvcnn.algebra.points import G1Point, G2Point, decode_g1, decode_g2, encode_g1, encode_g2
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError

FORMAT = "pvcnn-aggregate"
VERSION = 1
_MAX_ROUNDS = MAX_PROOFS.bit_length() - 1
MAX_BYTES = 4096 + (2 * _MAX_ROUNDS + 1) * (CLAIM_BYTES + 8) + MAX_PROOFS * (G1_BYTES + 2)


@dataclass(frozen=True)
class FinalVectors:
    """The vectors after the last round, one entry each. Raises ValueError for an identity."""

    a: G1Point
    b: G2Point
    c: G1Point
    v_a: G2Point
    v_b: G2Point
    w_a: G1Point
    w_b: G1Point

    def __post_init__(self) -> None:
        if G1Point.identity() in (self.a, self.c, self.w_a, self.w_b):
            raise ValueError("a final point of G1 is the identity")
        if G2Point.identity() in (self.b, self.v_a, self.v_b):
            raise ValueError("a final point of G2 is the identity")

    @classmethod
    def of(cls, vectors: Vectors) -> FinalVectors:
        """The only entries of vectors of length 1."""
        parts = (vectors.a, vectors.b, vectors.c, vectors.v_a, vectors.v_b, vectors.w_a, vectors.w_b)
        ((a,), (b,), (c,), (v_a,), (v_b,), (w_a,), (w_b,)) = parts
        return cls(a, b, c, v_a, v_b, w_a, w_b)

    def to_bytes(self) -> bytes:
        """v_a, v_b (96 bytes each), w_a, w_b (48), A (48), B (96), C (48)."""
        g2 = encode_g2(self.v_a) + encode_g2(self.v_b)
        keys = g2 + encode_g1(self.w_a) + encode_g1(self.w_b)
        return keys + encode_g1(self.a) + encode_g2(self.b) + encode_g1(self.c)

    @classmethod
    def from_bytes(cls, data: bytes) -> FinalVectors:
        """Inverse of `to_bytes`. Raises DecodeError."""
        v_a, v_b, w_a, w_b, a, b, c = _split(data, (G2_BYTES, G2_BYTES, *(G1_BYTES,) * 3, G2_BYTES, G1_BYTES))
        return cls(
            decode_g1(a),
            decode_g2(b),
            decode_g1(c),
            decode_g2(v_a),
            decode_g2(v_b),
            decode_g1(w_a),
            decode_g1(w_b),
        )


@dataclass(frozen=True)
class Openings:
    """The witnesses pi of eq. (18)."""

    v_a: G2Point
    v_b: G2Point
    w_a: G1Point
    w_b: G1Point

    def to_bytes(self) -> bytes:
        """v_a, v_b (96 bytes each), w_a, w_b (48)."""
        return encode_g2(self.v_a) + encode_g2(self.v_b) + encode_g1(self.w_a) + encode_g1(self.w_b)

    @classmethod
    def from_bytes(cls, data: bytes) -> Openings:
        """Inverse of `to_bytes`. Raises DecodeError."""
        v_a, v_b, w_a, w_b = _split(data, (G2_BYTES, G2_BYTES, G1_BYTES, G1_BYTES))
        return cls(decode_g2(v_a), decode_g2(v_b), decode_g1(w_a), decode_g1(w_b))


@dataclass(frozen=True)
class Aggregate:
    """What the aggregator publishes.

    auxiliary_commitments: D_aux of each proof, in the order of the statements.
    claim: T_AB, U_AB, T_C, U_C, Z_AB, Z_C.  rounds: log2 N of them.

    Raises ValueError if the number of rounds does not follow from the number of proofs, or if a D_aux is
    the identity.
    """

    auxiliary_commitments: tuple[G1Point, ...]
    claim: Claim
    rounds: tuple[Round, ...]
    final: FinalVectors
    openings: Openings

    def __post_init__(self) -> None:
        if not 1 <= self.proofs <= MAX_PROOFS:
            raise ValueError(f"an aggregate has 1 to {MAX_PROOFS} proofs")
        if padded_size(self.proofs) != 1 << len(self.rounds):
            raise ValueError(f"{self.proofs} proofs do not make {len(self.rounds)} rounds")
        if G1Point.identity() in self.auxiliary_commitments:
            raise ValueError("an auxiliary commitment is the identity")

    @property
    def proofs(self) -> int:
        """n."""
        return len(self.auxiliary_commitments)

    def to_bytes(self) -> bytes:
        fields = {
            "auxiliary_commitments": [encode_g1(point) for point in self.auxiliary_commitments],
            "claim": self.claim.to_bytes(),
            "rounds": [fold.to_bytes() for fold in self.rounds],
            "final": self.final.to_bytes(),
            "openings": self.openings.to_bytes(),
        }
        return encode(FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> Aggregate:
        """Inverse of `to_bytes`.

        Raises DecodeError for anything that `to_bytes` does not give: every point lies in its subgroup
        and is not the identity, every target-group value satisfies eq. (19), and the rounds fit the
        number of proofs. Checking these costs what verification with as many values costs.
        """
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        auxiliary = fields.octets_sequence("auxiliary_commitments", MAX_PROOFS, G1_BYTES)
        claim = fields.octets("claim", length=CLAIM_BYTES)
        rounds = fields.octets_sequence("rounds", _MAX_ROUNDS, 2 * CLAIM_BYTES)
        final = fields.octets("final")
        openings = fields.octets("openings")
        fields.finish()
        if not auxiliary or padded_size(len(auxiliary)) != 1 << len(rounds):
            raise DecodeError(f"{FORMAT}: the rounds do not fit the number of proofs")
        crossed = [half for fold in rounds for half in (fold[:CLAIM_BYTES], fold[CLAIM_BYTES:])]
        first, *claims = decode_claims([claim, *crossed])
        return cls(
            tuple(decode_g1(encoding) for encoding in auxiliary),
            first,
            tuple(Round(left, right) for left, right in zip(claims[::2], claims[1::2], strict=True)),
            FinalVectors.from_bytes(final),
            Openings.from_bytes(openings),
        )


def _split(data: bytes, lengths: tuple[int, ...]) -> list[bytes]:
    """`data` cut into parts of the given lengths."""
    if len(data) != sum(lengths):
        raise DecodeError(f"{FORMAT}: a field has {len(data)} bytes, not {sum(lengths)}")
    parts, at = [], 0
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    return parts
