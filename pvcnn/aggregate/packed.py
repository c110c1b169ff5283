"""The packed aggregate: all proofs as they are, which below some 120 proofs is smaller than a folded one.

Whoever verifies it checks all equations (11) at once, under random weights of its own
(`pvcnn.aggregate.batch`). It needs no reference string.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pvcnn.aggregate.aggregate import check_groups, cut, take_groups
from pvcnn.aggregate.reference_string import MAX_PROOFS
from pvcnn.aggregate.statement_groups import MAX_GROUPS
from pvcnn.algebra.constants import G1_BYTES, G2_BYTES
from pvcnn.algebra.point_lists import curve_points_g1, curve_points_g2, generate_g1, generate_g2
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError
from pvcnn.qmp.proof import PROOF_BYTES, Proof

FORMAT = "pvcnn-packed-aggregate"
VERSION = 1
MAX_BYTES = 4096 + MAX_PROOFS * PROOF_BYTES + 3 * MAX_GROUPS
_AFTER_A = G1_BYTES + G2_BYTES


@dataclass(frozen=True)
class PackedAggregate:
    """The proofs, in the order of the statements.

    groups: how many of them each verification key has, in order.

    Raises ValueError if the groups are not those of so many proofs, or if a point of a proof does not
    generate its group.
    """

    groups: tuple[int, ...]
    contents: tuple[Proof, ...]

    def __post_init__(self) -> None:
        check_groups(self.groups, self.proofs)
        in_g1 = [point for proof in self.contents for point in (proof.a, proof.c, proof.auxiliary_commitment)]
        if not generate_g1(in_g1) or not generate_g2([proof.b for proof in self.contents]):
            raise ValueError("a point of a proof does not generate G1 or G2")

    @property
    def proofs(self) -> int:
        """n."""
        return len(self.contents)

    def to_bytes(self) -> bytes:
        return _encoded(list(self.groups), b"".join(proof.to_bytes() for proof in self.contents))

    @classmethod
    def from_bytes(cls, data: bytes) -> PackedAggregate:
        """Inverse of `to_bytes`.

        Raises DecodeError for anything that `to_bytes` does not give: every point lies in its subgroup
        and is not the identity.
        """
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        groups = take_groups(fields)
        proofs = cut(fields.octets("proofs", length=PROOF_BYTES * sum(groups)), PROOF_BYTES)
        fields.finish()
        in_g1 = [proof[:G1_BYTES] + proof[_AFTER_A:] for proof in proofs]
        points = iter(curve_points_g1(cut(b"".join(in_g1), G1_BYTES)))
        in_g2 = curve_points_g2([proof[G1_BYTES:_AFTER_A] for proof in proofs])
        contents = tuple(Proof(next(points), b, next(points), next(points)) for b in in_g2)
        try:
            return cls(tuple(groups), contents)
        except ValueError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error


def packed_bytes(groups: Sequence[int]) -> int:
    """The size of the packed aggregate of so many proofs in each group."""
    return len(_encoded(list(groups), bytes(PROOF_BYTES * sum(groups))))


def _encoded(groups: list[int], proofs: bytes) -> bytes:
    return encode(FORMAT, VERSION, {"groups": groups, "proofs": proofs})
