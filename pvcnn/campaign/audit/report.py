"""What an audit found, submission by submission."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pvcnn.campaign.audit.choice import AuditChoice
from pvcnn.campaign.audit.software import Software
from pvcnn.errors import CampaignError


class Status(StrEnum):
    """Of one submission."""

    HONEST = "honest"
    DISHONEST = "dishonest"
    #: Not reproduced, by other software than the opening names: no judgement.
    UNDETERMINED = "undetermined"


@dataclass(frozen=True)
class Finding:
    """what: in words that hold nothing secret."""

    index: int
    status: Status
    what: str

    @classmethod
    def of(cls, index: int, reproduced: bool, what: str, same_software: bool = True) -> Finding:
        if reproduced:
            return cls(index, Status.HONEST, what)
        return cls(index, Status.DISHONEST if same_software else Status.UNDETERMINED, what)


@dataclass(frozen=True)
class AuditReport:
    """role: 'owner' or 'cluster'. software: what the opening names; here: what repeated it."""

    role: str
    choice: AuditChoice
    findings: tuple[Finding, ...]
    software: Software
    here: Software

    @property
    def honest(self) -> bool:
        return all(finding.status is Status.HONEST for finding in self.findings)

    @property
    def undetermined(self) -> bool:
        return any(finding.status is Status.UNDETERMINED for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "honest": self.honest,
            "record": self.choice.record.digest.hex(),
            "beacon": self.choice.beacon.hex(),
            "auditable": len(self.choice.record.auditable),
            "missing": list(self.choice.record.missing),
            "chance_of_one_lie": self.choice.chance(1),
            "findings": [
                {"index": each.index, "status": str(each.status), "what": each.what} for each in self.findings
            ],
            "software": {"opening": self.software.to_fields(), "here": self.here.to_fields()},
        }


def demand_honest(report: AuditReport) -> None:
    """Raises CampaignError if an opening would not pass: nothing is shown to anybody in vain."""
    for finding in report.findings:
        if finding.status is not Status.HONEST:
            raise CampaignError(
                f"submission {finding.index} would not pass: {finding.what}. Open it with the software that "
                "made it; nothing was written"
            )
