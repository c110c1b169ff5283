"""The 240 bytes of a proof: A, B, C of docs/protocol.md, eq. (10), and D_aux of eq. (8)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pvcnn.algebra.constants import G1_BYTES, G2_BYTES
from pvcnn.algebra.points import G1Point, G2Point, decode_g1, decode_g2, encode_g1, encode_g2
from pvcnn.errors import DecodeError
from pvcnn.qmp.statement import Statement

PROOF_BYTES = 3 * G1_BYTES + G2_BYTES


@dataclass(frozen=True)
class Proof:
    """A proof and, where it is known, the statement it was made for.

    Anyone can turn a valid proof into another valid proof of the same statement, so proof bytes
    identify nothing: what identifies a proof is its statement. The statement is not part of the
    240 bytes; `verify` is told it separately and never looks at the one that is attached here.
    """

    a: G1Point
    b: G2Point
    c: G1Point
    auxiliary_commitment: G1Point
    attached: Statement | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not all(isinstance(point, G1Point) for point in (self.a, self.c, self.auxiliary_commitment)):
            raise TypeError("a, c and auxiliary_commitment must be points of G1")
        if not isinstance(self.b, G2Point):
            raise TypeError("b must be a point of G2")

    @property
    def statement(self) -> Statement:
        """The statement that the proof was made for. Raises ValueError if none is attached."""
        if self.attached is None:
            raise ValueError("the proof was decoded without its statement")
        return self.attached

    def to_bytes(self) -> bytes:
        """A (48 bytes), B (96), C (48), D_aux (48), compressed."""
        g1 = [encode_g1(point) for point in (self.a, self.c, self.auxiliary_commitment)]
        return g1[0] + encode_g2(self.b) + g1[1] + g1[2]

    @classmethod
    def from_bytes(cls, data: bytes, statement: Statement | None = None) -> Proof:
        """Inverse of `to_bytes`, with `statement` attached.

        Raises DecodeError unless `data` is four points of the prime-order subgroups, in their
        canonical encodings, none of them the identity (which no honest proof contains).
        """
        if not isinstance(data, bytes) or len(data) != PROOF_BYTES:
            raise DecodeError(f"a proof has {PROOF_BYTES} bytes")
        ends = (G1_BYTES, G1_BYTES + G2_BYTES, 2 * G1_BYTES + G2_BYTES)
        return cls(
            decode_g1(data[: ends[0]]),
            decode_g2(data[ends[0] : ends[1]]),
            decode_g1(data[ends[1] : ends[2]]),
            decode_g1(data[ends[2] :]),
            statement,
        )
