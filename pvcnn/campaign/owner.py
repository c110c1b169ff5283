"""The model owner: splits the model, signs the manifest, closes the registry, answers submissions.

It holds the private layers and all weights, and sees ciphertexts only. Here its answers are made in one
process; `pvcnn.compute` spreads evaluation over many, which all come back to one ledger.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.algebra.points import encode_g1
from pvcnn.campaign.admission import TurnedAway
from pvcnn.campaign.answer import Answer
from pvcnn.campaign.answering import RowProgress
from pvcnn.campaign.audit_secret import AuditSecret
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.commitments import random_salt
from pvcnn.campaign.cut_claims import check_figures, read_cut_claims
from pvcnn.campaign.evaluator import SubmissionEvaluator, read_card
from pvcnn.campaign.folder import (
    AGGREGATION_VERIFIER_KEY,
    ENCRYPTION_PLAN,
    LABEL_KEY,
    LEAK,
    MANIFEST,
    PROGRAM,
    VERIFICATION_KEY,
    WEIGHTS,
    CampaignFolder,
    publish,
    read_from_step,
)
from pvcnn.campaign.identity import Identity
from pvcnn.campaign.mail import seal, weights_info
from pvcnn.campaign.manifest import (
    CAMPAIGN_BYTES,
    Manifest,
    check_class_names,
    check_logit_scale,
)
from pvcnn.campaign.owner_ledger import ROLE, OwnerLedger
from pvcnn.campaign.owner_secrets import OwnerSecrets
from pvcnn.campaign.registry import Registry
from pvcnn.campaign.revealed import Revealed
from pvcnn.campaign.setup_record import setup_record, who_made_keys
from pvcnn.campaign.signed import digest_of_file, file_digest, fingerprint
from pvcnn.errors import CampaignError, VerificationError
from pvcnn.files import write_atomically
from pvcnn.he.frame_slots.parameters import plan as plan_frames_in_slots
from pvcnn.he.parameters import plan
from pvcnn.he.plans import FramePlan, read_plan
from pvcnn.leak.summary import LeakSummary
from pvcnn.program.layers import Logits
from pvcnn.program.private import PrivatePart
from pvcnn.program.private_rules import broken_rules
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.published import encode_published
from pvcnn.qmp.commitments import commit_nothing, commit_weights, label_key
from pvcnn.qmp.key_check import check_proving_key
from pvcnn.qmp.keys import MAX_BYTES as MAX_VERIFICATION_KEY
from pvcnn.qmp.keys import CircuitKey, VerificationKey
from pvcnn.qmp.proving_key import ProvingKey


class OwnerRole:
    """The owner's steps on a campaign folder: `split`, the end of `setup`, and `infer`."""

    def __init__(
        self,
        folder: CampaignFolder,
        identity: Identity,
        processes: int | None = None,
        progress: RowProgress = lambda done, count: None,
    ) -> None:
        self._folder = folder
        self._identity = identity
        self._processes = processes
        self._progress = progress
        self.ledger = OwnerLedger(folder, identity)

    @classmethod
    def create(cls, folder: CampaignFolder) -> OwnerRole:
        """Draws the owner's keys. Raises CampaignError if they are there already."""
        return cls(folder, Identity.create_in(folder.private(ROLE)))

    @classmethod
    def open(
        cls,
        directory: Path,
        processes: int | None = None,
        progress: RowProgress = lambda done, count: None,
    ) -> OwnerRole:
        """Raises CampaignError if `split` has not run.

        `processes` and `progress` are for `infer` on batches of frames in slots: how many evaluate one, by
        default as many as save time, and who is told of its rows.
        """
        folder = CampaignFolder(directory)
        return cls(folder, Identity.load_from(folder.private(ROLE), "split"), processes, progress)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the owner's signing key, hexadecimal."""
        return fingerprint(self._identity.signing.public)

    # split

    def publish_split(
        self,
        private: PrivatePart,
        public: PublicPart,
        logit_scale: float | None = None,
        frames_in_slots: int | None = None,
    ) -> FramePlan:
        """Keeps both parts, publishes program and encryption plan, and weights that are to be published.

        `logit_scale`: times the program's integer logits, the network's; it is published if those are.
        `frames_in_slots`: so many frames of a tester are encrypted and evaluated together, at most; None has
        every frame by itself (docs/packings.md). Raises ParameterError, naming the layer, if no encryption
        parameters fit the private part, and CampaignError if the campaign has a program already.
        """
        program = public.program
        feature_limit = max(-program.input_low, program.input_high)
        encryption_plan: FramePlan = (
            plan(private, feature_limit)
            if frames_in_slots is None
            else plan_frames_in_slots(private, frames_in_slots, feature_limit)
        )
        scale = logit_scale if isinstance(program.output, Logits) else None
        if scale is not None:
            check_logit_scale(scale)
        kept = OwnerSecrets(secrets.token_bytes(CAMPAIGN_BYTES), random_salt(), private, public, scale)
        kept.keep_in(self._folder.private(ROLE))
        AuditSecret.draw().keep_in(self._folder.private(ROLE))
        publish(self._folder.public.file(ENCRYPTION_PLAN), encryption_plan.to_bytes())
        publish(self._folder.public.file(PROGRAM), program.to_bytes())
        if public.published:
            publish(self._folder.public.file(WEIGHTS), encode_published(public.weights))
        return encryption_plan

    # setup

    def publish_manifest(
        self,
        setup_party: str | None = None,
        cluster_fingerprint: str | None = None,
        frames: int | None = None,
        class_names: Sequence[str] = (),
        leak: LeakSummary | None = None,
    ) -> Manifest:
        """Commits to the weights, seals them to the cluster, and signs the manifest.

        Comes after `keygen` and after the setup party's `run_setup` or, where a ceremony made the keys,
        `adopt_keys`: its record is checked against the keys here, its transcript is not. `setup_party` is who
        ran the setup, by default the owner, and nobody after a ceremony. `cluster_fingerprint` is what the
        cluster's operator says it is, obtained out of band; without it, whoever can replace the card in
        the folder gets the weights. `frames`, if given, is the number of frames in a submission that owner
        and setup party have agreed on. `class_names` are all classes' names in their order, or none.
        `leak`, what attacks on this cut found, is published for testers; that a cut fails a rule is said
        in any case (`pvcnn.campaign.cut_claims`). Raises ValueError for a setup
        party that cannot be one, and for names that are not those, CampaignError for a missing file or a
        second manifest, and VerificationError for another card, for figures of another cut, and for keys
        that are not for this program, are for submissions of another size, or would hide nothing.
        """
        public = self._folder.public
        party, ceremony_digest = who_made_keys(public, setup_party, ROLE)
        if public.file(MANIFEST).exists():
            raise CampaignError(f"{public.file(MANIFEST)} exists already: a campaign has one manifest")
        card = read_card(public)
        if cluster_fingerprint is not None:
            card.check_fingerprint(cluster_fingerprint)
        check_class_names(class_names)
        encryption_plan = read_plan(public.read(ENCRYPTION_PLAN))
        if leak is not None:
            check_figures(leak, encryption_plan)
        verification_key, label_key = self._commit_to_weights()
        if frames not in (None, verification_key.frames):
            raise VerificationError(
                f"the setup's keys are for submissions of {verification_key.frames} frames, not {frames}"
            )
        write_atomically(public.file(VERIFICATION_KEY), verification_key.to_bytes())
        manifest = Manifest(
            signer=self._identity.signing.public,
            campaign=self._secrets.campaign,
            owner_sealing_key=self._identity.sealing.public,
            setup_party=party,
            frames=verification_key.frames,
            weights_commitment=encode_g1(verification_key.weights_commitment),
            private_commitment=self._secrets.commitment,
            program_digest=file_digest(public.read(PROGRAM)),
            verification_key_digest=file_digest(public.read(VERIFICATION_KEY)),
            aggregation_verifier_key_digest=file_digest(public.read(AGGREGATION_VERIFIER_KEY)),
            cluster_card_digest=card.digest(),
            encryption_plan_digest=file_digest(public.read(ENCRYPTION_PLAN)),
            proving_key_digest=digest_of_file(self._folder.proving_key, "setup"),
            aggregation_key_digest=digest_of_file(self._folder.aggregation_key, "setup"),
            class_names=tuple(class_names),
            logit_scale=self._secrets.logit_scale,
            weights_digest=file_digest(public.read(WEIGHTS)) if self._secrets.public.published else b"",
            label_key_digest=file_digest(label_key) if label_key else b"",
            ceremony_digest=ceremony_digest,
            leak_digest=b"" if leak is None else file_digest(leak.to_bytes()),
            broken_rules=self._broken_rules(),
        ).signed(self._identity.signing)
        _check_reading(self._program, manifest)
        strings = AggregationVerifierKey.from_bytes(public.read(AGGREGATION_VERIFIER_KEY))
        setup_record(public, manifest, verification_key, strings)
        if label_key:
            write_atomically(public.file(LABEL_KEY), label_key)
        if leak is None:
            public.file(LEAK).unlink(missing_ok=True)  # left by an interruption
        else:
            write_atomically(public.file(LEAK), leak.to_bytes())
        read_cut_claims(public, manifest, encryption_plan)
        self._publish_manifest(self._folder, card, manifest)
        return manifest

    def begin_sibling(self, folder: CampaignFolder) -> OwnerLedger:
        """Signs the manifest of a further campaign under this one's split, keys and commitments.

        `folder` comes from `CampaignFolder.create_sibling`. The manifest differs from this campaign's in
        its random name only, so nothing is checked or committed to anew. The owner's secrets stay here;
        what it closes and signs in the other campaign is remembered there. Raises CampaignError if this
        campaign has no manifest or the other one has, and VerificationError if this campaign's manifest is
        not the one that this owner signed for it.
        """
        ours = Manifest.from_bytes(self._folder.public.read(MANIFEST))
        if ours.signer != self._identity.signing.public or ours.campaign != self._secrets.campaign:
            raise VerificationError("the manifest is not the one that this owner signed for this campaign")
        card = read_card(self._folder.public)
        if card.digest() != ours.cluster_card_digest:
            raise VerificationError("the card is not that of the cluster that the manifest names")
        manifest = replace(ours, campaign=secrets.token_bytes(CAMPAIGN_BYTES)).signed(self._identity.signing)
        self._publish_manifest(folder, card, manifest)
        return OwnerLedger(folder, self._identity)

    def _publish_manifest(self, folder: CampaignFolder, card: ClusterCard, manifest: Manifest) -> None:
        """Weights that are committed go first, sealed: a manifest that is there can be proved under."""
        if not manifest.publishes_weights:
            weights = self._secrets.public.weights.to_bytes()
            sealed = seal(card.sealing_key, weights, weights_info(manifest.digest()))
            write_atomically(folder.sealed_weights, sealed)
        publish(folder.public.file(MANIFEST), manifest.to_bytes())

    def _broken_rules(self) -> tuple[str, ...]:
        private = self._secrets.private
        return tuple(broken_rules(private.layers, private.input_shape, private.output_shape))

    def _commit_to_weights(self) -> tuple[VerificationKey, bytes]:
        """D_w, under a proving key that was checked first: a bad one could keep D_w from hiding.

        Where weights are published, the key must name them, and D_w commits to nothing.
        And what testers commit to labels with, encoded, if the program takes labels.
        """
        data = read_from_step(self._folder.bare_verification_key, MAX_VERIFICATION_KEY, "setup")
        circuit_key = CircuitKey.from_bytes(data)
        key = ProvingKey.load(self._folder.proving_key)
        if key.circuit_key != circuit_key or circuit_key.program_digest != self._program.digest():
            raise VerificationError("the setup's keys are not for this program")
        public = self._secrets.public
        weights = public.weights
        if circuit_key.weights_digest != (weights.published_digest() if public.published else b""):
            raise VerificationError(
                "the setup's keys are for other weights, or hide or publish them otherwise"
            )
        check_proving_key(key)
        labels = label_key(key, self._program).to_bytes() if circuit_key.takes_labels else b""
        if public.published:
            return circuit_key.commit(commit_nothing(key)), labels
        return circuit_key.commit(commit_weights(key, weights.flat(), weights.blinding)), labels

    # infer

    def close_registry(self, testers: Collection[bytes] | None = None) -> tuple[Registry, list[TurnedAway]]:
        """Signs the one registry: see `OwnerLedger.close_registry`."""
        return self.ledger.close_registry(testers)

    def open_evaluator(self) -> None:
        """Opens what `infer` needs, as it does itself the first time; raises what that raises."""
        _ = self._evaluator

    def infer(self, index: int) -> Answer:
        """Evaluates the private part on one submission, or refuses it, and signs which.

        A submission is answered once: the owner keeps what it signed, and publishes that again if it is
        gone. Raises CampaignError if the registry is not closed, ValueError if `index` is not in it, and
        VerificationError for a registry, card or evaluation keys that are not those of this campaign.
        """
        answer = self.ledger.answered(index)
        if answer is not None:
            return answer
        evaluated = self._evaluator.evaluate(index)
        return self.ledger.record(
            index,
            evaluated.sealed,
            evaluated.reason,
            evaluated.details,
            features_digest=evaluated.features_digest,
        )

    @cached_property
    def _evaluator(self) -> SubmissionEvaluator:
        return SubmissionEvaluator.open(self._folder.root, self._processes, self._progress)

    # what the steps share

    @cached_property
    def _program(self) -> Program:
        return Program.from_bytes(self._folder.public.read(PROGRAM))

    @cached_property
    def _secrets(self) -> OwnerSecrets:
        return OwnerSecrets.load_from(self._folder.private(ROLE), self._program)


def _check_reading(program: Program, manifest: Manifest) -> None:
    """Raises ValueError if nobody could read the program's outputs by this manifest."""
    try:
        Revealed.by(program, manifest)
    except VerificationError as error:
        raise ValueError(str(error)) from error
