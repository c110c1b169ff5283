"""The aggregator's input: proofs read one by one, checked in batches, and kept as points and encodings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import TypeAlias

from pvcnn.aggregate.batch import verify_numbered
from pvcnn.aggregate.statement_groups import MAX_GROUPS
from pvcnn.algebra.points import encode_g1
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof

#: Called with what is done ("checking" proofs, "folding" pairings), how much of it, and how much there is, 0
#: if that is not known. Always from the thread that called the aggregator.
Progress: TypeAlias = Callable[[str, int, int], object]
#: Verification keys with the proofs made under them, each with its statement attached.
ProofGroups: TypeAlias = Iterable[tuple[VerificationKey, Iterable[Proof]]]
#: Proofs that are verified together: more would save next to nothing.
_BATCH = 128


@dataclass
class Intake:
    """What is kept of the proofs that were read, about half a kilobyte and the points of each.

    groups: the digest of a verification key and the number of its proofs.  proofs: without their statements.
    """

    limit: int
    groups: list[tuple[bytes, int]] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    statements: list[bytes] = field(default_factory=list)

    @property
    def sizes(self) -> list[int]:
        """How many proofs each group has."""
        return [size for _, size in self.groups]

    def read(self, groups: ProofGroups, check: bool, progress: Progress) -> None:
        """Takes every proof of every group.

        Raises VerificationError naming the first proof that does not verify (`check`), and ValueError if
        there are none, more than `limit`, a group without any, two groups with one key, more than MAX_GROUPS
        groups, or a proof without its statement.
        """
        total = 0
        for key, proofs in groups:
            if not isinstance(key, VerificationKey):
                raise TypeError("vk must be a VerificationKey")
            if any(key.digest() == digest for digest, _ in self.groups):
                raise ValueError("two groups have the same verification key: their proofs belong into one")
            if len(self.groups) == MAX_GROUPS:
                raise ValueError(f"an aggregate has at most {MAX_GROUPS} groups")
            total = total + len(proofs) if isinstance(proofs, Sized) and total >= 0 else -1
            first = len(self.proofs)
            for batch in _batches(proofs):
                self._take(key, batch, check)
                progress("checking", len(self.proofs), max(total, 0))
            if len(self.proofs) == first:
                raise ValueError("0 proofs: a group has at least one")
            self.groups.append((key.digest(), len(self.proofs) - first))
        if not self.groups:
            raise ValueError("0 proofs: an aggregate has at least one")

    def _take(self, key: VerificationKey, batch: Sequence[Proof], check: bool) -> None:
        first = len(self.proofs)
        if first + len(batch) > self.limit:
            raise ValueError(f"more than {self.limit} proofs, which the reference string does not serve")
        statements = [proof.statement for proof in batch]
        if check:
            verify_numbered(key, statements, batch, first)
        for proof, statement in zip(batch, statements, strict=True):
            self.proofs.append(Proof(proof.a, proof.b, proof.c, proof.auxiliary_commitment))
            self.statements.append(statement.to_bytes())

    def encoded_auxiliary(self) -> list[bytes]:
        """D_aux of each proof, encoded."""
        return [encode_g1(proof.auxiliary_commitment) for proof in self.proofs]


def _batches(proofs: Iterable[Proof]) -> Iterator[list[Proof]]:
    batch: list[Proof] = []
    for proof in proofs:
        batch.append(proof)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
