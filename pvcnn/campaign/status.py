"""How far a campaign is, from its folder alone: what was done, what is missing, who comes next.

It changes nothing, believes signatures only, and says what it cannot see: whoever has DIR/public alone
does not see mail and proofs. A fault that concerns one submission is listed; one that concerns all of
them raises, as it does in the roles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from pvcnn.campaign.artefacts.cut_claims import CutClaims, claims_of
from pvcnn.campaign.artefacts.folder import (
    AGGREGATE,
    ANSWERS,
    LABELS,
    MANIFEST,
    PUBLIC_FILES,
    REFUSALS,
    REGISTRY,
    STATEMENTS,
    CampaignFolder,
    PublicFolder,
)
from pvcnn.campaign.artefacts.identity import LOG_NAME
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.outcome import FORMAT as OUTCOME_FORMAT
from pvcnn.campaign.artefacts.outcome import MAX_BYTES as MAX_OUTCOME
from pvcnn.campaign.artefacts.outcome import VERSION as OUTCOME_VERSION
from pvcnn.campaign.artefacts.signed import fingerprint
from pvcnn.campaign.artefacts.submission import Proceedings, Submission
from pvcnn.campaign.roles.cluster_ledger import ROLE as CLUSTER
from pvcnn.campaign.verification import auditor
from pvcnn.campaign.verification.report import CLUSTER_REFUSED, Verdict
from pvcnn.encoding import decode
from pvcnn.errors import CampaignError, PvcnnError
from pvcnn.files import read_bounded


class State(StrEnum):
    """How far a registered submission is."""

    UNANSWERED = "unanswered"
    REFUSED_BY_OWNER = "refused by the owner"
    UNPROVED = "unproved"
    PROVED = "proved"
    REFUSED_BY_CLUSTER = "refused by the cluster"
    FAULTY = "faulty"


@dataclass(frozen=True)
class SubmissionStatus:
    """tester: its fingerprint. reason: of a refusal or a fault. aggregated: its outcome is published."""

    index: int
    tester: str
    state: State
    reason: str = ""
    aggregated: bool = False
    label_opened: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "tester": self.tester,
            "state": str(self.state),
            "reason": self.reason,
            "aggregated": self.aggregated,
            "label_opened": self.label_opened,
        }


@dataclass(frozen=True)
class CampaignStatus:
    """What a folder shows.

    campaign, registry   hexadecimal; empty before `setup` and before `infer`
    public_files         names of the public files that are there
    setup_keys           whether the setup's keys are here, None if DIR/keys is not
    delivered            registrations in the owner's mail, None if that is not here
    proofs_here          whether DIR/proofs is
    private_roles        whose private directories are
    refusals_log         where the reasons of the cluster's refusals are, if that is here
    frames               in a submission; None before `setup`
    takes_labels         whether labels are committed to for a count, and stay closed
    verdict, fault       of `verify`, once nothing is left to do: what it found, or why it refuses
    """

    campaign: str
    registry: str
    public_files: frozenset[str]
    setup_keys: bool | None
    delivered: int | None
    proofs_here: bool
    private_roles: tuple[str, ...]
    refusals_log: Path | None
    submissions: tuple[SubmissionStatus, ...]
    frames: int | None = None
    takes_labels: bool = False
    claims: CutClaims | None = None
    verdict: Verdict | None = None
    fault: str = ""

    @property
    def aggregate_here(self) -> bool:
        return AGGREGATE.name in self.public_files

    def count(self, *states: State) -> int:
        """Submissions in one of these states."""
        return sum(each.state in states for each in self.submissions)

    @property
    def to_aggregate(self) -> int:
        """Outcomes of the cluster that are not published."""
        outcomes = (State.PROVED, State.REFUSED_BY_CLUSTER)
        return sum(each.state in outcomes and not each.aggregated for each in self.submissions)

    @property
    def settled(self) -> bool:
        """Whether every registered submission has an outcome, and all outcomes are published."""
        unfinished = self.count(State.UNANSWERED, State.UNPROVED, State.FAULTY) + self.to_aggregate
        lacks_aggregate = self.count(State.PROVED) > 0 and not self.aggregate_here
        return bool(self.submissions) and not unfinished and not lacks_aggregate

    @property
    def sound(self) -> bool:
        """Whether nothing that is here is faulty."""
        return not self.count(State.FAULTY) and not self.fault


def read_status(path: Path) -> CampaignStatus:
    """The status of the campaign in `path`, a campaign's folder or its public one.

    Raises CampaignError if there is no campaign, and DecodeError or VerificationError for a manifest or a
    registry that is none, and for files that do not belong there.
    """
    public = _find(path)
    # A public folder under another name is alone, whatever lies beside it.
    folder = CampaignFolder(public.path.parent) if public.path.name == "public" else None
    registry = ""
    manifest: Manifest | None = None
    submissions: tuple[SubmissionStatus, ...] = ()
    if public.file(REGISTRY).exists():
        proceedings = Proceedings.read(public)
        manifest, registry = proceedings.manifest, proceedings.registry.digest().hex()
        submissions = _submissions(folder, public, proceedings)
    elif public.file(MANIFEST).exists():
        manifest = Manifest.from_bytes(public.read(MANIFEST))
    status = CampaignStatus(
        campaign=manifest.campaign.hex() if manifest else "",
        registry=registry,
        public_files=frozenset(which.name for which in PUBLIC_FILES if public.file(which).exists()),
        setup_keys=folder.bare_verification_key.exists() if folder and folder.keys.is_dir() else None,
        delivered=_delivered(folder),
        proofs_here=folder is not None and folder.proofs.is_dir(),
        private_roles=_private_roles(folder),
        refusals_log=_refusals_log(folder),
        submissions=submissions,
        frames=manifest.frames if manifest else None,
        takes_labels=manifest is not None and manifest.takes_labels,
        claims=claims_of(public) if manifest else None,
    )
    return _verified(status, public) if status.settled else status


def _verified(status: CampaignStatus, public: PublicFolder) -> CampaignStatus:
    try:
        return replace(status, verdict=auditor.verify(public.path))
    except PvcnnError as error:
        return replace(status, fault=str(error))


def _find(path: Path) -> PublicFolder:
    """As `PublicFolder.find`, but also before there is a manifest."""
    folder = PublicFolder.find(path)
    if not folder.path.is_dir():
        raise CampaignError(f"{folder.path} does not exist: `pvcnn split` makes a campaign's folder")
    return folder


def _submissions(
    folder: CampaignFolder | None, public: PublicFolder, proceedings: Proceedings
) -> tuple[SubmissionStatus, ...]:
    registrations = proceedings.registry.registrations
    public.refuse_strangers(len(registrations))
    answers, statements, refusals, labels = (
        public.indices(each) for each in (ANSWERS, STATEMENTS, REFUSALS, LABELS)
    )
    found = []
    for index, registration in enumerate(registrations):
        state, reason = State.UNANSWERED, ""
        if index in answers:
            try:
                submission = proceedings.submission(public, index)
                state, reason = _state(folder, submission, index in statements, index in refusals)
            except PvcnnError as error:
                state, reason = State.FAULTY, str(error)
        aggregated = index in statements or index in refusals
        tester = fingerprint(registration.signer)
        found.append(SubmissionStatus(index, tester, state, reason, aggregated, index in labels))
    return tuple(found)


def _state(
    folder: CampaignFolder | None, submission: Submission, stated: bool, refused: bool
) -> tuple[State, str]:
    """What is published counts; before that, the cluster's outcome. Raises a PvcnnError for a faulty one."""
    if submission.answer.refused:
        return State.REFUSED_BY_OWNER, submission.answer.reason
    if not stated and not refused:
        path = folder.outcome(submission.context) if folder else None
        if path is None or not path.exists():
            return State.UNPROVED, ""
        stated = _proved(path)
    return (State.PROVED, "") if stated else (State.REFUSED_BY_CLUSTER, CLUSTER_REFUSED)


def _proved(path: Path) -> bool:
    """Whether the cluster's outcome at `path` is a proof, which is not checked here, or a refusal."""
    try:
        data = read_bounded(path, MAX_OUTCOME)
        return decode(data, OUTCOME_FORMAT, OUTCOME_VERSION, MAX_OUTCOME).boolean("proved")
    except PvcnnError as error:
        raise CampaignError(f"{path} is no outcome, remove it and prove again: {error}") from error


def _delivered(folder: CampaignFolder | None) -> int | None:
    if folder is None or not folder.mail("owner").is_dir():
        return None
    return sum(1 for _ in folder.mail("owner").glob("*.registration.cbor"))


def _private_roles(folder: CampaignFolder | None) -> tuple[str, ...]:
    """Names of the directories in DIR/private; none where that may not be read."""
    if folder is None:
        return ()
    try:
        return tuple(sorted(each.name for each in (folder.root / "private").iterdir() if each.is_dir()))
    except OSError:
        return ()


def _refusals_log(folder: CampaignFolder | None) -> Path | None:
    path = folder.root / "private" / CLUSTER / LOG_NAME if folder else None
    try:
        return path if path and path.is_file() else None
    except OSError:
        return None
