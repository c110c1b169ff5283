"""An evaluating worker's part of a campaign: the private layers on registered ciphertexts.

It reads the campaign folder and what the owner needs of DIR/private/owner: the private part, the key that
opens mail, and the secret that seeds come from. It writes nothing: what it makes, the owner's ledger signs
and publishes, once. It sees ciphertexts only, and what leaves it is sealed to the cluster that the manifest
names.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pvcnn.campaign.admission import open_upload
from pvcnn.campaign.audit_secret import AuditSecret, frame_seed
from pvcnn.campaign.batch import Batch
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.folder import (
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    MANIFEST,
    CampaignFolder,
    PublicFolder,
    read_from_step,
)
from pvcnn.campaign.identity import Identity
from pvcnn.campaign.mail import SealingKey, answer_info, seal
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.owner_ledger import ROLE, closed_proceedings
from pvcnn.campaign.owner_secrets import load_private_part
from pvcnn.campaign.signed import file_digest
from pvcnn.campaign.submission import Proceedings
from pvcnn.errors import DecodeError, SubmissionRefused, VerificationError
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.keys import EvaluationKeys, PublicKey
from pvcnn.program.private import PrivatePart

MAX_EVALUATION_KEYS = 1 << 30


@dataclass(frozen=True)
class Evaluated:
    """What an evaluator made of one submission. Exactly one of `sealed` and `reason` is not empty.

    sealed            encrypted features of all frames, sealed to the cluster
    reason            why there are none, in words that may be published
    seconds           wall time by step
    details           for the owner's own log: which frame is at fault, if one is
    features_digest   SHA-256 of what was sealed; empty for a refusal
    """

    sealed: bytes
    reason: str
    seconds: dict[str, float]
    details: str = ""
    features_digest: bytes = b""


@dataclass(frozen=True, repr=False)
class EvaluatorKeys:
    """What a worker opens once: it serves all campaigns under the same keys and commitments."""

    manifest: Manifest
    sealing_key: SealingKey
    card: ClusterCard
    evaluator: Evaluator
    audit: AuditSecret

    @classmethod
    def open(cls, directory: Path) -> EvaluatorKeys:
        """Opens the keys of the campaign in `directory`, whose registry need not be closed.

        Raises CampaignError for a step that has not run, and VerificationError for a manifest, card or
        evaluation keys that are not those of this campaign.
        """
        folder = CampaignFolder(directory)
        identity = Identity.load_from(folder.private(ROLE), "split")
        manifest = Manifest.from_bytes(folder.public.read(MANIFEST))
        if manifest.signer != identity.signing.public:
            raise VerificationError("the manifest is not signed by this owner")
        card = read_card(folder.public)
        if card.digest() != manifest.cluster_card_digest:
            raise VerificationError("the card is not that of the cluster that the manifest names")
        private = load_private_part(folder.private(ROLE))
        audit = AuditSecret.load_from(folder.private(ROLE), "split")
        return cls(manifest, identity.sealing, card, open_evaluator(folder, card, private), audit)


class SubmissionEvaluator:
    """Evaluates submissions of a campaign with keys that are opened once."""

    def __init__(self, folder: CampaignFolder, proceedings: Proceedings, keys: EvaluatorKeys) -> None:
        self._folder = folder
        self._proceedings = proceedings
        self._keys = keys

    @classmethod
    def open(cls, directory: Path) -> SubmissionEvaluator:
        """Raises what `EvaluatorKeys.open` and `with_keys` raise."""
        return cls.with_keys(directory, EvaluatorKeys.open(directory))

    @classmethod
    def with_keys(cls, directory: Path, keys: EvaluatorKeys) -> SubmissionEvaluator:
        """For a campaign under the keys that are open already.

        Raises CampaignError if no registry is closed, and VerificationError for another registry than the
        owner closed, and if the manifest names anything else than the one that the keys were checked
        against.
        """
        folder = CampaignFolder(directory)
        proceedings = closed_proceedings(folder)
        if not proceedings.manifest.shares_setup_with(keys.manifest):
            raise VerificationError(f"{directory} is no campaign under the keys that are open")
        return cls(folder, proceedings, keys)

    def evaluate(self, index: int) -> Evaluated:
        """Evaluates the private part on all frames of one submission, or says why it is refused as a whole.

        The features of one submission are the same however often they are evaluated; how they are sealed is
        not. Raises CampaignError if the upload is not there as it was registered, and ValueError for an
        unknown index.
        """
        manifest_digest, registry = self._proceedings.manifest.digest(), self._proceedings.registry
        if not 0 <= index < len(registry.registrations):
            raise ValueError(f"there is no submission {index} in the registry")
        start = time.perf_counter()
        registration = registry.registrations[index]
        seed = self._keys.audit.answer_seed(registry.digest(), index, registration.upload_digest)
        try:
            upload = open_upload(
                self._folder.mail(ROLE), self._keys.sealing_key, manifest_digest, registration
            )
            features = evaluate_upload(self._keys.evaluator, self._proceedings, index, upload, seed)
        except (SubmissionRefused, DecodeError) as error:
            seconds = {"evaluate": time.perf_counter() - start}
            return Evaluated(b"", str(error), seconds, getattr(error, "details", ""))
        encoded = features.to_bytes()
        info = answer_info(manifest_digest, registry.digest(), index)
        sealed = seal(self._keys.card.sealing_key, encoded, info)
        return Evaluated(
            sealed, "", {"evaluate": time.perf_counter() - start}, features_digest=file_digest(encoded)
        )


def evaluate_upload(
    evaluator: Evaluator, proceedings: Proceedings, index: int, upload: bytes, seed: bytes
) -> Batch:
    """What the owner answers to submission `index` with, under the answer's seed: the same for the same seed.

    upload: as its tester sealed it. Raises DecodeError and SubmissionRefused, whose `details` name the frame,
    for what is refused as a whole.
    """
    batch = Batch.from_bytes(upload)
    batch.check(proceedings.manifest)
    registry_digest = proceedings.registry.digest()
    features = []
    for frame, message in enumerate(batch.messages):
        try:
            features.append(evaluator.evaluate(message, frame_seed(seed, registry_digest, index, frame)))
        except (SubmissionRefused, DecodeError) as error:
            details = f"frame {frame}: {getattr(error, 'details', '')}"
            raise SubmissionRefused(str(error), details) from error
    return Batch(tuple(features), batch.labels)


def read_card(public: PublicFolder) -> ClusterCard:
    """The card in the folder. Raises VerificationError if its keys were made for another encryption plan."""
    card = ClusterCard.from_bytes(public.read(CLUSTER_CARD))
    if card.encryption_plan_digest != file_digest(public.read(ENCRYPTION_PLAN)):
        raise VerificationError("the cluster's keys were made for another encryption plan")
    return card


def open_evaluator(folder: CampaignFolder, card: ClusterCard, private: PrivatePart) -> Evaluator:
    """The private part under the evaluation keys that the card names. Raises VerificationError for others."""
    plan = EncryptionPlan.from_bytes(folder.public.read(ENCRYPTION_PLAN))
    return Evaluator(
        plan,
        PublicKey.from_bytes(plan, card.encryption_key),
        read_evaluation_keys(folder, card, plan),
        private,
    )


def read_evaluation_keys(folder: CampaignFolder, card: ClusterCard, plan: EncryptionPlan) -> EvaluationKeys:
    """The cluster's, as its card names them. Raises VerificationError for others."""
    data = read_from_step(folder.evaluation_keys, MAX_EVALUATION_KEYS, "keygen")
    if file_digest(data) != card.evaluation_keys_digest:
        raise VerificationError("the evaluation keys are not those on the cluster's card")
    return EvaluationKeys.from_bytes(plan, data)
