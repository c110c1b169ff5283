"""A tester: encrypts frames under the cluster's key, seals them to the owner, registers them.

It holds frames, labels and an Ed25519 identity, and learns public decisions only.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.points import random_scalar
from pvcnn.campaign.admission import post_registration
from pvcnn.campaign.auditor import verify
from pvcnn.campaign.batch import Batch
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.commitments import label_commitment, random_salt
from pvcnn.campaign.cut_claims import CutClaims, claims_of, read_cut_claims
from pvcnn.campaign.encrypting import frame_encryption
from pvcnn.campaign.folder import (
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    LABEL_KEY,
    LABELS,
    MANIFEST,
    PROGRAM,
    REGISTRY,
    VERIFICATION_KEY,
    CampaignFolder,
)
from pvcnn.campaign.identity import Identity, keep_secret
from pvcnn.campaign.label_opening import LabelOpening
from pvcnn.campaign.mail import post, seal, upload_info
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.registration import NONCE_BYTES, Registration
from pvcnn.campaign.report import Status
from pvcnn.campaign.revealed import Revealed
from pvcnn.campaign.sealed_labels import CommittedLabels
from pvcnn.campaign.signed import DIGEST_BYTES, file_digest, fingerprint
from pvcnn.campaign.submission import Proceedings
from pvcnn.errors import CampaignError, VerificationError
from pvcnn.files import read_bounded, write_atomically
from pvcnn.he.keys import PublicKey
from pvcnn.he.plans import FramePlan, read_plan
from pvcnn.program.program import Program
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.labels import LabelKey, check_label_key


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

    def cut_claims(self) -> CutClaims:
        """What the owner says that the cluster gets out of features: to be read before encrypting.

        Raises VerificationError, as encrypting does, for figures of another cut and for what the owner
        conceals; DecodeError and CampaignError for malformed and missing files.
        """
        return claims_of(self._folder.public)

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
        """Encrypts, seals and registers a submission: frames (channels, height, width) with their labels.

        There must be as many frames as the manifest says. `progress` is told how many frames are encrypted.
        Raises as `encrypt_frames` does.
        """
        manifest = self._open_manifest(owner_fingerprint)
        _check_counts(frames, labels, manifest.frames)
        (registration,) = self._encrypt(manifest, frames, labels, cluster_fingerprint, progress)
        return registration

    def encrypt_frames(
        self,
        frames: Sequence[NDArray[np.float64]],
        labels: Sequence[int] | None,
        cluster_fingerprint: str,
        owner_fingerprint: str | None = None,
        progress: Callable[[int], None] = lambda done: None,
        processes: int | None = None,
    ) -> list[Registration]:
        """Encrypts, seals and registers submissions of as many frames (channels, height, width) as the
        manifest says, in their order: of several where frames lie in slots, else of one.

        A label is a class, counted from 0. A tester who
        knows none gives None: what is registered then looks like the commitment to some, but is random, and
        nobody can open it as anything. Where a count of correct decisions is proved there must be labels:
        they are committed to, and go to the cluster, sealed, within the upload. `progress` is told how many
        frames are encrypted; `processes` encrypt a batch of frames in slots, by default as many as save time.

        The fingerprints are what the cluster's operator and the owner say they are, obtained out of band:
        64 hexadecimal digits. Without the owner's, a cluster that can replace the manifest can have the
        upload sealed to itself, and read the frame. Raises VerificationError if the public folder holds
        another card (whose owner could read the frame), another owner's manifest, or one whose word on what
        features give away is of another cut (`cut_claims`), CampaignError for a
        missing file or a registry that is closed, RangeError for a pixel that is out of bounds, and
        ValueError for frames or labels that cannot be, or are too few or too many, and for a frame that is
        there twice.
        """
        manifest = self._open_manifest(owner_fingerprint)
        return self._encrypt(manifest, frames, labels, cluster_fingerprint, progress, processes)

    def _open_manifest(self, owner_fingerprint: str | None) -> Manifest:
        if self._folder.public.file(REGISTRY).exists():
            raise CampaignError("the registry is closed: this campaign takes no more submissions")
        manifest = Manifest.from_bytes(self._folder.public.read(MANIFEST))
        if owner_fingerprint is not None and owner_fingerprint.strip().lower() != fingerprint(
            manifest.signer
        ):
            raise VerificationError("the manifest is signed by another owner than the one given")
        return manifest

    def _encrypt(
        self,
        manifest: Manifest,
        frames: Sequence[NDArray[np.float64]],
        labels: Sequence[int] | None,
        cluster_fingerprint: str,
        progress: Callable[[int], None],
        processes: int | None = None,
    ) -> list[Registration]:
        plan, encryption_key, sealing_key = self._encryption(manifest, cluster_fingerprint)
        box = self._folder.mail("owner")
        encryption = frame_encryption(plan, encryption_key, box, manifest, self.public_key, processes)
        _check_counts(frames, labels, manifest.frames, several=encryption.together)
        self._check_labels(labels, manifest)
        messages = encryption.messages(frames, progress)
        made = []
        for first in range(0, len(frames), manifest.frames):
            own = slice(first, first + manifest.frames)
            own_labels = None if labels is None else labels[own]
            made.append(self._submit(manifest, tuple(messages[own]), own_labels, sealing_key))
        return made

    def _submit(
        self,
        manifest: Manifest,
        messages: tuple[bytes, ...],
        labels: Sequence[int] | None,
        sealing_key: bytes,
    ) -> Registration:
        """Seals and registers one submission. sealing_key: the cluster's, for labels."""
        if not manifest.takes_labels:
            return self._register(manifest, Batch(messages).to_bytes(), labels)
        assert labels is not None  # `_check_labels`
        committed = CommittedLabels(tuple(labels), random_scalar())
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = committed.sealed(sealing_key, manifest.digest(), self.public_key, nonce)
        commitment = committed.commitment(self._label_key(manifest))
        upload_digest = self._post(manifest, Batch(messages, sealed).to_bytes(), nonce)
        keep_secret(self._label_path(upload_digest), committed.to_bytes())
        return self._sign(manifest, upload_digest, nonce, commitment)

    def _register(self, manifest: Manifest, batch: bytes, labels: Sequence[int] | None) -> Registration:
        """With labels that can be opened, or none."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        upload_digest = self._post(manifest, batch, nonce)
        if labels is None:
            return self._sign(manifest, upload_digest, nonce, secrets.token_bytes(DIGEST_BYTES))
        opening = LabelOpening(random_salt(), tuple(labels))
        keep_secret(self._label_path(upload_digest), opening.to_bytes())
        commitment = label_commitment(opening.salt, self.public_key, labels)
        return self._sign(manifest, upload_digest, nonce, commitment)

    def _post(self, manifest: Manifest, batch: bytes, nonce: bytes) -> bytes:
        """Seals a batch to the owner; returns the blob's digest."""
        info = upload_info(manifest.digest(), self.public_key, nonce)
        return post(self._folder.mail("owner"), seal(manifest.owner_sealing_key, batch, info))

    def _sign(
        self, manifest: Manifest, upload_digest: bytes, nonce: bytes, commitment: bytes
    ) -> Registration:
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
        if Manifest.from_bytes(public.read(MANIFEST)).takes_labels:
            raise CampaignError("labels of this campaign stay closed: how many are right has been proved")
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

    def read_labels(self, names: Sequence[str]) -> list[int]:
        """The classes that are called so, by name or by number. Raises ValueError for one that is none."""
        return list(map(self._revealed(Manifest.from_bytes(self._folder.public.read(MANIFEST))).label, names))

    def _check_labels(self, labels: Sequence[int] | None, manifest: Manifest) -> None:
        if labels is None:
            if manifest.takes_labels:
                raise ValueError("this campaign proves how many decisions are right: it takes labels")
            return
        classes = self._revealed(manifest).classes
        for label in labels:
            if not 0 <= label < classes:
                raise ValueError(f"label {label} is no class from 0 to {classes - 1}")

    def _revealed(self, manifest: Manifest) -> Revealed:
        program = self._folder.public.read(PROGRAM)
        if file_digest(program) != manifest.program_digest:
            raise VerificationError("the manifest was signed for another program")
        return Revealed.by(Program.from_bytes(program), manifest)

    def _label_key(self, manifest: Manifest) -> LabelKey:
        data = self._folder.public.read(LABEL_KEY)
        if file_digest(data) != manifest.label_key_digest:
            raise VerificationError("the manifest was signed for another label key")
        verification_key = self._folder.public.read(VERIFICATION_KEY)
        if file_digest(verification_key) != manifest.verification_key_digest:
            raise VerificationError("the manifest was signed for another verification key")
        label_key = LabelKey.from_bytes(data)
        check_label_key(VerificationKey.from_bytes(verification_key), label_key)
        return label_key

    def _encryption(self, manifest: Manifest, cluster_fingerprint: str) -> tuple[FramePlan, PublicKey, bytes]:
        """Plan and key to encrypt with, and the key to seal to, of the cluster that the tester trusts."""
        card_bytes = self._folder.public.read(CLUSTER_CARD)
        plan_bytes = self._folder.public.read(ENCRYPTION_PLAN)
        card = ClusterCard.from_bytes(card_bytes)
        card.check_fingerprint(cluster_fingerprint)
        if card.digest() != manifest.cluster_card_digest:
            raise VerificationError("the manifest was signed for another cluster")
        if not file_digest(plan_bytes) == card.encryption_plan_digest == manifest.encryption_plan_digest:
            raise VerificationError("the encryption plan is not the one that owner and cluster signed")
        plan = read_plan(plan_bytes)
        read_cut_claims(self._folder.public, manifest, plan)
        return plan, PublicKey.from_bytes(plan, card.encryption_key), card.sealing_key

    def _label_path(self, upload_digest: bytes) -> Path:
        return self._private / f"label-{upload_digest.hex()}.cbor"


def _check_counts(
    frames: Sequence[NDArray[np.float64]], labels: Sequence[int] | None, expected: int, several: bool = False
) -> None:
    """Raises ValueError unless there are `expected` frames, all different, with a label each or none.

    With `several`, there may be a multiple of them.
    """
    if several and frames and len(frames) % expected == 0:
        expected = len(frames)
    if len(frames) != expected:
        difference = expected - len(frames)
        short = f"{difference} missing" if difference > 0 else f"{-difference} too many"
        raise ValueError(f"a submission of this campaign has {expected} frames: {len(frames)} given, {short}")
    if labels is not None and len(labels) != expected:
        raise ValueError(f"{expected} frames have {expected} labels, not {len(labels)}")
    if len({frame.tobytes() for frame in frames}) != len(frames):
        raise ValueError("a frame is there twice: it would count twice")
