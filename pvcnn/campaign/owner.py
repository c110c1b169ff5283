"""The model owner: splits the model, signs the manifest, closes the registry, answers submissions.

It holds the private layers and all weights, and sees ciphertexts only. Others can write to the campaign
folder, so the owner answers only under the registry that it closed itself, only to the cluster that its
own manifest names, and each submission only once: a further answer would carry flooding noise of its own,
and the mean of many answers has less of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.algebra.points import encode_g1
from pvcnn.campaign.admission import TurnedAway, admit, open_upload
from pvcnn.campaign.answer import MAX_REASON, Answer
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.commitments import random_salt
from pvcnn.campaign.folder import (
    AGGREGATION_VERIFIER_KEY,
    ANSWERS,
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    MANIFEST,
    PROGRAM,
    REGISTRY,
    VERIFICATION_KEY,
    CampaignFolder,
    publish,
    read_from_step,
)
from pvcnn.campaign.identity import SECRET_MODE, Identity, keep_secret
from pvcnn.campaign.mail import answer_info, post, seal, weights_info
from pvcnn.campaign.manifest import CAMPAIGN_BYTES, Manifest, check_setup_party
from pvcnn.campaign.owner_secrets import OwnerSecrets
from pvcnn.campaign.registry import Registry
from pvcnn.campaign.setup_party import FRAMES
from pvcnn.campaign.signed import digest_of_file, file_digest, fingerprint
from pvcnn.campaign.submission import Proceedings
from pvcnn.errors import CampaignError, DecodeError, SubmissionRefused, VerificationError
from pvcnn.files import read_bounded, write_atomically, write_once
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.keys import EvaluationKeys, PublicKey
from pvcnn.he.parameters import plan
from pvcnn.program.private import PrivatePart
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.qmp.commitments import commit_weights
from pvcnn.qmp.key_check import check_proving_key
from pvcnn.qmp.keys import MAX_BYTES as MAX_VERIFICATION_KEY
from pvcnn.qmp.keys import CircuitKey, VerificationKey
from pvcnn.qmp.proving_key import ProvingKey

ROLE = "owner"
MAX_EVALUATION_KEYS = 1 << 30


class OwnerRole:
    """The owner's steps on a campaign folder: `split`, the end of `setup`, and `infer`."""

    def __init__(self, folder: CampaignFolder, identity: Identity) -> None:
        self._folder = folder
        self._identity = identity

    @classmethod
    def create(cls, folder: CampaignFolder) -> OwnerRole:
        """Draws the owner's keys. Raises CampaignError if they are there already."""
        return cls(folder, Identity.create_in(folder.private(ROLE)))

    @classmethod
    def open(cls, directory: Path) -> OwnerRole:
        """Raises CampaignError if `split` has not run."""
        folder = CampaignFolder(directory)
        return cls(folder, Identity.load_from(folder.private(ROLE), "split"))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the owner's signing key, hexadecimal."""
        return fingerprint(self._identity.signing.public)

    # split

    def publish_split(self, private: PrivatePart, public: PublicPart) -> EncryptionPlan:
        """Keeps both parts, publishes program and encryption plan.

        Raises ParameterError, naming the layer, if no encryption parameters fit the private part, and
        CampaignError if the campaign has a program already.
        """
        program = public.program
        encryption_plan = plan(private, max(-program.input_low, program.input_high))
        kept = OwnerSecrets(secrets.token_bytes(CAMPAIGN_BYTES), random_salt(), private, public)
        kept.keep_in(self._folder.private(ROLE))
        publish(self._folder.public.file(ENCRYPTION_PLAN), encryption_plan.to_bytes())
        publish(self._folder.public.file(PROGRAM), program.to_bytes())
        return encryption_plan

    # setup

    def publish_manifest(self, setup_party: str = ROLE, cluster_fingerprint: str | None = None) -> Manifest:
        """Commits to the weights, seals them to the cluster, and signs the manifest.

        Comes after `keygen` and after the setup party's `run_setup`. `cluster_fingerprint` is what the
        cluster's operator says it is, obtained out of band; without it, whoever can replace the card in
        the folder gets the weights. Raises ValueError for a setup party that cannot be one, CampaignError
        for a missing file or a second manifest, and VerificationError for another card and for keys that
        are not for this program or would hide nothing.
        """
        check_setup_party(setup_party)
        public = self._folder.public
        if public.file(MANIFEST).exists():
            raise CampaignError(f"{public.file(MANIFEST)} exists already: a campaign has one manifest")
        card = self._card()
        if cluster_fingerprint is not None:
            card.check_fingerprint(cluster_fingerprint)
        verification_key = self._commit_to_weights()
        write_atomically(public.file(VERIFICATION_KEY), verification_key.to_bytes())
        manifest = Manifest(
            signer=self._identity.signing.public,
            campaign=self._secrets.campaign,
            owner_sealing_key=self._identity.sealing.public,
            setup_party=setup_party,
            frames=FRAMES,
            weights_commitment=encode_g1(verification_key.weights_commitment),
            private_commitment=self._secrets.commitment,
            program_digest=file_digest(public.read(PROGRAM)),
            verification_key_digest=file_digest(public.read(VERIFICATION_KEY)),
            aggregation_verifier_key_digest=file_digest(public.read(AGGREGATION_VERIFIER_KEY)),
            cluster_card_digest=card.digest(),
            encryption_plan_digest=file_digest(public.read(ENCRYPTION_PLAN)),
            proving_key_digest=digest_of_file(self._folder.proving_key, "setup"),
            aggregation_key_digest=digest_of_file(self._folder.aggregation_key, "setup"),
        ).signed(self._identity.signing)
        sealed = seal(
            card.sealing_key, self._secrets.public.weights.to_bytes(), weights_info(manifest.digest())
        )
        write_atomically(self._folder.sealed_weights, sealed)
        publish(public.file(MANIFEST), manifest.to_bytes())
        return manifest

    def _commit_to_weights(self) -> VerificationKey:
        """D_w, under a proving key that was checked first: a bad one could keep D_w from hiding."""
        data = read_from_step(self._folder.bare_verification_key, MAX_VERIFICATION_KEY, "setup")
        circuit_key = CircuitKey.from_bytes(data)
        key = ProvingKey.load(self._folder.proving_key)
        if key.circuit_key != circuit_key or circuit_key.program_digest != self._program.digest():
            raise VerificationError("the setup's keys are not for this program")
        check_proving_key(key)
        weights = self._secrets.public.weights
        return circuit_key.commit(commit_weights(key, weights.flat(), weights.blinding))

    # infer

    def close_registry(self, testers: Collection[bytes] | None = None) -> tuple[Registry, list[TurnedAway]]:
        """Signs the one registry, of everyone whose registration holds and who is among `testers`.

        None admits everyone. Raises CampaignError if the registry is closed already (one that was deleted
        is published again first), would be empty, or would hold more submissions than can be aggregated,
        and VerificationError for another owner's manifest.
        """
        public = self._folder.public
        if self._closed_registry.exists():
            write_once(public.file(REGISTRY), read_bounded(self._closed_registry, REGISTRY.max_bytes))
            raise CampaignError("the registry is closed already: a campaign has one registry")
        manifest = Manifest.from_bytes(public.read(MANIFEST))
        if manifest.signer != self._identity.signing.public:
            raise VerificationError("the manifest is not signed by this owner")
        manifest_digest = manifest.digest()
        box = self._folder.mail(ROLE)
        admitted, turned_away = admit(box, self._identity.sealing, manifest_digest, testers)
        if not admitted:
            raise CampaignError("there is nothing to register: `pvcnn encrypt` comes first")
        key = AggregationVerifierKey.from_bytes(public.read(AGGREGATION_VERIFIER_KEY))
        if len(admitted) > key.max_proofs:
            raise CampaignError(
                f"{len(admitted)} submissions are registered, and the setup was made for {key.max_proofs}"
            )
        registry = Registry.close(self._identity.signing, manifest_digest, admitted)
        keep_secret(self._closed_registry, registry.to_bytes())
        publish(public.file(REGISTRY), registry.to_bytes())
        return registry, turned_away

    def infer(self, index: int) -> Answer:
        """Evaluates the private part on one submission, or refuses it, and signs which.

        A submission is answered once: the owner keeps what it signed, and publishes that again if it is
        gone. Raises CampaignError if the registry is not closed, ValueError if `index` is not in it, and
        VerificationError for a registry, card or evaluation keys that are not those of this campaign.
        """
        path = self._folder.public.indexed(ANSWERS, index)
        if not path.exists():
            kept = self._folder.remembered(ROLE) / f"answer-{index:06d}.cbor"
            if not kept.exists():
                write_once(kept, self._answer(index).to_bytes(), SECRET_MODE)
            write_once(path, read_bounded(kept, ANSWERS.max_bytes))
        return self._proceedings.submission(self._folder.public, index).answer

    def _answer(self, index: int) -> Answer:
        manifest_digest, registry = self._proceedings.manifest.digest(), self._proceedings.registry
        if not 0 <= index < len(registry.registrations):
            raise ValueError(f"there is no submission {index} in the registry")
        # Opened before anything is refused: a folder at fault is no fault of the submission.
        card, evaluator = self._cluster, self._evaluator
        answer_digest, reason = b"", ""
        try:
            registration = registry.registrations[index]
            box = self._folder.mail(ROLE)
            upload = open_upload(box, self._identity.sealing, manifest_digest, registration)
            result = evaluator.evaluate(upload)
            info = answer_info(manifest_digest, registry.digest(), index)
            answer_digest = post(self._folder.mail("cluster"), seal(card.sealing_key, result, info))
        except (SubmissionRefused, DecodeError) as error:
            reason = "".join(c if c.isprintable() else "?" for c in str(error))[:MAX_REASON]
        return Answer(
            signer=self._identity.signing.public,
            manifest_digest=manifest_digest,
            registry_digest=registry.digest(),
            index=index,
            answer_digest=answer_digest,
            reason=reason,
        ).signed(self._identity.signing)

    # what the steps share

    @cached_property
    def _program(self) -> Program:
        return Program.from_bytes(self._folder.public.read(PROGRAM))

    @cached_property
    def _secrets(self) -> OwnerSecrets:
        return OwnerSecrets.load_from(self._folder.private(ROLE), self._program)

    @property
    def _closed_registry(self) -> Path:
        """The registry as the owner signed it."""
        return self._folder.remembered(ROLE) / REGISTRY.name

    @cached_property
    def _proceedings(self) -> Proceedings:
        """Manifest and registry; the latter, which names the former, is the one that this owner closed."""
        proceedings = Proceedings.read(self._folder.public)
        kept = read_from_step(self._closed_registry, REGISTRY.max_bytes, "infer")
        if proceedings.registry.to_bytes() != kept:
            raise VerificationError("the registry is not the one that this owner closed")
        return proceedings

    @cached_property
    def _cluster(self) -> ClusterCard:
        """The card that the manifest names."""
        card = self._card()
        if card.digest() != self._proceedings.manifest.cluster_card_digest:
            raise VerificationError("the card is not that of the cluster that the manifest names")
        return card

    def _card(self) -> ClusterCard:
        card = ClusterCard.from_bytes(self._folder.public.read(CLUSTER_CARD))
        if card.encryption_plan_digest != file_digest(self._folder.public.read(ENCRYPTION_PLAN)):
            raise VerificationError("the cluster's keys were made for another encryption plan")
        return card

    @cached_property
    def _evaluator(self) -> Evaluator:
        card = self._cluster
        path = self._folder.evaluation_keys
        data = read_from_step(path, MAX_EVALUATION_KEYS, "keygen")
        if file_digest(data) != card.evaluation_keys_digest:
            raise VerificationError("the evaluation keys are not those on the cluster's card")
        encryption_plan = EncryptionPlan.from_bytes(self._folder.public.read(ENCRYPTION_PLAN))
        return Evaluator(
            encryption_plan,
            PublicKey.from_bytes(encryption_plan, card.encryption_key),
            EvaluationKeys.from_bytes(encryption_plan, data),
            self._secrets.private,
        )
