"""Joint folders for tests: made, opened by both verifiers, and put together again by somebody dishonest."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pvcnn.aggregate.schemes import Scheme
from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.joint.auditor import verify_joint
from pvcnn.campaign.joint.folder import Joint, JointFolder, Member
from pvcnn.campaign.joint.joiner import Source, join
from pvcnn.errors import DecodeError, PvcnnError
from tests.aggregate import standalone

script = standalone.load_campaign()
#: Pure functions in which the second verifier spends most of its time: folders here differ in few bytes.
for _module, _name in (("primitives", "check_signature"), ("aggregate_equations", "decode_point")):
    _part = standalone.load_part(_module)
    setattr(_part, _name, cache(getattr(_part, _name)))


def sources(campaigns: dict[str, CampaignFolder], *names: str) -> list[Source]:
    """Those of the given names, or all, in this order."""
    return [Source(name, campaigns[name].root) for name in names or campaigns]


def joined(
    campaigns: dict[str, CampaignFolder], target: Path, *names: str, scheme: Scheme = "auto"
) -> JointFolder:
    join(sources(campaigns, *names), target, scheme)
    return JointFolder(target)


def package_code(folder: JointFolder) -> int:
    """As `pvcnn verify` exits: 0 valid, 1 invalid, 2 malformed or something missing."""
    try:
        return 0 if verify_joint(folder.path).verified else 1
    except DecodeError:
        return 2
    except PvcnnError as error:
        return 1 if type(error).__name__ == "VerificationError" else 2


def script_code(folder: JointFolder) -> int:
    """As the second verifier exits."""

    def verify() -> None:
        joint = script.JointFolder(folder.path)
        joint.verify([script.Campaign(public) for public in joint.public_folders()])

    return standalone.exit_code(verify)


def rewrite(folder: JointFolder, reference_string: bytes | None = None) -> None:
    """Names in joint.cbor what lies in the folder now: a dishonest joiner, who signs nothing anyway."""
    names = sorted(path.name for path in (folder.path / "campaigns").iterdir())
    members = tuple(Member.of(name, Proceedings.read(folder.public(name))) for name in names)
    string = folder.read().reference_string if reference_string is None else reference_string
    folder.file.write_bytes(Joint(members, string).to_bytes())
