"""The aggregator: folds the cluster's proofs into one and publishes statements and refusals.

It holds nothing secret. It cannot invent a proof, and one that it leaves out is reported as missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pvcnn.aggregate.aggregator import aggregate, silent
from pvcnn.aggregate.intake import Progress
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.aggregate.schemes import AnyAggregate, Scheme, scheme_of, sizes
from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.folder import (
    AGGREGATE,
    CLUSTER_CARD,
    REFUSALS,
    STATEMENTS,
    VERIFICATION_KEY,
    CampaignFolder,
    PublicDirectory,
    read_from_step,
)
from pvcnn.campaign.artefacts.outcome import MAX_BYTES as MAX_OUTCOME
from pvcnn.campaign.artefacts.outcome import ClusterOutcome, check_outcome
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.campaign.artefacts.submission import Proceedings, Submission
from pvcnn.errors import CampaignError, PvcnnError, VerificationError
from pvcnn.files import read_bounded, write_atomically
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement_list import encode_statements

MAX_AGGREGATION_KEY = 1 << 30

#: Makes the aggregate of proofs with statements attached, at least one, in their order.
Fold: TypeAlias = Callable[[AggregationKey, VerificationKey, list[Proof]], AnyAggregate]


def fold_here(
    key: AggregationKey,
    verification_key: VerificationKey,
    proofs: list[Proof],
    scheme: Scheme = "auto",
    progress: Progress = silent,
) -> AnyAggregate:
    """Folds or packs in this process."""
    return aggregate(key, verification_key, proofs, scheme=scheme, progress=progress)


@dataclass(frozen=True)
class Aggregation:
    """Indices by what became of them, and for those that have no valid outcome, why.

    scheme            how they were aggregated; empty if nothing was aggregate_bytes   size of the aggregate's
    file raw_bytes         size of the proofs that it stands for scheme_bytes      what the aggregate's file
    has, or would have, by scheme statement_bytes   what the statements of the proofs come to without their
    contexts, which verifiers compute
    """

    proved: tuple[int, ...]
    refused: tuple[int, ...]
    missing: dict[int, str]
    scheme: Scheme | None
    aggregate_bytes: int
    raw_bytes: int
    scheme_bytes: dict[Scheme, int]
    statement_bytes: int


@dataclass(frozen=True)
class Collected:
    """What the cluster made of a campaign's submissions, by index, every outcome checked.

    refusals: the cluster's, encoded.  missing: why there is no valid outcome.
    """

    proceedings: Proceedings
    key: VerificationKey
    proofs: dict[int, Proof]
    refusals: dict[int, bytes]
    refused_by_owner: tuple[int, ...]
    missing: dict[int, str]

    @property
    def statements(self) -> dict[int, bytes]:
        """Encoded, those of the proofs."""
        return {index: proof.statement.to_bytes() for index, proof in self.proofs.items()}


def aggregate_campaign(folder: CampaignFolder, fold: Fold = fold_here) -> Aggregation:
    """Checks every proof, publishes its statement, and folds all of them into the aggregate.

    `fold` may have the aggregate made elsewhere, and vouches for it. May be run again when more proofs
    are there. Raises CampaignError if a step has not run or nothing was proved, and VerificationError for
    a file that is not what the manifest names.
    """
    aggregation_bytes = read_from_step(folder.aggregation_key, MAX_AGGREGATION_KEY, "setup")
    collected = collect(folder)
    if file_digest(aggregation_bytes) != collected.proceedings.manifest.aggregation_key_digest:
        raise VerificationError("the manifest was signed for another aggregation key")
    proofs, missing = collected.proofs, collected.missing
    if not proofs and missing:
        raise CampaignError("there is no proof to aggregate: `pvcnn prove` comes first")

    _publish_all(folder, STATEMENTS, collected.statements)
    _publish_all(folder, REFUSALS, collected.refusals)
    folded, scheme = b"", None
    if proofs:
        key = AggregationKey.from_bytes(aggregation_bytes)
        made = fold(key, collected.key, list(proofs.values()))
        folded, scheme = made.to_bytes(), scheme_of(made)
        write_atomically(folder.public.file(AGGREGATE), folded)
    return Aggregation(
        tuple(proofs),
        tuple(sorted([*collected.refused_by_owner, *collected.refusals])),
        missing,
        scheme,
        len(folded),
        sum(len(proof.to_bytes()) for proof in proofs.values()),
        sizes([len(proofs)]) if proofs else {},
        len(encode_statements([proof.statement for proof in proofs.values()])) if proofs else 0,
    )


def collect(folder: CampaignFolder) -> Collected:
    """Reads and checks the cluster's outcome of every submission.

    Raises CampaignError if a step has not run, and VerificationError for a file that is not what the
    manifest names.
    """
    public = folder.public
    proceedings = Proceedings.read(public)
    key_bytes, card_bytes = public.read(VERIFICATION_KEY), public.read(CLUSTER_CARD)
    for what, data, expected in (
        ("verification key", key_bytes, proceedings.manifest.verification_key_digest),
        ("card of the cluster", card_bytes, proceedings.manifest.cluster_card_digest),
    ):
        if file_digest(data) != expected:
            raise VerificationError(f"the manifest was signed for another {what}")
    verification_key = VerificationKey.from_bytes(key_bytes)
    cluster_key = ClusterCard.from_bytes(card_bytes).signer

    proofs: dict[int, Proof] = {}
    refusals: dict[int, bytes] = {}
    missing: dict[int, str] = {}
    refused_by_owner: list[int] = []
    for index in range(len(proceedings.registry.registrations)):
        submission = proceedings.submission(public, index)
        if submission.answer.refused:
            refused_by_owner.append(index)
            continue
        try:
            outcome = _outcome(folder, verification_key, cluster_key, submission)
        except PvcnnError as error:
            missing[index] = str(error)
            continue
        if outcome.proof is not None:
            proofs[index] = outcome.proof
        elif outcome.refusal is not None:
            refusals[index] = outcome.refusal.to_bytes()
    return Collected(proceedings, verification_key, proofs, refusals, tuple(refused_by_owner), missing)


def _outcome(
    folder: CampaignFolder, key: VerificationKey, cluster_key: bytes, submission: Submission
) -> ClusterOutcome:
    """The cluster's outcome, if it is valid for this submission. Raises a PvcnnError if not."""
    outcome = ClusterOutcome.from_bytes(read_bounded(folder.outcome(submission.context), MAX_OUTCOME))
    check_outcome(outcome, submission, key, cluster_key)
    return outcome


def _publish_all(folder: CampaignFolder, which: PublicDirectory, files: dict[int, bytes]) -> None:
    """Makes the directory hold exactly these files."""
    for index in folder.public.indices(which) - files.keys():
        folder.public.indexed(which, index).unlink()
    for index, data in files.items():
        write_atomically(folder.public.indexed(which, index), data)
