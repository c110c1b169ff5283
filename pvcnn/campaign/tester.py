"""A tester: encrypts frames under the cluster's key, seals them to the owner, registers them.

It holds frames, labels and an Ed25519 identity, and learns public decisions only.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvcnn.campaign.admission import post_registration
from pvcnn.campaign.auditor import verify
from pvcnn.campaign.batch import write_batch
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.commitments import label_commitment, random_salt
from pvcnn.campaign.folder import (
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    LABELS,
    MANIFEST,
    REGISTRY,
    CampaignFolder,
)
from pvcnn.campaign.identity import Identity, keep_secret
from pvcnn.campaign.label_opening import LabelOpening
from pvcnn.campaign.mail import post, seal, upload_info
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.registration import NONCE_BYTES, Registration
from pvcnn.campaign.report import Status
from pvcnn.campaign.signed import DIGEST_BYTES, file_digest, fingerprint
from pvcnn.campaign.submission import Proceedings
from pvcnn.errors import CampaignError, VerificationError
from pvcnn.files import read_bounded, write_atomically
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.keys import PublicKey


class TesterRole:
    """One tester's steps on a campaign folder: `encrypt` and, after proving, opening its labels."""

    def __init__(self, folder: CampaignFolder, name: str, identity: Identity) -> None:
        self._folder = folder
        self._name = name
        self._private = folder.private_of_tester(name)
        self._identity = identity

    @classmethod
    def create(cls, folder: CampaignFolder, name: str) -> TesterRole:
        """Draws the tester's keys. Raises CampaignError if this tester has keys already."""
        return cls(folder, name, Identity.create_in(folder.private_of_tester(name)))

    @classmethod
    def open(cls, folder: CampaignFolder, name: str) -> TesterRole:
        """Raises CampaignError if there is no such tester."""
        return cls(folder, name, Identity.load_from(folder.private_of_tester(name), "encrypt"))

    def sibling(self, folder: CampaignFolder) -> TesterRole:
        """The same tester in another campaign."""
        return TesterRole(folder, self._name, self._identity)

    @property
    def public_key(self) -> bytes:
        """The Ed25519 key by which an owner admits this tester."""
        return self._identity.signing.public

    def encrypt(
        self,
        frame: NDArray[np.float64],
        label: int | None,
        cluster_fingerprint: str,
        owner_fingerprint: str | None = None,
    ) -> Registration:
        """`encrypt_batch` of one frame, in a campaign whose submissions have one."""
        labels = None if label is None else [label]
        return self.encrypt_batch([frame], labels, cluster_fingerprint, owner_fingerprint)

    def encrypt_batch(
        self,
        frames: Sequence[NDArray[np.float64]],
        labels: Sequence[int] | None,
        cluster_fingerprint: str,
        owner_fingerprint: str | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Registration:
        """Encrypts, seals and registers a submission: frames (channels, height, width) with labels 0 or 1.

        There must be as many frames as the manifest says. A tester who knows no labels gives None: what is
        registered then looks like the commitment to some, but is random, and nobody can open it as anything.
        `progress` is told how many frames are encrypted.

        The fingerprints are what the cluster's operator and the owner say they are, obtained out of band:
        64 hexadecimal digits. Without the owner's, a cluster that can replace the manifest can have the
        upload sealed to itself, and read the frame. Raises VerificationError if the public folder holds
        another card (whose owner could read the frame) or another owner's manifest, CampaignError for a
        missing file or a registry that is closed, RangeError for a pixel that is out of bounds, and
        ValueError for frames or labels that cannot be, or are too few or too many, and for a frame that is
        there twice.
        """
        if labels is not None and not set(labels) <= {0, 1}:
            raise ValueError("a label is 0 (real) or 1 (fake)")
        if self._folder.public.file(REGISTRY).exists():
            raise CampaignError("the registry is closed: this campaign takes no more submissions")
        manifest = Manifest.from_bytes(self._folder.public.read(MANIFEST))
        if owner_fingerprint is not None and owner_fingerprint.strip().lower() != fingerprint(
            manifest.signer
        ):
            raise VerificationError("the manifest is signed by another owner than the one given")
        _check_counts(frames, labels, manifest.frames)
        plan, encryption_key = self._encryption(manifest, cluster_fingerprint)
        messages = []
        for frame in frames:
            messages.append(encrypt_frame(plan, encryption_key, frame))
            progress(len(messages))
        return self._register(manifest, write_batch(messages), labels)

    def _register(self, manifest: Manifest, batch: bytes, labels: Sequence[int] | None) -> Registration:
        nonce = secrets.token_bytes(NONCE_BYTES)
        info = upload_info(manifest.digest(), self.public_key, nonce)
        blob = seal(manifest.owner_sealing_key, batch, info)
        upload_digest = post(self._folder.mail("owner"), blob)
        if labels is None:
            commitment = secrets.token_bytes(DIGEST_BYTES)
        else:
            opening = LabelOpening(random_salt(), tuple(labels))
            keep_secret(self._label_path(upload_digest), opening.to_bytes())
            commitment = label_commitment(opening.salt, self.public_key, labels)
        registration = Registration(
            signer=self.public_key,
            manifest_digest=manifest.digest(),
            upload_digest=upload_digest,
            nonce=nonce,
            label_commitment=commitment,
        ).signed(self._identity.signing)
        post_registration(self._folder.mail("owner"), registration)
        return registration

    def open_labels(self) -> int:
        """Publishes the labels of this tester's submissions, and says how many labels, one a frame.

        Those are opened that are proved or refused, in a campaign that verifies: whoever knew a label
        earlier could choose the decision by it. Raises CampaignError if there is no aggregate yet, and
        whatever verification raises.
        """
        public = self._folder.public
        outcomes = verify(public.path).outcomes
        opened = 0
        for outcome, registration in zip(
            outcomes, Proceedings.read(public).registry.registrations, strict=True
        ):
            index, path = outcome.index, self._label_path(registration.upload_digest)
            mine = registration.signer == self.public_key and path.exists()
            if mine and outcome.status is not Status.MISSING:
                opening = LabelOpening.from_bytes(read_bounded(path, LABELS.max_bytes))
                write_atomically(public.indexed(LABELS, index), opening.to_bytes())
                opened += len(opening.labels)
        return opened

    def _encryption(self, manifest: Manifest, cluster_fingerprint: str) -> tuple[EncryptionPlan, PublicKey]:
        """Plan and key to encrypt with, if they are those of the cluster that the tester trusts."""
        card_bytes = self._folder.public.read(CLUSTER_CARD)
        plan_bytes = self._folder.public.read(ENCRYPTION_PLAN)
        card = ClusterCard.from_bytes(card_bytes)
        card.check_fingerprint(cluster_fingerprint)
        if card.digest() != manifest.cluster_card_digest:
            raise VerificationError("the manifest was signed for another cluster")
        if not file_digest(plan_bytes) == card.encryption_plan_digest == manifest.encryption_plan_digest:
            raise VerificationError("the encryption plan is not the one that owner and cluster signed")
        plan = EncryptionPlan.from_bytes(plan_bytes)
        return plan, PublicKey.from_bytes(plan, card.encryption_key)

    def _label_path(self, upload_digest: bytes) -> Path:
        return self._private / f"label-{upload_digest.hex()}.cbor"


def _check_counts(frames: Sequence[NDArray[np.float64]], labels: Sequence[int] | None, expected: int) -> None:
    """Raises ValueError unless there are `expected` frames, all different, with a label each or none."""
    if len(frames) != expected:
        difference = expected - len(frames)
        short = f"{difference} missing" if difference > 0 else f"{-difference} too many"
        raise ValueError(f"a submission of this campaign has {expected} frames: {len(frames)} given, {short}")
    if labels is not None and len(labels) != expected:
        raise ValueError(f"{expected} frames have {expected} labels, not {len(labels)}")
    if len({frame.tobytes() for frame in frames}) != len(frames):
        raise ValueError("a frame is there twice: it would count twice")
