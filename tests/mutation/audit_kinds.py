"""What roles keep for audits and show in them: openings are audited in the campaign that they are of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pvcnn.campaign.artefacts.mail import SealingKey
from pvcnn.campaign.audit.choice import AuditChoice
from pvcnn.campaign.audit.opening import AuditOpening, ClusterOpening, OwnerOpening
from pvcnn.campaign.audit.report import AuditReport
from pvcnn.campaign.roles.audit_secret import FILE_NAME, AuditSecret
from pvcnn.errors import VerificationError
from tests.mutation.samples import Samples
from tests.mutation.targets import Kind, Target

_BEACON = b"public randomness"


def _audit_secret(samples: Samples, scratch: Path) -> Target:
    path = samples.campaign.private("owner") / FILE_NAME

    def decode(data: bytes) -> AuditSecret:
        (scratch / FILE_NAME).write_bytes(data)
        return AuditSecret.load_from(scratch, "split")

    inert = (
        "the role's own secret: with any 32 bytes its answers are as good, and open to what they came from"
    )
    return Target(path.read_bytes(), decode, inert=inert)


def _opening(samples: Samples, kind: type[AuditOpening], opener: Any, audit: Any) -> Target:
    """Whatever passes the audit must be the honest opening, but for what decides nothing."""
    choice = AuditChoice.make(samples.campaign.public, _BEACON, 2)
    honest = opener(samples.campaign, choice)

    def verify(opening: AuditOpening) -> None:
        report: AuditReport = audit(samples.campaign, choice, opening)
        if not report.honest:
            raise VerificationError("not what was answered or proved")
        assert _what_counts(opening) == _what_counts(honest)

    inert = "names of software decide nothing where all comes out; likewise bits that no key or level uses"
    return Target(honest.to_bytes(), kind.from_bytes, kind.to_bytes, verify, inert=inert)


def _what_counts(opening: AuditOpening) -> AuditOpening:
    """Without the names of software, bits that X25519 ignores, and residues at primes that answers lack."""
    public = SealingKey.from_bytes(opening.sealing_key).public
    same: dict[str, Any] = {"software": None, "sealing_key": public}
    if isinstance(opening, ClusterOpening):
        same["decryption_key"] = b""
    return replace(opening, **same)


def _owner_opening(samples: Samples, scratch: Path) -> Target:
    from pvcnn.campaign.audit.owner import audit_owner, open_for_audit

    return _opening(samples, OwnerOpening, open_for_audit, audit_owner)


def _cluster_opening(samples: Samples, scratch: Path) -> Target:
    from pvcnn.campaign.audit.cluster import audit_cluster, open_for_audit

    return _opening(samples, ClusterOpening, open_for_audit, audit_cluster)


def _kind(name: str, make: Callable[[Samples, Path], Target], share: int = 100) -> Kind:
    return Kind(name, (name,), make, share, seconds=30.0)


KINDS = [
    _kind("pvcnn-audit-secret", _audit_secret),
    _kind("pvcnn-owner-audit-opening", _owner_opening, 10),
    _kind("pvcnn-cluster-audit-opening", _cluster_opening, 10),
]
