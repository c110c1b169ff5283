"""A proving worker's part of a campaign: opens answers, decrypts, runs the public part and proves.

It reads the campaign folder (a copy will do) and writes nothing but, if the cluster's private directory is
there, the proving key as its kernels want it: what it makes, the cluster's ledger checks and records. It
holds the CKKS secret key and the public part's weights and sees features, never frames or the private
part. Decrypted values leave it only as hiding commitments and decisions.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pvcnn.algebra.points import linear_combination_g1, random_scalar
from pvcnn.campaign.answer import ClusterRefusal
from pvcnn.campaign.audit_secret import AuditSecret
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.cluster_secrets import ClusterSecrets
from pvcnn.campaign.decrypting import feature_decryption
from pvcnn.campaign.folder import (
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    MANIFEST,
    PROGRAM,
    VERIFICATION_KEY,
    CampaignFolder,
)
from pvcnn.campaign.identity import Identity
from pvcnn.campaign.mail import refusal_details_info, seal
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.opened_answer import AnswerReader, open_public_part, read_label_key
from pvcnn.campaign.outcome import ClusterOutcome
from pvcnn.campaign.signed import digest_of_file, file_digest
from pvcnn.campaign.submission import Proceedings, Submission
from pvcnn.errors import DecodeError, RangeError, SubmissionRefused, VerificationError
from pvcnn.he.keys import SecretKey
from pvcnn.he.plans import read_plan
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.qmp.api import prove
from pvcnn.qmp.commitments import commit, commit_nothing, commit_weights
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.labels import LabelKey
from pvcnn.qmp.prepared_key import PreparedKey, open_proving_key
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.published import check_published_weights


@dataclass(frozen=True)
class Examined:
    """What a worker made of one submission.

    outcome   a proof or the cluster's signed refusal, encoded
    seconds   wall time by step
    details   why it was refused, sealed to the cluster itself since it may hold features; empty for a proof
    """

    outcome: bytes
    seconds: dict[str, float]
    details: bytes = b""


@dataclass(frozen=True, repr=False)
class ProverKeys:
    """What a worker opens once: it serves all campaigns under the same keys and commitments."""

    manifest: Manifest
    identity: Identity
    audit: AuditSecret
    answers: AnswerReader
    proving: PreparedKey
    public_part: PublicPart

    @classmethod
    def open(cls, directory: Path, cluster_secrets: ClusterSecrets) -> ProverKeys:
        """Opens the keys of the campaign in `directory` and checks them against its manifest.

        Its registry need not be closed. Raises CampaignError for a step that has not run,
        SubmissionRefused if the weights were not sealed for this campaign, and VerificationError if the
        manifest names another card or key, or if the weights are not the ones that D_w commits to.
        """
        folder = CampaignFolder(directory)
        manifest, identity = Manifest.from_bytes(folder.public.read(MANIFEST)), cluster_secrets.identity
        card_bytes, plan_bytes = folder.public.read(CLUSTER_CARD), folder.public.read(ENCRYPTION_PLAN)
        key_bytes, program_bytes = folder.public.read(VERIFICATION_KEY), folder.public.read(PROGRAM)
        for what, found, expected in (
            ("card of the cluster", file_digest(card_bytes), manifest.cluster_card_digest),
            ("encryption plan", file_digest(plan_bytes), manifest.encryption_plan_digest),
            ("program", file_digest(program_bytes), manifest.program_digest),
            ("verification key", file_digest(key_bytes), manifest.verification_key_digest),
            ("proving key", digest_of_file(folder.proving_key, "setup"), manifest.proving_key_digest),
        ):
            if found != expected:
                raise VerificationError(f"the manifest was signed for another {what}")
        if ClusterCard.from_bytes(card_bytes).signer != identity.signing.public:
            raise VerificationError("the card is that of another cluster")
        program = Program.from_bytes(program_bytes)
        public_part = open_public_part(folder, manifest, program, identity.sealing)
        proving_key = open_proving_key(folder.proving_key, manifest.proving_key_digest, folder.key_cache)
        weights = public_part.weights
        commitment = (
            commit_nothing(proving_key)
            if public_part.published
            else commit_weights(proving_key, weights.flat(), weights.blinding)
        )
        if proving_key.circuit_key.commit(commitment) != VerificationKey.from_bytes(key_bytes):
            raise VerificationError("the sealed weights are not those that the verification key commits to")
        if public_part.published:
            check_published_weights(proving_key.circuit_key, weights)
        plan = read_plan(plan_bytes)
        decryption_key = SecretKey.from_bytes(plan, cluster_secrets.decryption_key)
        labels = _open_label_key(folder, manifest, proving_key) if manifest.takes_labels else None
        decryption = feature_decryption(plan, decryption_key, identity.sealing)
        answers = AnswerReader(identity.sealing, decryption, plan.feature_step, program, labels)
        return cls(manifest, identity, cluster_secrets.audit, answers, proving_key, public_part)


class SubmissionProver:
    """Proves submissions of a campaign with keys that are opened once."""

    def __init__(self, folder: CampaignFolder, proceedings: Proceedings, keys: ProverKeys) -> None:
        self._folder = folder
        self._proceedings = proceedings
        self._keys = keys

    @classmethod
    def open(cls, directory: Path, cluster_secrets: ClusterSecrets) -> SubmissionProver:
        """Raises what `ProverKeys.open` and `with_keys` raise."""
        return cls.with_keys(directory, ProverKeys.open(directory, cluster_secrets))

    @classmethod
    def with_keys(cls, directory: Path, keys: ProverKeys) -> SubmissionProver:
        """For a campaign under the keys that are open already.

        Raises CampaignError if its registry is not closed, and VerificationError if its manifest names
        anything else than the one that the keys were checked against.
        """
        folder = CampaignFolder(directory)
        proceedings = Proceedings.read(folder.public)
        if not proceedings.manifest.shares_setup_with(keys.manifest):
            raise VerificationError(f"{directory} is no campaign under the keys that are open")
        return cls(folder, proceedings, keys)

    def examine(self, index: int) -> Examined:
        """Proves one submission, or refuses it under the cluster's signature if it cannot be proved.

        Raises CampaignError if the owner's answer is not there as it was signed, SubmissionRefused if the
        owner refused to answer, and ValueError for an unknown index.
        """
        submission = self._proceedings.submission(self._folder.public, index)
        if submission.answer.refused:
            raise SubmissionRefused(f"the owner refused submission {index}: {submission.answer.reason}")
        seconds: dict[str, float] = {}
        try:
            outcome = ClusterOutcome(proof=self._proof(submission, seconds))
        except (SubmissionRefused, DecodeError, RangeError) as error:
            return self._refusal(submission, seconds, error)
        return Examined(outcome.to_bytes(), seconds)

    def _proof(self, submission: Submission, seconds: dict[str, float]) -> Proof:
        keys, proceedings = self._keys, self._proceedings
        start = time.perf_counter()
        opened = keys.answers.read(self._folder.mail("cluster"), proceedings, submission)
        labels: dict[str, Any] = {}
        if opened.labels is not None:
            labels["labels"] = np.array(opened.labels.labels, np.int64)
            labels["labels_blinding"] = opened.labels.blinding
        seconds["decrypt"] = time.perf_counter() - start
        start = time.perf_counter()
        context = submission.context
        blinding = keys.audit.features_blinding(context)
        proof = prove(
            keys.proving, keys.public_part, opened.features, context, features_blinding=blinding, **labels
        )
        seconds["prove"] = time.perf_counter() - start
        return proof

    def _refusal(self, submission: Submission, seconds: dict[str, float], error: Exception) -> Examined:
        signing = self._keys.identity.signing
        refusal = ClusterRefusal(signer=signing.public, context=submission.context).signed(signing)
        reason = f"{type(error).__name__}: {error}. {getattr(error, 'details', '')}"
        sealing_key = self._keys.identity.sealing.public
        details = seal(sealing_key, reason.encode(), refusal_details_info(submission.context))
        return Examined(ClusterOutcome(refusal=refusal).to_bytes(), seconds, details)


def _open_label_key(folder: CampaignFolder, manifest: Manifest, proving_key: PreparedKey) -> LabelKey:
    """The published label key. Raises VerificationError unless its points are the proving key's.

    One commitment to random values under both shows it: other points would give another one.
    """
    key = read_label_key(folder, manifest)
    values = [secrets.randbits(62) for _ in range(key.frames)]
    blinding = random_scalar()
    expected = linear_combination_g1([*key.points, key.blinding_point], [*values, blinding])
    if commit(proving_key, "lab", np.array(values), blinding) != expected:
        raise VerificationError("the label key is not that of the proving key")
    return key
