"""The folded aggregate: one artefact for n proofs, of size O(log n) apart from the n commitments D_aux.

D_aux stays listed per proof because each proof's challenges depend on it. The statements are not part of
the artefact: whoever verifies must know what is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pvcnn.aggregate.inner_product import (
    CLAIM_BYTES,
    INITIAL_TARGET_BYTES,
    Claim,
    Commitments,
    InitialClaim,
    Round,
    Vectors,
)
from pvcnn.aggregate.reference_string import MAX_PROOFS, padded_size
from pvcnn.aggregate.statement_groups import MAX_GROUPS
from pvcnn.algebra.constants import G1_BYTES, G2_BYTES
from pvcnn.algebra.point_lists import decode_g1_list
from pvcnn.algebra.points import G1Point, G2Point, decode_g1, decode_g2, encode_g1, encode_g2
from pvcnn.algebra.target import TARGET_BYTES, decode_targets
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError

FORMAT = "pvcnn-aggregate"
VERSION = 2
_MAX_ROUNDS = MAX_PROOFS.bit_length() - 1
MAX_BYTES = 4096 + (2 * _MAX_ROUNDS + 1) * (CLAIM_BYTES + 8) + (MAX_PROOFS + MAX_GROUPS) * G1_BYTES
_FINAL_BYTES = 4 * G1_BYTES + 3 * G2_BYTES
_OPENINGS_BYTES = 2 * G1_BYTES + 2 * G2_BYTES


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
        """Inverse of `to_bytes`, for as many bytes. Raises DecodeError."""
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
        """Inverse of `to_bytes`, for as many bytes. Raises DecodeError."""
        v_a, v_b, w_a, w_b = _split(data, (G2_BYTES, G2_BYTES, G1_BYTES, G1_BYTES))
        return cls(decode_g2(v_a), decode_g2(v_b), decode_g1(w_a), decode_g1(w_b))


@dataclass(frozen=True)
class Aggregate:
    """What the aggregator publishes.

    groups: how many proofs each verification key has, in order; all add up to n.
    auxiliary_commitments: D_aux of each proof, in the order of the statements.
    claim: T_AB, U_AB, T_C, U_C, Z_AB, and Z_C of each group.  rounds: log2 N of them.

    Raises ValueError if the number of rounds does not follow from the number of proofs, if the groups are
    not those of n proofs, or if a D_aux is the identity.
    """

    groups: tuple[int, ...]
    auxiliary_commitments: tuple[G1Point, ...]
    claim: InitialClaim
    rounds: tuple[Round, ...]
    final: FinalVectors
    openings: Openings

    def __post_init__(self) -> None:
        check_groups(self.groups, self.proofs)
        if len(self.claim.totals) != len(self.groups):
            raise ValueError(f"{len(self.claim.totals)} totals for {len(self.groups)} groups")
        if padded_size(self.proofs) != 1 << len(self.rounds):
            raise ValueError(f"{self.proofs} proofs do not make {len(self.rounds)} rounds")
        if G1Point.identity() in self.auxiliary_commitments:
            raise ValueError("an auxiliary commitment is the identity")

    @property
    def proofs(self) -> int:
        """n."""
        return len(self.auxiliary_commitments)

    def to_bytes(self) -> bytes:
        return _encoded(
            list(self.groups),
            b"".join(map(encode_g1, self.auxiliary_commitments)),
            self.claim.to_bytes(),
            [fold.to_bytes() for fold in self.rounds],
            self.final.to_bytes(),
            self.openings.to_bytes(),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Aggregate:
        """Inverse of `to_bytes`.

        Raises DecodeError for anything that `to_bytes` does not give: every point lies in its subgroup
        and is not the identity, every target-group value satisfies eq. (19), and groups and rounds fit the
        number of proofs. Checking these costs what verification with as many values costs.
        """
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        groups = take_groups(fields)
        auxiliary = fields.octets("auxiliary_commitments", length=G1_BYTES * sum(groups))
        claim = fields.octets("claim", length=INITIAL_TARGET_BYTES + G1_BYTES * len(groups))
        rounds = fields.octets_sequence("rounds", _MAX_ROUNDS, 2 * CLAIM_BYTES)
        final = fields.octets("final", length=_FINAL_BYTES)
        openings = fields.octets("openings", length=_OPENINGS_BYTES)
        fields.finish()
        if padded_size(sum(groups)) != 1 << len(rounds):
            raise DecodeError(f"{FORMAT}: the rounds do not fit the number of proofs")

        halves = [half for fold in rounds for half in (fold[:CLAIM_BYTES], fold[CLAIM_BYTES:])]
        encoded_targets = [claim[:INITIAL_TARGET_BYTES], *(half[:INITIAL_TARGET_BYTES] for half in halves)]
        targets = iter(decode_targets(cut(b"".join(encoded_targets), TARGET_BYTES)))
        totals = claim[INITIAL_TARGET_BYTES:] + b"".join(half[INITIAL_TARGET_BYTES:] for half in halves)
        points = decode_g1_list(cut(auxiliary + totals, G1_BYTES))
        count, first = sum(groups), sum(groups) + len(groups)
        values = [(Commitments(*(next(targets) for _ in range(4))), next(targets)) for _ in encoded_targets]
        crossed = [Claim(*value, total) for value, total in zip(values[1:], points[first:], strict=True)]
        return cls(
            tuple(groups),
            tuple(points[:count]),
            InitialClaim(*values[0], tuple(points[count:first])),
            tuple(Round(left, right) for left, right in zip(crossed[::2], crossed[1::2], strict=True)),
            FinalVectors.from_bytes(final),
            Openings.from_bytes(openings),
        )


def aggregate_bytes(groups: Sequence[int]) -> int:
    """The size of the aggregate of so many proofs in each group."""
    rounds = padded_size(sum(groups)).bit_length() - 1
    claim = bytes(INITIAL_TARGET_BYTES + G1_BYTES * len(groups))
    folds = [bytes(2 * CLAIM_BYTES)] * rounds
    auxiliary = bytes(G1_BYTES * sum(groups))
    return len(_encoded(list(groups), auxiliary, claim, folds, bytes(_FINAL_BYTES), bytes(_OPENINGS_BYTES)))


def _encoded(
    groups: list[int], auxiliary: bytes, claim: bytes, rounds: list[bytes], final: bytes, openings: bytes
) -> bytes:
    fields = {
        "groups": groups,
        "auxiliary_commitments": auxiliary,
        "claim": claim,
        "rounds": rounds,
        "final": final,
        "openings": openings,
    }
    return encode(FORMAT, VERSION, fields)


def check_groups(groups: Sequence[int], proofs: int) -> None:
    """Raises ValueError unless these are the sizes of 1 to MAX_GROUPS groups of 1 to MAX_PROOFS proofs in
    all.
    """
    if not 1 <= proofs <= MAX_PROOFS:
        raise ValueError(f"an aggregate has 1 to {MAX_PROOFS} proofs")
    if not 1 <= len(groups) <= MAX_GROUPS or min(groups) < 1 or sum(groups) != proofs:
        raise ValueError(f"the sizes of groups are not those of {proofs} proofs")


def take_groups(fields: Fields) -> list[int]:
    """The field `groups`. Raises DecodeError for what `check_groups` refuses."""
    groups = fields.integer_sequence("groups", MAX_GROUPS, 1, MAX_PROOFS + 1)
    if not 1 <= sum(groups) <= MAX_PROOFS:
        raise DecodeError(f"an aggregate has 1 to {MAX_PROOFS} proofs")
    return groups


def cut(data: bytes, length: int) -> list[bytes]:
    """`data` in parts of `length` bytes."""
    return [data[at : at + length] for at in range(0, len(data), length)]


def _split(data: bytes, lengths: tuple[int, ...]) -> list[bytes]:
    """`data` cut into parts of the given lengths."""
    parts, at = [], 0
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    return parts
