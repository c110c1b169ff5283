"""The compute cluster: decrypts the owner's answers, runs the public part and proves it.

It holds the CKKS secret key and the public part's weights and sees features, never frames or the
private part. Decrypted values leave it only as hiding commitments and decisions.

An owner could encrypt any function of a frame and learn a bit of it from each decision. So the cluster serves
one registry, and opens one answer for each of its submissions; it remembers which.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from pvcnn.campaign.answer import ClusterRefusal
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.folder import (
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    PROGRAM,
    VERIFICATION_KEY,
    CampaignFolder,
    publish,
    read_from_step,
)
from pvcnn.campaign.identity import SECRET_MODE, Identity, hold_to, keep_secret
from pvcnn.campaign.mail import MAX_BLOB_BYTES, answer_info, collect, weights_info
from pvcnn.campaign.outcome import MAX_BYTES as MAX_OUTCOME
from pvcnn.campaign.outcome import ClusterOutcome
from pvcnn.campaign.report import CLUSTER_REFUSED
from pvcnn.campaign.signed import digest_of_file, file_digest
from pvcnn.campaign.submission import Proceedings, Submission
from pvcnn.errors import DecodeError, RangeError, SubmissionRefused, VerificationError
from pvcnn.files import read_bounded, write_atomically, write_once
from pvcnn.he.decryption import decrypt_features, quantise
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.keys import SecretKey, generate
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import Weights
from pvcnn.qmp.api import prove
from pvcnn.qmp.commitments import commit_weights
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.proving_key import ProvingKey

ROLE = "cluster"
SECRET_KEY_NAME = "encryption_secret_key.bin"  # noqa: S105 - the name of a file
LOG_NAME = "refusals.log"
MAX_SECRET_KEY = 1 << 28


def make_keys(folder: CampaignFolder) -> ClusterCard:
    """`keygen`: draws all of the cluster's keys and publishes its card.

    Raises CampaignError if `split` has not run or the cluster has keys already.
    """
    plan_bytes = folder.public.read(ENCRYPTION_PLAN)
    encryption_plan = EncryptionPlan.from_bytes(plan_bytes)
    identity = Identity.create_in(folder.private(ROLE))
    secret_key, public_key, evaluation_keys = generate(encryption_plan)
    keep_secret(folder.private(ROLE) / SECRET_KEY_NAME, secret_key.to_bytes(encryption_plan))
    evaluation_bytes = evaluation_keys.to_bytes(encryption_plan)
    write_atomically(folder.evaluation_keys, evaluation_bytes)
    card = ClusterCard(
        signer=identity.signing.public,
        sealing_key=identity.sealing.public,
        encryption_key=public_key.to_bytes(encryption_plan),
        encryption_plan_digest=file_digest(plan_bytes),
        evaluation_keys_digest=file_digest(evaluation_bytes),
    ).signed(identity.signing)
    publish(folder.public.file(CLUSTER_CARD), card.to_bytes())
    return card


@dataclass(frozen=True, repr=False)
class _Keys:
    """What a worker holds while it proves."""

    identity: Identity
    plan: EncryptionPlan
    decryption: SecretKey
    proving: ProvingKey
    public_part: PublicPart


class ClusterRole:
    """Proves submissions of a campaign with keys that are opened once."""

    def __init__(self, folder: CampaignFolder, proceedings: Proceedings, keys: _Keys) -> None:
        self._folder = folder
        self._proceedings = proceedings
        self._keys = keys

    @classmethod
    def open(cls, directory: Path) -> ClusterRole:
        """Opens keys and checks them against the manifest.

        Raises CampaignError for a step that has not run, SubmissionRefused if the weights were not
        sealed for this campaign, and VerificationError if the manifest names another card or key, if
        the weights are not the ones that D_w commits to, or if another registry was served before.
        """
        folder = CampaignFolder(directory)
        proceedings = Proceedings.read(folder.public)
        manifest = proceedings.manifest
        identity = Identity.load_from(folder.private(ROLE), "keygen")
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
        sealed = read_from_step(folder.sealed_weights, MAX_BLOB_BYTES, "setup")
        weights = Weights.from_bytes(program, identity.sealing.open(sealed, weights_info(manifest.digest())))
        proving_key = ProvingKey.load(folder.proving_key)
        commitment = commit_weights(proving_key, weights.flat(), weights.blinding)
        if proving_key.circuit_key.commit(commitment) != VerificationKey.from_bytes(key_bytes):
            raise VerificationError("the sealed weights are not those that the verification key commits to")
        encryption_plan = EncryptionPlan.from_bytes(plan_bytes)
        secret = read_from_step(folder.private(ROLE) / SECRET_KEY_NAME, MAX_SECRET_KEY, "keygen")
        decryption_key = SecretKey.from_bytes(encryption_plan, secret)
        public_part = PublicPart(program, weights)
        hold_to(folder.remembered(ROLE) / "registry", proceedings.registry.digest(), "another registry")
        return cls(
            folder, proceedings, _Keys(identity, encryption_plan, decryption_key, proving_key, public_part)
        )

    def prove(self, index: int) -> dict[str, float]:
        """Proves one submission and returns the seconds that each step took.

        Idempotent: the first complete outcome of a context stands, and finding one takes no time.
        Raises SubmissionRefused, after leaving a signed refusal, if the answer cannot be proved: the
        reason is in the cluster's own log and nowhere else, since it may hold features. Raises
        CampaignError if the owner's answer is not there, VerificationError if another answer to this
        submission was opened before, and ValueError for an unknown index.
        """
        submission = self._proceedings.submission(self._folder.public, index)
        if submission.answer.refused:
            raise SubmissionRefused(f"the owner refused submission {index}: {submission.answer.reason}")
        path = self._folder.outcome(submission.context)
        seconds: dict[str, float] = {}
        if not path.exists():
            write_once(path, self._outcome(submission, seconds).to_bytes())
        if ClusterOutcome.from_bytes(read_bounded(path, MAX_OUTCOME)).refusal is not None:
            raise SubmissionRefused(CLUSTER_REFUSED)
        return seconds

    def _outcome(self, submission: Submission, seconds: dict[str, float]) -> ClusterOutcome:
        try:
            return ClusterOutcome(proof=self._proof(submission, seconds))
        except (SubmissionRefused, DecodeError, RangeError) as error:
            details = getattr(error, "details", "")
            self._log(f"submission {submission.index}: {type(error).__name__}: {error}. {details}")
        signing = self._keys.identity.signing
        refusal = ClusterRefusal(signer=signing.public, context=submission.context)
        return ClusterOutcome(refusal=refusal.signed(signing))

    def _proof(self, submission: Submission, seconds: dict[str, float]) -> Proof:
        keys, proceedings = self._keys, self._proceedings
        start = time.perf_counter()
        blob = collect(self._folder.mail(ROLE), submission.answer.answer_digest)
        place = (proceedings.manifest.digest(), proceedings.registry.digest(), submission.index)
        ciphertext = keys.identity.sealing.open(blob, answer_info(*place))
        opened = self._folder.remembered(ROLE) / f"answer-{submission.index:06d}"
        hold_to(opened, submission.answer.answer_digest, "another answer")
        program = keys.public_part.program
        features = quantise(
            decrypt_features(keys.plan, keys.decryption, ciphertext),
            keys.plan.feature_step,
            program.input_low,
            program.input_high,
        ).reshape(1, *program.input_shape)
        seconds["decrypt"] = time.perf_counter() - start
        start = time.perf_counter()
        proof = prove(keys.proving, keys.public_part, features, submission.context)
        seconds["prove"] = time.perf_counter() - start
        return proof

    def _log(self, line: str) -> None:
        """Appends to the cluster's own log, which may hold features: mode 0600, in private/cluster."""
        path = self._folder.private(ROLE) / LOG_NAME
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, SECRET_MODE), "a") as handle:
            handle.write(line + "\n")
