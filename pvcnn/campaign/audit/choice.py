"""Which submissions are audited: a public beacon chooses them, once everything about them is fixed.

The record is one digest of all that owner and cluster have signed or proved. It is to be written down where
others see it before the beacon is known: somebody who could still change an answer, if only the randomness of
its signature, after the beacon is known could change it until the choice is another one.

Needs none of the provers' packages.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from pvcnn.algebra.transcript import digest
from pvcnn.campaign.artefacts.answer import ClusterRefusal
from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.folder import ANSWERS, CLUSTER_CARD, REFUSALS, STATEMENTS, PublicFolder
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.campaign.artefacts.submission import Proceedings, Submission
from pvcnn.errors import CampaignError, DecodeError, VerificationError
from pvcnn.qmp.statement import Statement

MIN_BEACON_BYTES: Final = 16
MAX_BEACON_BYTES: Final = 64
_NAMED_AT_MOST = 8


@dataclass(frozen=True)
class Fixed:
    """What is published about one submission: its answer, and at most one of statement and refusal."""

    submission: Submission
    statement: Statement | None = None
    refusal: ClusterRefusal | None = None

    @property
    def settled(self) -> bool:
        """Whether there is something of it to be audited, by both roles."""
        found = (self.submission.answer.refused, self.statement is not None, self.refusal is not None)
        return sum(found) == 1

    def digests(self) -> tuple[bytes, bytes, bytes]:
        """File digests of answer, statement and the cluster's refusal; empty for those that are not there."""
        return (
            self.submission.answer.digest(),
            file_digest(self.statement.to_bytes()) if self.statement else b"",
            self.refusal.digest() if self.refusal else b"",
        )


@dataclass(frozen=True)
class AuditRecord:
    """All of a campaign that an audit is about. fixed: by index; missing: what is not settled."""

    proceedings: Proceedings
    fixed: dict[int, Fixed]
    missing: tuple[int, ...]

    @classmethod
    def read(cls, folder: PublicFolder) -> AuditRecord:
        """Checks signatures and contexts on the way, and no proof: that is what `verify` is for.

        Raises CampaignError for a missing manifest, registry or card, DecodeError and VerificationError.
        """
        proceedings = Proceedings.read(folder)
        card = ClusterCard.from_bytes(folder.read(CLUSTER_CARD))
        if card.digest() != proceedings.manifest.cluster_card_digest:
            raise VerificationError("the card is not that of the cluster that the manifest names")
        registered = range(len(proceedings.registry.registrations))
        for which in (ANSWERS, STATEMENTS, REFUSALS):
            if not folder.indices(which) <= set(registered):
                raise DecodeError(f"{which.name}: a file is of a submission that is not registered")
        answered = sorted(folder.indices(ANSWERS))
        fixed = {index: _read(folder, proceedings, card.signer, index) for index in answered}
        missing = tuple(i for i in registered if i not in fixed or not fixed[i].settled)
        return cls(proceedings, fixed, missing)

    @property
    def digest(self) -> bytes:
        """Docs/protocol.md, eq. (29)."""
        items = [
            item
            for index in range(len(self.proceedings.registry.registrations))
            for item in (self.fixed[index].digests() if index in self.fixed else (b"", b"", b""))
        ]
        manifest, registry = self.proceedings.manifest, self.proceedings.registry
        return digest("pvcnn/audit-record", manifest.digest(), registry.digest(), *items)

    @property
    def auditable(self) -> tuple[int, ...]:
        return tuple(index for index in sorted(self.fixed) if index not in self.missing)


