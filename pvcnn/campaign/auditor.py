"""The verifier of a campaign: works with DIR/public alone, and needs no package but the verifier's.

Every byte of every file there is covered by a signature, a digest or the aggregate's proof, and
every signature leads back to the manifest, so no change goes unnoticed. What a verdict does not say
is in its own sentences (`pvcnn.campaign.report`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.aggregate.schemes import decode_aggregate
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.algebra.points import encode_g1
from pvcnn.campaign.answer import ClusterRefusal
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.cut_claims import read_cut_claims
from pvcnn.campaign.folder import (
    AGGREGATE,
    AGGREGATION_VERIFIER_KEY,
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    LABEL_KEY,
    LABELS,
    PROGRAM,
    REFUSALS,
    STATEMENTS,
    VERIFICATION_KEY,
    WEIGHTS,
    PublicFile,
    PublicFolder,
)
from pvcnn.campaign.label_opening import LabelOpening
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.outcome import check_labels
from pvcnn.campaign.report import CLUSTER_REFUSED, NO_OUTCOME, Outcome, Status, Verdict
from pvcnn.campaign.revealed import Kind, Revealed
from pvcnn.campaign.setup_record import setup_record
from pvcnn.campaign.signed import file_digest, fingerprint
from pvcnn.campaign.submission import Proceedings, Submission
from pvcnn.ceremony.record import CeremonyRecord
from pvcnn.errors import VerificationError
from pvcnn.he.plans import FramePlan, read_plan
from pvcnn.program.program import Program
from pvcnn.program.published import decode_published
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.labels import LabelKey, check_label_key
from pvcnn.qmp.published import check_published_weights
from pvcnn.qmp.statement import Statement


@dataclass(frozen=True)
class _Material:
    """What the manifest names, decoded and compared with it."""

    card: ClusterCard
    plan: FramePlan
    program: Program
    key: VerificationKey
    aggregation_key: AggregationVerifierKey
    revealed: Revealed
    record: CeremonyRecord | None


@dataclass(frozen=True)
class Examined:
    """A campaign in which everything holds but its proofs, which are not checked yet.

    statements: those that are to be proved under `key`, in the registry's order, as `verdict` counts them.
    """

    verdict: Verdict
    proceedings: Proceedings
    key: VerificationKey
    aggregation_key: AggregationVerifierKey
    statements: tuple[Statement, ...]


def verify(path: Path) -> Verdict:
    """Checks the campaign in `path` (a public folder, or a folder with one in it).

    Raises VerificationError if a check fails, DecodeError for a file that is malformed or does not
    belong there, and CampaignError for a missing one, with the step that writes it. A verdict whose
    `verified` is False says that every check held but nothing was proved, or that a registered
    submission has neither a proof nor a refusal.
    """
    folder = PublicFolder.find(path)
    examined = examine(folder)
    _check_aggregate(folder, examined)
    return examined.verdict


def examine(folder: PublicFolder) -> Examined:
    """As `verify`, but for the aggregate, which may be one over several campaigns."""
    proceedings = Proceedings.read(folder)
    folder.refuse_strangers(len(proceedings.registry.registrations))
    manifest = proceedings.manifest
    material = _material(folder, manifest)
    statements = {index: _statement(folder, index) for index in sorted(folder.indices(STATEMENTS))}
    refusals = {index: _refusal(folder, index, material.card) for index in folder.indices(REFUSALS)}
    outcomes = tuple(
        _examine(
            folder,
            proceedings.submission(folder, index),
            statements.get(index),
            refusals.get(index),
            material.revealed,
        )
        for index in range(len(proceedings.registry.registrations))
    )
    verdict = Verdict(
        campaign=manifest.campaign.hex(),
        owner=fingerprint(manifest.signer),
        cluster=material.card.fingerprint,
        setup_party=manifest.setup_party,
        ceremony=material.record,
        manifest_digest=manifest.digest().hex(),
        registry_digest=proceedings.registry.digest().hex(),
        revealed=material.revealed,
        weights="published" if manifest.publishes_weights else "committed",
        features=math.prod(material.program.input_shape),
        pixels=math.prod(material.plan.input_shape),
        outcomes=outcomes,
        claims=read_cut_claims(folder, manifest, material.plan),
    )
    return Examined(verdict, proceedings, material.key, material.aggregation_key, tuple(statements.values()))


def _material(folder: PublicFolder, manifest: Manifest) -> _Material:
    """Every file whose digest is in the manifest, and what the files say about each other."""

    def read(which: PublicFile, digest: bytes) -> bytes:
        data = folder.read(which)
        if file_digest(data) != digest:
            raise VerificationError(f"{which.name} is not the file that the manifest was signed for")
        return data

    program = Program.from_bytes(read(PROGRAM, manifest.program_digest))
    key = VerificationKey.from_bytes(read(VERIFICATION_KEY, manifest.verification_key_digest))
    aggregation_key = AggregationVerifierKey.from_bytes(
        read(AGGREGATION_VERIFIER_KEY, manifest.aggregation_verifier_key_digest)
    )
    material = _Material(
        ClusterCard.from_bytes(read(CLUSTER_CARD, manifest.cluster_card_digest)),
        read_plan(read(ENCRYPTION_PLAN, manifest.encryption_plan_digest)),
        program,
        key,
        aggregation_key,
        Revealed.by(program, manifest),
        setup_record(folder, manifest, key, aggregation_key),
    )
    if material.card.encryption_plan_digest != manifest.encryption_plan_digest:
        raise VerificationError("the cluster's keys were made for another encryption plan")
    if key.program_digest != material.program.digest():
        raise VerificationError("the verification key is for another program")
    if encode_g1(key.weights_commitment) != manifest.weights_commitment:
        raise VerificationError("the verification key commits to other weights than the manifest")
    if key.frames != manifest.frames or key.outputs != material.revealed.outputs:
        raise VerificationError("the verification key is for another number of frames")
    if bool(key.weights_digest) != manifest.publishes_weights:
        raise VerificationError("key and manifest disagree on whether the weights are published")
    if manifest.publishes_weights:
        check_published_weights(key, decode_published(program, read(WEIGHTS, manifest.weights_digest)))
    elif folder.file(WEIGHTS).exists():
        raise VerificationError("there are published weights, and the manifest says that they are committed")
    if key.takes_labels != manifest.takes_labels:
        raise VerificationError("the verification key takes labels that the manifest does not, or takes none")
    if manifest.takes_labels:
        _check_label_key(
            key, LabelKey.from_bytes(read(LABEL_KEY, manifest.label_key_digest)), material.revealed
        )
    elif folder.file(LABEL_KEY).exists():
        raise VerificationError("there is a label key, and nothing that takes labels")
    if math.prod(material.plan.output_shape) != math.prod(material.program.input_shape):
        raise VerificationError("the encryption plan leaves other features than the program takes")
    return material


def _check_label_key(key: VerificationKey, label_key: LabelKey, revealed: Revealed) -> None:
    check_label_key(key, label_key)
    if (label_key.frames, label_key.classes) != (revealed.frames, revealed.classes):
        raise VerificationError("the label key is for other frames or classes than the program's")


def _statement(folder: PublicFolder, index: int) -> Statement:
    return Statement.from_bytes(folder.read_indexed(STATEMENTS, index))


def _refusal(folder: PublicFolder, index: int, card: ClusterCard) -> ClusterRefusal:
    refusal = ClusterRefusal.from_bytes(folder.read_indexed(REFUSALS, index))
    if refusal.signer != card.signer:
        raise VerificationError(f"refusal {index} is not signed by the cluster")
    return refusal


def _examine(
    folder: PublicFolder,
    submission: Submission,
    statement: Statement | None,
    refusal: ClusterRefusal | None,
    revealed: Revealed,
) -> Outcome:
    """The one outcome of a submission. Raises VerificationError for a second one or a foreign context.

    The context is computed here from the registry and the owner's answer, never taken from a
    statement: a proof for another submission, tester, model, registry or campaign has another.
    """
    index, registration = submission.index, submission.registration
    found = (submission.answer.refused, statement is not None, refusal is not None)
    if sum(found) > 1:
        raise VerificationError(f"submission {index} is both refused and proved, or refused twice")
    for what, context in (
        ("statement", statement.context if statement else submission.context),
        ("refusal", refusal.context if refusal else submission.context),
    ):
        if context != submission.context:
            raise VerificationError(f"{what} {index} is for another submission, registry or campaign")
    tester = fingerprint(registration.signer)
    labels = _labels(folder, submission, revealed)
    if statement is not None:
        revealed.check(statement.outputs, f"statement {index}")
        check_labels(statement, registration)
        decisions, logits = revealed.decisions(statement.outputs), revealed.logits_of(statement.outputs)
        count = statement.outputs[0] if revealed.kind is Kind.CORRECT else None
        return Outcome(index, tester, Status.PROVED, decisions, "", labels, logits, count)
    if submission.answer.refused:
        return Outcome(index, tester, Status.REFUSED, reason=submission.answer.reason, labels=labels)
    if refusal is not None:
        return Outcome(index, tester, Status.REFUSED, reason=CLUSTER_REFUSED, labels=labels)
    return Outcome(index, tester, Status.MISSING, reason=NO_OUTCOME, labels=labels)


def _labels(folder: PublicFolder, submission: Submission, revealed: Revealed) -> tuple[int, ...] | None:
    """The labels of the submission's frames that the tester opened, if it did."""
    if not folder.indexed(LABELS, submission.index).exists():
        return None
    if revealed.kind is Kind.CORRECT:
        raise VerificationError(f"labels {submission.index} are opened, and a count has been proved of them")
    opening = LabelOpening.from_bytes(folder.read_indexed(LABELS, submission.index))
    opening.check(submission.registration, revealed.frames, revealed.classes)
    return opening.labels


def _check_aggregate(folder: PublicFolder, examined: Examined) -> None:
    """The aggregate proves the statements in the folder, in the registry's order: all and no others.

    A statement that was changed, dropped, added or moved makes it fail, since all of them, and their
    number, are hashed into its first challenge (docs/protocol.md, eq. (14)).
    """
    if examined.verdict.refused == examined.verdict.registered:
        if folder.file(AGGREGATE).exists():
            raise VerificationError("there is an aggregate, and nothing that it could prove")
        return
    aggregate = decode_aggregate(folder.read(AGGREGATE), [len(examined.statements)])
    verify_aggregate(examined.aggregation_key, examined.key, examined.statements, aggregate)
