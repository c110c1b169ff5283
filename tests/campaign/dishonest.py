"""What dishonest testers send, and the frame that they send it for."""

from __future__ import annotations

import cbor2

from pvcnn.campaign.artefacts.batch import Batch
from pvcnn.campaign.artefacts.folder import (
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    MANIFEST,
    CampaignFolder,
)
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.campaign.roles.tester import TesterRole
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.keys import PublicKey
from tests.campaign.tiny import Frame, frames

FRAME = frames(1, 5)[0]


def plan_of(folder: CampaignFolder) -> EncryptionPlan:
    return EncryptionPlan.from_bytes(folder.public.read(ENCRYPTION_PLAN))


def encrypted(folder: CampaignFolder, frame: Frame) -> bytes:
    """A frame under the cluster's key."""
    plan = plan_of(folder)
    card = cbor2.loads(cbor2.loads(folder.public.read(CLUSTER_CARD))["body"])
    return encrypt_frame(plan, PublicKey.from_bytes(plan, card["encryption_key"]), frame)


def smuggle(folder: CampaignFolder, name: str, *ciphertexts: bytes) -> Registration:
    """Registers any bytes as a submission's encrypted frames, as a dishonest tester can."""
    return smuggle_batch(folder, name, Batch(ciphertexts).to_bytes())


def smuggle_batch(folder: CampaignFolder, name: str, batch: bytes) -> Registration:
    """Registers any bytes as an upload."""
    tester = TesterRole.create(folder, name)
    return tester._register(Manifest.from_bytes(folder.public.read(MANIFEST)), batch, [1])


def edited(ciphertext: bytes, **changes: object) -> bytes:
    """A ciphertext's message with other fields."""
    return cbor2.dumps(cbor2.loads(ciphertext) | changes, canonical=True)
