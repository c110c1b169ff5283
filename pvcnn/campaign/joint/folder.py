"""A joint folder: several campaigns, and one aggregate over all that is proved in them.

JOINT/joint.cbor               which campaigns, in which order, and under which reference string
JOINT/aggregate.cbor           the aggregate, in place of the campaigns' own
JOINT/campaigns/NAME/public/   a campaign's public folder, as it was published, without its aggregate

Nothing in it is secret, and whoever puts it together is trusted with nothing (docs/protocol.md, section
"Several campaigns in one aggregate").
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from pvcnn.campaign.artefacts.folder import AGGREGATE, PublicFolder, read_from_step
from pvcnn.campaign.artefacts.signed import DIGEST_BYTES, file_digest
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError, VerificationError
from pvcnn.qmp.keys import VerificationKey

FORMAT = "pvcnn-joint"
VERSION = 1
FILE_NAME = "joint.cbor"
MAX_CAMPAIGNS = 1 << 10
MAX_BYTES = 1 << 18

_CAMPAIGNS = "campaigns"
_PUBLIC = "public"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
#: What the rule for names is, in errors.
NAMES = "1 to 32 of a-z, 0-9 and inner dashes"

Item = TypeVar("Item")


def is_name(text: str) -> bool:
    """Whether `text` can name a campaign in a joint folder: it is a single part of a path in any case."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class Member:
    """One campaign of a joint folder: the joiner's name for it, and which campaign and registry it is.

    Digests are SHA-256 of the files. Both are checked against the folder, so that the digest of
    `joint.cbor` names one set of campaigns and registries.
    """

    name: str
    manifest_digest: bytes
    registry_digest: bytes

    @classmethod
    def of(cls, name: str, proceedings: Proceedings) -> Member:
        return cls(name, proceedings.manifest.digest(), proceedings.registry.digest())

    @classmethod
    def from_fields(cls, fields: Fields) -> Member:
        name = fields.text("name", 32)
        digests = [fields.octets(which, DIGEST_BYTES) for which in ("manifest_digest", "registry_digest")]
        fields.finish()
        return cls(name, *digests)


@dataclass(frozen=True)
class Joint:
    """The contents of `joint.cbor`. Nobody signs it: it says nothing that the folder does not show.

    members            in ascending order of their names, so that one set has one encoding
    reference_string   SHA-256 of the aggregation verifier key under which the aggregate was folded; empty if
                       it is packed

    Raises ValueError for less than two campaigns or too many, for names that are none or not in order, and
    for one manifest twice.
    """

    members: tuple[Member, ...]
    reference_string: bytes = b""

    def __post_init__(self) -> None:
        names = [member.name for member in self.members]
        if not 2 <= len(names) <= MAX_CAMPAIGNS:
            raise ValueError(f"a joint folder has 2 to {MAX_CAMPAIGNS} campaigns")
        for name in names:
            if not is_name(name):
                raise ValueError(f"{name!a} names no campaign: use {NAMES}")
        if any(first >= second for first, second in pairwise(names)):
            raise ValueError("campaigns are not in ascending order of different names")
        if len({member.manifest_digest for member in self.members}) != len(self.members):
            raise ValueError("a campaign is there twice")
        if len(self.reference_string) not in (0, DIGEST_BYTES):
            raise ValueError(f"a digest of a reference string has {DIGEST_BYTES} bytes")

    def to_bytes(self) -> bytes:
        members = [
            {
                "name": member.name,
                "manifest_digest": member.manifest_digest,
                "registry_digest": member.registry_digest,
            }
            for member in self.members
        ]
        return encode(FORMAT, VERSION, {"campaigns": members, "reference_string": self.reference_string})

    @classmethod
    def from_bytes(cls, data: bytes) -> Joint:
        """Inverse of `to_bytes`. Raises DecodeError for anything that `to_bytes` does not give."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        members = tuple(map(Member.from_fields, fields.mappings("campaigns", MAX_CAMPAIGNS)))
        reference_string = fields.octets("reference_string", max_length=DIGEST_BYTES)
        fields.finish()
        try:
            return cls(members, reference_string)
        except ValueError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error

    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return file_digest(self.to_bytes())


class JointFolder:
    """A joint folder as a verifier who has nothing else reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def is_at(cls, path: Path) -> bool:
        """Whether `path` is meant to be one: whether it has a `joint.cbor`, good or bad."""
        return os.path.lexists(path / FILE_NAME)

    @property
    def file(self) -> Path:
        return self.path / FILE_NAME

    @property
    def aggregate(self) -> Path:
        return self.path / AGGREGATE.name

    def public(self, name: str) -> PublicFolder:
        """The public folder of the campaign of that name. Raises ValueError if it is no name."""
        if not is_name(name):
            raise ValueError(f"{name!a} names no campaign")
        return PublicFolder(self.path / _CAMPAIGNS / name / _PUBLIC)

    def read(self) -> Joint:
        """`joint.cbor`. Raises CampaignError if it is missing, and DecodeError."""
        return Joint.from_bytes(read_from_step(self.file, MAX_BYTES, "join"))

    def read_aggregate(self) -> bytes:
        return read_from_step(self.aggregate, AGGREGATE.max_bytes, "join")

    def refuse_strangers(self, joint: Joint) -> None:
        """Raises unless the folder holds the two files, the named campaigns' public folders and nothing else.

        What is in the public folders is for those to say, but an aggregate of a campaign's own does not
        belong there: nothing would cover it. DecodeError for what does not belong there; VerificationError
        for a campaign that is named and not there, or the other way round.
        """
        _demand_entries(self.path, {FILE_NAME, AGGREGATE.name}, {_CAMPAIGNS})
        names = {member.name for member in joint.members}
        found = {entry.name for entry in _entries(self.path / _CAMPAIGNS)}
        if found != names:
            odd = min(found ^ names)
            what = "is there, and not named" if odd in found else "is named, and not there"
            raise VerificationError(f"campaign {odd!a} {what} in {FILE_NAME}")
        _demand_entries(self.path / _CAMPAIGNS, set(), names)
        for name in names:
            _demand_entries(self.path / _CAMPAIGNS / name, set(), {_PUBLIC})
            own = self.public(name).file(AGGREGATE)
            if os.path.lexists(own):
                raise DecodeError(f"{own} does not belong in a joint folder, which has one aggregate")


def _entries(directory: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DecodeError(f"{directory} is no directory: a joint folder has it") from error


def _demand_entries(directory: Path, files: set[str], directories: set[str]) -> None:
    """Raises DecodeError unless the directory holds nothing but these, none of them a link."""
    for entry in _entries(directory):
        known_file = entry.name in files and entry.is_file(follow_symlinks=False)
        known_directory = entry.name in directories and entry.is_dir(follow_symlinks=False)
        if not known_file and not known_directory:
            raise DecodeError(f"{directory / entry.name} does not belong in a joint folder")


def by_key(
    campaigns: Iterable[tuple[VerificationKey, Iterable[Item]]],
) -> list[tuple[VerificationKey, list[Item]]]:
    """Groups of an aggregate: what belongs to campaigns with one verification key is one group.

    Groups are in the order in which their keys first occur, and what is in a group in the order of the
    campaigns: joiner and verifier must agree on it, as it is hashed into the aggregate's challenges.
    """
    groups: dict[bytes, tuple[VerificationKey, list[Item]]] = {}
    for key, items in campaigns:
        groups.setdefault(key.digest(), (key, []))[1].extend(items)
    return list(groups.values())
