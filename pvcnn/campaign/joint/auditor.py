"""The verifier of a joint folder: each campaign as `auditor` does it, and one aggregate of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.aggregate.schemes import decode_aggregate, scheme_of
from pvcnn.aggregate.verifier import verify_aggregate_groups
from pvcnn.campaign.joint.folder import Joint, JointFolder, Member, by_key
from pvcnn.campaign.joint.report import JointVerdict
from pvcnn.campaign.verification.auditor import Examined, examine
from pvcnn.errors import PvcnnError, VerificationError


def verify_joint(path: Path) -> JointVerdict:
    """Checks the joint folder at `path`.

    Raises as `auditor.verify` does, with the campaign's name in front of what concerns a campaign. A verdict
    whose `verified` is False says that every check held but that a registered submission of some campaign has
    neither a proof nor a refusal.
    """
    folder = JointFolder(path)
    joint = folder.read()
    folder.refuse_strangers(joint)
    campaigns = [_examine(folder, member) for member in joint.members]
    _refuse_doubles(joint, campaigns)
    groups = by_key((campaign.key, campaign.statements) for campaign in campaigns)
    aggregate = decode_aggregate(folder.read_aggregate(), [len(statements) for _, statements in groups])
    scheme = scheme_of(aggregate)
    if (scheme == "packed") != (not joint.reference_string):
        raise VerificationError("a folded aggregate names its reference string, and a packed one has none")
    relied_on, string = _reference_string(joint, campaigns)
    verify_aggregate_groups(string, groups, aggregate)
    verdicts = [campaign.verdict for campaign in campaigns]
    return JointVerdict(
        digest=joint.digest().hex(),
        campaigns=tuple(zip((member.name for member in joint.members), verdicts, strict=True)),
        keys=len(groups),
        scheme=scheme,
        relied_on=relied_on,
    )


def _examine(folder: JointFolder, member: Member) -> Examined:
    """All that holds of a campaign apart from its proofs, of which there is at least one."""
    try:
        examined = examine(folder.public(member.name))
        if Member.of(member.name, examined.proceedings) != member:
            raise VerificationError("joint.cbor names another manifest or registry")
        if not examined.statements:
            raise VerificationError("nothing is proved in it")
    except PvcnnError as error:
        raise type(error)(f"campaign {member.name}: {error}") from error
    return examined


def _refuse_doubles(joint: Joint, campaigns: Sequence[Examined]) -> None:
    """Raises VerificationError for what would count twice, although each campaign is good by itself.

    One campaign has one manifest and one registry: with two, its owner shows two versions of it. An upload is
    sealed for one campaign, and opens in no other.
    """
    known: dict[bytes, str] = {}
    uploads: dict[bytes, str] = {}
    for member, campaign in zip(joint.members, campaigns, strict=True):
        proceedings = campaign.proceedings
        first = known.setdefault(proceedings.manifest.campaign, member.name)
        if first != member.name:
            raise VerificationError(f"{first} and {member.name} are the same campaign")
        for registration in proceedings.registry.registrations:
            first = uploads.setdefault(registration.upload_digest, member.name)
            if first != member.name:
                raise VerificationError(f"an upload is registered in both {first} and {member.name}")


def _reference_string(
    joint: Joint, campaigns: Sequence[Examined]
) -> tuple[tuple[str, ...], AggregationVerifierKey]:
    """The campaigns whose manifests name the string, and the string. It must be one of theirs.

    A packed aggregate takes none: then no campaign is named, and any string does.
    """
    if not joint.reference_string:
        return (), campaigns[0].aggregation_key
    named = {
        member.name: campaign.aggregation_key
        for member, campaign in zip(joint.members, campaigns, strict=True)
        if campaign.proceedings.manifest.aggregation_verifier_key_digest == joint.reference_string
    }
    if not named:
        raise VerificationError("the reference string is not that of any of the campaigns")
    return tuple(named), next(iter(named.values()))
