"""An evaluating worker's part of a campaign: the private layers on registered ciphertexts.

It reads the campaign folder and what the owner needs of DIR/private/owner: the private part, the key that
opens mail, and the secret that seeds come from. It writes nothing but answers to batches of frames in slots,
into the cluster's mail: what it makes, the owner's ledger signs and publishes, once. It sees ciphertexts
only, and what leaves it is sealed to the cluster that the manifest names.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pvcnn.campaign.admission import open_upload
from pvcnn.campaign.answering import (
    PrivateEvaluator,
    RowProgress,
    answer_mail,
    answering,
    seed_of,
)
from pvcnn.campaign.audit_secret import AuditSecret
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
from pvcnn.he.frame_slots.processes import ParallelEvaluator, worthwhile_processes
from pvcnn.he.keys import EvaluationKeys, PublicKey
from pvcnn.he.plans import FramePlan, read_plan
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
    plan: FramePlan
    evaluator: PrivateEvaluator
    audit: AuditSecret

    @classmethod
    def open(cls, directory: Path, processes: int | None = None) -> EvaluatorKeys:
        """Opens the keys of the campaign in `directory`, whose registry need not be closed.

        `processes` that evaluate a batch of frames in slots: None takes as many as save time.

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
        evaluator = open_evaluator(folder, card, private, processes)
        plan = read_plan(folder.public.read(ENCRYPTION_PLAN))
        return cls(manifest, identity.sealing, card, plan, evaluator, audit)


class SubmissionEvaluator:
    """Evaluates submissions of a campaign with keys that are opened once."""

    def __init__(
        self,
        folder: CampaignFolder,
        proceedings: Proceedings,
        keys: EvaluatorKeys,
        progress: RowProgress = lambda done, count: None,
    ) -> None:
        self._folder = folder
        self._proceedings = proceedings
        self._keys = keys
        answers = answer_mail(folder, folder.remembered(ROLE), proceedings, keys.card.sealing_key)
        self._answering = answering(
            keys.evaluator, proceedings, folder.mail(ROLE), keys.sealing_key, answers, progress
        )

    @classmethod
    def open(
        cls,
        directory: Path,
        processes: int | None = None,
        progress: RowProgress = lambda done, count: None,
    ) -> SubmissionEvaluator:
        """Raises what `EvaluatorKeys.open` and `with_keys` raise."""
        return cls.with_keys(directory, EvaluatorKeys.open(directory, processes), progress)

    @classmethod
    def with_keys(
        cls, directory: Path, keys: EvaluatorKeys, progress: RowProgress = lambda done, count: None
    ) -> SubmissionEvaluator:
        """For a campaign under the keys that are open already. `progress`: of batches of frames in slots.

        Raises CampaignError if no registry is closed, and VerificationError for another registry than the
        owner closed, and if the manifest names anything else than the one that the keys were checked
        against.
        """
        folder = CampaignFolder(directory)
        proceedings = closed_proceedings(folder)
        if not proceedings.manifest.shares_setup_with(keys.manifest):
            raise VerificationError(f"{directory} is no campaign under the keys that are open")
        return cls(folder, proceedings, keys, progress)

    def evaluate(self, index: int) -> Evaluated:
        """Evaluates the private part on all frames of one submission, or says why it is refused as a whole.

        The features of one submission are the same however often they are evaluated; how they are sealed is
        not. Where frames lie in slots, the first submission of a batch has all of its frames evaluated.
        Raises CampaignError if upload or batch are not there as they were registered, and ValueError for an
        unknown index.
        """
        manifest_digest, registry = self._proceedings.manifest.digest(), self._proceedings.registry
        if not 0 <= index < len(registry.registrations):
            raise ValueError(f"there is no submission {index} in the registry")
        start = time.perf_counter()
        registration = registry.registrations[index]
        try:
            upload = open_upload(
                self._folder.mail(ROLE), self._keys.sealing_key, manifest_digest, registration
            )
            seed = seed_of(self._keys.plan, self._keys.audit, registry, index, upload)
            features = self._answering.answer(index, upload, seed)
        except (SubmissionRefused, DecodeError) as error:
            seconds = {"evaluate": time.perf_counter() - start}
            return Evaluated(b"", str(error), seconds, getattr(error, "details", ""))
        encoded = features.to_bytes()
        info = answer_info(manifest_digest, registry.digest(), index)
        sealed = seal(self._keys.card.sealing_key, encoded, info)
        return Evaluated(
            sealed, "", {"evaluate": time.perf_counter() - start}, features_digest=file_digest(encoded)
        )


def read_card(public: PublicFolder) -> ClusterCard:
    """The card in the folder. Raises VerificationError if its keys were made for another encryption plan."""
    card = ClusterCard.from_bytes(public.read(CLUSTER_CARD))
    if card.encryption_plan_digest != file_digest(public.read(ENCRYPTION_PLAN)):
        raise VerificationError("the cluster's keys were made for another encryption plan")
    return card


def open_evaluator(
    folder: CampaignFolder, card: ClusterCard, private: PrivatePart, processes: int | None = None
) -> PrivateEvaluator:
    """The private part under the evaluation keys that the card names. Raises VerificationError for others.

    `processes`, for frames in slots: None takes as many as save time.
    """
    plan = read_plan(folder.public.read(ENCRYPTION_PLAN))
    public_key = PublicKey.from_bytes(plan, card.encryption_key)
    evaluation_keys = read_evaluation_keys(folder, card, plan)
    if isinstance(plan, EncryptionPlan):
        return Evaluator(plan, public_key, evaluation_keys, private)
    several = processes or worthwhile_processes(plan)
    return ParallelEvaluator(plan, public_key, evaluation_keys, private, several)


def read_evaluation_keys(folder: CampaignFolder, card: ClusterCard, plan: FramePlan) -> EvaluationKeys:
    """The cluster's, as its card names them. Raises VerificationError for others."""
    data = read_from_step(folder.evaluation_keys, MAX_EVALUATION_KEYS, "keygen")
    if file_digest(data) != card.evaluation_keys_digest:
        raise VerificationError("the evaluation keys are not those on the cluster's card")
    return EvaluationKeys.from_bytes(plan, data)
