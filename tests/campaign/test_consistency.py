"""Owners who sign what does not fit together: a good signature over the wrong files is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pvcnn.algebra.points import G1Point, G2Point
from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.folder import (
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    MANIFEST,
    REGISTRY,
    VERIFICATION_KEY,
    CampaignFolder,
)
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.campaign.verification.auditor import verify
from pvcnn.errors import VerificationError
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.qmp.keys import VerificationKey
from tests.campaign.tiny import Played

#: Which digest of the manifest belongs to a file that is tampered with.
DIGESTS = {
    CLUSTER_CARD: "cluster_card_digest",
    ENCRYPTION_PLAN: "encryption_plan_digest",
    VERIFICATION_KEY: "verification_key_digest",
}


@pytest.fixture
def empty(played: Played, tmp_path: Path) -> CampaignFolder:
    """A campaign that nobody entered: its owner can sign it anew at will."""
    folder = CampaignFolder.create(tmp_path / "empty")
    for path in played.folder.public.path.iterdir():
        if path.is_file() and path.name != "aggregate.cbor":
            (folder.public.path / path.name).write_bytes(path.read_bytes())
    sign_anew(folder, played)
    return folder


def sign_anew(folder: CampaignFolder, played: Played) -> None:
    """The manifest with the digests of the files as they are now, and a registry of nobody for it."""
    key = Identity.load_from(played.folder.private("owner"), "split").signing
    digests: dict[str, Any] = {
        name: file_digest(folder.public.read(which)) for which, name in DIGESTS.items()
    }
    manifest = replace(Manifest.from_bytes(played.folder.public.read(MANIFEST)), **digests).signed(key)
    folder.public.file(MANIFEST).write_bytes(manifest.to_bytes())
    folder.public.file(REGISTRY).write_bytes(Registry.close(key, manifest.digest(), []).to_bytes())


def test_the_campaign_of_nobody_holds_and_proves_nothing(empty: CampaignFolder) -> None:
    verdict = verify(empty.root)
    assert (verdict.registered, verdict.verified) == (0, False)


def other_program(key: VerificationKey) -> VerificationKey:
    return replace(key, program_digest=b"x" * 32)


def other_weights(key: VerificationKey) -> VerificationKey:
    return replace(key, weights_commitment=key.weights_commitment + G1Point())


def other_frames(key: VerificationKey) -> VerificationKey:
    return replace(key, frames=2)


def more_outputs(key: VerificationKey) -> VerificationKey:
    return replace(key, public_g1=(*key.public_g1, G1Point()))


def with_labels(key: VerificationKey) -> VerificationKey:
    """A count of 0 or 1 would pass for a decision, and nobody registered what it is about."""
    return replace(key, gamma_g2=replace(key.gamma_g2, lab=G2Point()), labels_digest=bytes(32))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_program, "another program"),
        (other_weights, "other weights"),
        (other_frames, "another number of frames"),
        (more_outputs, "another number of frames"),
        (with_labels, "takes labels"),
    ],
)
def test_a_verification_key_that_is_not_this_campaigns(
    empty: CampaignFolder, played: Played, change: Callable[[VerificationKey], VerificationKey], words: str
) -> None:
    key = change(VerificationKey.from_bytes(empty.public.read(VERIFICATION_KEY)))
    empty.public.file(VERIFICATION_KEY).write_bytes(key.to_bytes())
    with pytest.raises(VerificationError, match="not the file"):
        verify(empty.root)
    sign_anew(empty, played)
    with pytest.raises(VerificationError, match=words):
        verify(empty.root)


def test_an_encryption_plan_that_the_cluster_did_not_sign(empty: CampaignFolder, played: Played) -> None:
    plan = EncryptionPlan.from_bytes(empty.public.read(ENCRYPTION_PLAN))
    other = replace(plan, feature_step=2 * plan.feature_step)
    empty.public.file(ENCRYPTION_PLAN).write_bytes(other.to_bytes())
    sign_anew(empty, played)
    with pytest.raises(VerificationError, match="another encryption plan"):
        verify(empty.root)


def test_an_encryption_plan_for_other_features(empty: CampaignFolder, played: Played) -> None:
    """Even if owner and cluster agree on it."""
    plan = EncryptionPlan.from_bytes(empty.public.read(ENCRYPTION_PLAN))
    layout = replace(plan.output_layout, channels=plan.output_layout.channels[:1])
    other = replace(plan, output_layout=layout)
    empty.public.file(ENCRYPTION_PLAN).write_bytes(other.to_bytes())
    key = Identity.load_from(played.folder.private("cluster"), "keygen").signing
    card = ClusterCard.from_bytes(empty.public.read(CLUSTER_CARD))
    card = replace(card, encryption_plan_digest=file_digest(other.to_bytes())).signed(key)
    empty.public.file(CLUSTER_CARD).write_bytes(card.to_bytes())
    sign_anew(empty, played)
    with pytest.raises(VerificationError, match="other features"):
        verify(empty.root)