@dataclass(frozen=True)
class AuditChoice:
    """The submissions that one beacon chooses in one record; indices: in ascending order."""

    record: AuditRecord
    beacon: bytes
    indices: tuple[int, ...]

    @classmethod
    def make(
        cls,
        folder: PublicFolder,
        beacon: bytes,
        count: int,
        *,
        record_digest: bytes | None = None,
        incomplete: bool = False,
    ) -> AuditChoice:
        """`count` of the submissions in `folder`, or all if there are fewer (docs/protocol.md, eq. (30)).

        `record_digest`: what was written down before the beacon was known. `incomplete`: submissions without
        an answer or an outcome count as such; without it they are refused. Raises ValueError for a beacon or
        count that cannot be, CampaignError for what is missing, VerificationError for another record, and as
        `AuditRecord.read` does.
        """
        if not MIN_BEACON_BYTES <= len(beacon) <= MAX_BEACON_BYTES:
            raise ValueError(f"a beacon has {MIN_BEACON_BYTES} to {MAX_BEACON_BYTES} bytes")
        if count < 1:
            raise ValueError("at least one submission is audited")
        record = AuditRecord.read(folder)
        if record_digest is not None and record_digest != record.digest:
            raise VerificationError(
                f"the campaign's record is {record.digest.hex()}, not the one given: something was changed "
                "after it was written down"
            )
        if record.missing and not incomplete:
            raise CampaignError(
                f"{_named(record.missing)} without an answer or an outcome: whoever makes them could still "
                "choose what is audited. Finish the campaign with `pvcnn aggregate`, or say --incomplete"
            )
        if not record.auditable:
            raise CampaignError(
                "there is nothing to audit yet: `pvcnn infer` and `pvcnn aggregate` come first"
            )
        return cls(record, beacon, chosen(record, beacon, count))

    @property
    def proceedings(self) -> Proceedings:
        return self.record.proceedings

    def chance(self, lies: int) -> float:
        """How likely it is that a choice of as many catches one of `lies` lies at least."""
        return chance_of_a_catch(len(self.record.auditable), len(self.indices), lies)


def chosen(record: AuditRecord, beacon: bytes, count: int) -> tuple[int, ...]:
    """The `count` auditable submissions of lowest rank, in ascending order (docs/protocol.md, eq. (30))."""
    ranks = {
        digest("pvcnn/audit-rank", beacon, record.digest, index.to_bytes(8, "little")): index
        for index in record.auditable
    }
    return tuple(sorted(ranks[rank] for rank in sorted(ranks)[:count]))


def chance_of_a_catch(submissions: int, audits: int, lies: int) -> float:
    """1 - C(n - m, k) / C(n, k): k of n submissions are audited, m of them are lies (eq. (31)).

    Raises ValueError unless 0 <= k, m <= n.
    """
    if not (0 <= audits <= submissions and 0 <= lies <= submissions):
        raise ValueError(f"of {submissions} submissions {audits} cannot be audited and {lies} be lies")
    missed = Fraction(math.comb(submissions - lies, audits), math.comb(submissions, audits))
    return float(1 - missed)


def _read(folder: PublicFolder, proceedings: Proceedings, cluster_key: bytes, index: int) -> Fixed:
    submission = proceedings.submission(folder, index)
    statement = refusal = None
    if folder.indexed(STATEMENTS, index).exists():
        statement = Statement.from_bytes(folder.read_indexed(STATEMENTS, index))
    if folder.indexed(REFUSALS, index).exists():
        refusal = ClusterRefusal.from_bytes(folder.read_indexed(REFUSALS, index))
        if refusal.signer != cluster_key:
            raise VerificationError(f"refusal {index} is not signed by the cluster")
    for outcome in (statement, refusal):
        if outcome is not None and outcome.context != submission.context:
            raise VerificationError(f"the outcome of {index} is for another submission, registry or campaign")
    if submission.answer.refused + (statement is not None) + (refusal is not None) > 1:
        raise VerificationError(f"submission {index} is both refused and proved, or refused twice")
    return Fixed(submission, statement, refusal)


def _named(indices: Collection[int]) -> str:
    shown = ", ".join(map(str, list(indices)[:_NAMED_AT_MOST]))
    more = ", ..." if len(indices) > _NAMED_AT_MOST else ""
    return f"submission{'s' if len(indices) > 1 else ''} {shown}{more} {'are' if len(indices) > 1 else 'is'}"
