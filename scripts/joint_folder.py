"""A joint folder, several campaigns and one aggregate of all their proofs: part of the second verifier.

docs/formats.md, section "Joint folder". Whatever does not hold ends the program, see primitives.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from aggregate_equations import Group, Packed, read_aggregate, verify_aggregate
from primitives import decode, demand, well_formed

NAME = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
MEMBER = {"name": str, "manifest_digest": bytes, "registry_digest": bytes}


class JointFolder:
    """joint.cbor names the campaigns; nothing lies in the folder but what it names, and the aggregate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = entries(folder)
        well_formed(found.pop("joint.cbor", False) is False, "joint.cbor is no file")
        well_formed(found == {"aggregate.cbor": False, "campaigns": True}, "a joint folder with other files")
        joint = decode(read(folder / "joint.cbor", 1 << 18), "pvcnn-joint")
        self.members, self.string_digest = joint["campaigns"], joint["reference_string"]
        well_formed(2 <= len(self.members) <= 1 << 10, "a joint folder of one campaign or too many")
        for member in self.members:
            good = type(member) is dict and {field: type(value) for field, value in member.items()} == MEMBER
            well_formed(good and re.fullmatch(NAME, member["name"]) is not None, "a campaign without a name")
            digests = (member["manifest_digest"], member["registry_digest"])
            well_formed([len(each) for each in digests] == [32, 32], "a digest of another length")
        self.names = [member["name"] for member in self.members]
        well_formed(self.names == sorted(set(self.names)), "names that are not ascending and different")
        manifests = {member["manifest_digest"] for member in self.members}
        well_formed(len(manifests) == len(self.members), "a campaign is there twice")
        demand(entries(folder / "campaigns") == dict.fromkeys(self.names, True), "other campaigns than named")

    @staticmethod
    def is_at(folder: Path) -> bool:
        return (folder / "joint.cbor").is_symlink() or (folder / "joint.cbor").exists()

    def public_folders(self) -> list[Path]:
        """Where the campaigns are, in their order."""
        folders = [self.folder / "campaigns" / name / "public" for name in self.names]
        for public in folders:
            well_formed(entries(public.parent) == {"public": True}, f"{public.parent}: other files")
            well_formed("aggregate.cbor" not in entries(public), f"{public}: an aggregate of its own")
        return folders

    def verify(self, campaigns: Sequence[Any]) -> None:
        """Of the campaigns in `public_folders`: each by itself, then the aggregate of all."""
        groups = []
        for member, campaign in zip(self.members, campaigns, strict=True):
            print(f"campaign {member['name']}:")
            groups.append(campaign.examine())
            found = (campaign.manifest_digest, campaign.registry_digest)
            named = (member["manifest_digest"], member["registry_digest"])
            demand(found == named, "joint.cbor names another manifest or registry")
        identities = [campaign.manifest["campaign"] for campaign in campaigns]
        demand(len(identities) == len(set(identities)), "two registries of one campaign")
        uploads = [upload for campaign in campaigns for upload in campaign.uploads]
        demand(len(uploads) == len(set(uploads)), "an upload is registered in two campaigns")

        relied_on = [
            (name, campaign)
            for name, campaign in zip(self.names, campaigns, strict=True)
            if campaign.manifest["aggregation_verifier_key_digest"] == self.string_digest
        ]
        demand(bool(relied_on) == bool(self.string_digest), "the reference string of none of the campaigns")
        aggregate = read_aggregate(read(self.folder / "aggregate.cbor", 64 << 20))
        demand(isinstance(aggregate, Packed) != bool(relied_on), "a reference string too many or too few")
        string = relied_on[0][1].string if relied_on else {}  # packed aggregates take none
        verify_aggregate(aggregate, string, merged(groups))
        for name, campaign in zip(self.names, campaigns, strict=True):
            print(f"campaign {name}:\n{campaign.summary}")
        names = ", ".join(name for name, _ in relied_on)
        setups = "".join(f"\nIts {setup}" for setup in dict.fromkeys(each.setup for _, each in relied_on))
        of = f"folded under the reference string of {names}.{setups}" if names else "packed."
        print(
            f"One aggregate proves the statements of all {len(campaigns)} campaigns, {of}\nNot proved: that "
            "they belong together, that none is left out, and that their names here fit.\n"
            f"Joint digest {sha256((self.folder / 'joint.cbor').read_bytes()).hexdigest()}.\nVALID"
        )


def merged(groups: Sequence[Group]) -> list[Group]:
    """Statements of several campaigns under one key are one group, where the first of them is."""
    statements: dict[bytes, list[Any]] = {}
    keys = {group.key["digest"]: group.key for group in groups}
    for group in groups:
        statements.setdefault(group.key["digest"], []).extend(group.statements)
    return [Group(keys[digest], members) for digest, members in statements.items()]


def entries(folder: Path) -> dict[str, bool]:
    """What lies in a directory, none of it a link: whether each is a directory."""
    well_formed(folder.is_dir() and not folder.is_symlink(), f"{folder}: no directory")
    found = {}
    for path in folder.iterdir():
        kind = path.is_dir() or path.is_file()
        well_formed(kind and not path.is_symlink(), f"{path.name!a} does not belong there")
        found[path.name] = path.is_dir()
    return found


def read(path: Path, most: int) -> bytes:
    well_formed(path.stat().st_size <= most, f"{path.name} is too large")
    return path.read_bytes()
