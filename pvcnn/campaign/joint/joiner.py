"""The joiner: several campaigns and one aggregate of all their proofs, in a folder of their own.

It holds nothing secret, and is trusted with nothing but the names that it gives to campaigns.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pvcnn.aggregate.aggregator import aggregate_groups, silent
from pvcnn.aggregate.intake import Progress
from pvcnn.aggregate.packed import PackedAggregate
from pvcnn.aggregate.reference_string import (
    MAX_PROOFS,
    AggregationKey,
    padded_size,
)
from pvcnn.aggregate.schemes import AnyAggregate, Scheme, scheme_of, sizes, smallest
from pvcnn.aggregate.statement_groups import MAX_GROUPS
from pvcnn.campaign.artefacts.folder import (
    AGGREGATE,
    ANSWERS,
    LABELS,
    PUBLIC_FILES,
    REFUSALS,
    STATEMENTS,
    PublicDirectory,
    PublicFolder,
)
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.campaign.joint.auditor import verify_joint
from pvcnn.campaign.joint.folder import MAX_CAMPAIGNS, NAMES, Joint, JointFolder, Member, by_key, is_name
from pvcnn.campaign.joint.report import JointVerdict
from pvcnn.campaign.roles.aggregator import MAX_AGGREGATION_KEY
from pvcnn.campaign.roles.proved import Proved, read_proved
from pvcnn.errors import CampaignError, PvcnnError, VerificationError
from pvcnn.files import read_bounded, write_atomically
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof

_COPIED_AT_ONCE = 1 << 20
Groups = list[tuple[VerificationKey, list[Proof]]]


@dataclass(frozen=True)
class Source:
    """A campaign that is to be joined: its folder, or its public one, and its name in the joint folder."""

    name: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> Source:
        """DIR, which the campaign is named after, or NAME=DIR. Raises CampaignError for what names none."""
        name, equals, path = text.partition("=")
        if not equals or Path(text).is_dir():
            path = text
            whole = Path(text).resolve()
            name = whole.parent.name if whole.name == "public" else whole.name
        if not is_name(name):
            raise CampaignError(
                f"{name!a} cannot name a campaign in a joint folder: say NAME={path}, with {NAMES} as NAME"
            )
        return cls(name, Path(path))


@dataclass(frozen=True)
class Joined:
    """A joint folder that was written, and verified before it got its name.

    aggregate_bytes   size of the aggregate's file
    scheme_bytes      what it has, or would have, by scheme
    """

    verdict: JointVerdict
    aggregate_bytes: int
    scheme_bytes: dict[Scheme, int]


def join(
    sources: Sequence[Source], target: Path, scheme: Scheme = "auto", progress: Progress = silent
) -> Joined:
    """Writes the joint folder `target`, whole or not at all.

    What is to be folded is folded under the aggregation key of the first of `sources` that has one for as
    many proofs; "auto" packs if none has. Campaigns stand in the order of their names.

    Raises CampaignError for fewer than two campaigns, names that are none or equal, one campaign twice,
    submissions without an outcome, a campaign in which nothing is proved, too many proofs or keys, no
    aggregation key that serves them, or a `target` in use; DecodeError and VerificationError for a folder
    that is malformed or does not verify. All of them name the folder.
    """
    _check_sources(sources, target)
    campaigns: list[Proved] = []
    for done, source in enumerate(sources):
        progress("reading", done, len(sources))
        campaigns.append(_read(source))
    _refuse_twice(sources, campaigns)
    named = sorted(zip((source.name for source in sources), campaigns, strict=True), key=lambda each: each[0])
    groups = by_key((campaign.key, campaign.proofs) for _, campaign in named)
    made, string = _aggregate(groups, campaigns, scheme, progress)
    joint = Joint(tuple(Member.of(name, campaign.proceedings) for name, campaign in named), string)
    with _whole_folder_beside(target) as whole:
        folder = JointFolder(whole)
        for name, campaign in named:
            _copy_public(campaign, folder.public(name))
        write_atomically(folder.aggregate, made.to_bytes())
        write_atomically(folder.file, joint.to_bytes())
        verdict = verify_joint(whole)
    return Joined(verdict, len(made.to_bytes()), sizes(made.groups))


def _check_sources(sources: Sequence[Source], target: Path) -> None:
    """What can be said before anything is read."""
    if not 2 <= len(sources) <= MAX_CAMPAIGNS:
        raise CampaignError(f"2 to {MAX_CAMPAIGNS} campaigns can be joined, not {len(sources)}")
    paths: dict[str, Path] = {}
    for source in sources:
        if not is_name(source.name):
            raise CampaignError(f"{source.name!a} cannot name a campaign: use {NAMES}")
        if source.name in paths:
            raise CampaignError(
                f"{paths[source.name]} and {source.path} would both be named {source.name}: "
                f"say NAME={source.path}, with another NAME"
            )
        paths[source.name] = source.path
        if target.resolve().is_relative_to(source.path.resolve()):
            raise CampaignError(f"{target} would lie in {source.path}, one of the campaigns")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CampaignError(f"{target} is not an empty directory: a joint folder is never replaced")


def _read(source: Source) -> Proved:
    """The campaign with its proofs. Errors name its folder."""
    try:
        return read_proved(source.path)
    except PvcnnError as error:
        raise type(error)(f"{source.path}: {error}") from error


def _refuse_twice(sources: Sequence[Source], campaigns: Sequence[Proved]) -> None:
    known: dict[bytes, Source] = {}
    for source, campaign in zip(sources, campaigns, strict=True):
        first = known.setdefault(campaign.proceedings.manifest.campaign, source)
        if first.name != source.name:
            raise CampaignError(f"{first.path} and {source.path} are the same campaign")


def _aggregate(
    groups: Groups, campaigns: Sequence[Proved], scheme: Scheme, progress: Progress
) -> tuple[AnyAggregate, bytes]:
    """The aggregate, and the digest of the reference string that it was folded under; none if it is packed.

    Proofs were checked when they were read.
    """
    counts = [len(proofs) for _, proofs in groups]
    if len(groups) > MAX_GROUPS or sum(counts) > MAX_PROOFS:
        raise CampaignError(
            f"an aggregate has at most {MAX_PROOFS} proofs under {MAX_GROUPS} verification keys, "
            f"and these campaigns {sum(counts)} under {len(groups)}"
        )
    serving = next((each for each in campaigns if each.folds_up_to >= padded_size(sum(counts))), None)
    if scheme == "auto":
        scheme = smallest(counts, serving.folds_up_to if serving else 0)
    if scheme == "packed":
        proofs = tuple(proof for _, members in groups for proof in members)
        return PackedAggregate(tuple(counts), proofs), b""
    if serving is None or serving.aggregation_key is None:
        raise CampaignError(
            f"no campaign has keys/aggregation_key.bin for {sum(counts)} proofs: join with --scheme packed"
        )
    manifest = serving.proceedings.manifest
    data = read_bounded(serving.aggregation_key, MAX_AGGREGATION_KEY)
    if file_digest(data) != manifest.aggregation_key_digest:
        raise VerificationError(f"{serving.aggregation_key}: the manifest was signed for another one")
    key = AggregationKey.from_bytes(data)
    made = aggregate_groups(key, groups, scheme="snarkpack", check=False, progress=progress)
    assert scheme_of(made) == "snarkpack"
    return made, manifest.aggregation_verifier_key_digest


def _copy_public(campaign: Proved, target: PublicFolder) -> None:
    """All that is public of a campaign but its aggregate."""
    target.path.mkdir(parents=True)
    public = campaign.public
    for which in PUBLIC_FILES:
        if which is not AGGREGATE and public.file(which).exists():
            _copy(public.file(which), target.file(which))
    for directory in (ANSWERS, LABELS):
        _write_all(
            target, directory, {i: public.read_indexed(directory, i) for i in public.indices(directory)}
        )
    _write_all(target, STATEMENTS, campaign.statements)
    _write_all(target, REFUSALS, campaign.refusals)


def _write_all(target: PublicFolder, which: PublicDirectory, files: dict[int, bytes]) -> None:
    (target.path / which.name).mkdir()
    for index, data in files.items():
        write_atomically(target.indexed(which, index), data)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as handle:
        write_atomically(target, iter(lambda: handle.read(_COPIED_AT_ONCE), b""))


@contextmanager
def _whole_folder_beside(target: Path) -> Iterator[Path]:
    """A folder of a temporary name, which becomes `target` once it is complete, or is gone (Ctrl-C too)."""
    try:
        whole = Path(tempfile.mkdtemp(dir=target.absolute().parent, prefix=".partial-"))
    except OSError as error:
        raise CampaignError(f"cannot write {target}: {error.strerror}") from error
    try:
        yield whole
        whole.chmod(0o755)
        try:
            whole.replace(target)
        except OSError as error:
            raise CampaignError(f"cannot write {target}: {error.strerror}") from error
    finally:
        shutil.rmtree(whole, ignore_errors=True)
