"""A tiny campaign of frames in slots, and where its frames lie."""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.campaign.batch import Batch
from pvcnn.campaign.folder import ENCRYPTION_PLAN, CampaignFolder
from pvcnn.campaign.frame_place import read_places
from pvcnn.campaign.identity import Identity
from pvcnn.campaign.mail import collect, upload_info
from pvcnn.campaign.submission import Proceedings
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.plans import read_plan

BEACON = b"public randomness"
#: Room in a batch: ann has two, one of them partly filled, and bob has one frame.
PLACES = 3
GIVEN = 4


@dataclass(frozen=True)
class Slots:
    folder: CampaignFolder
    fingerprint: str
    decisions: dict[str, list[int]]
    """Of each tester's frames, as they are without encryption, in the order of encryption."""

    @property
    def proceedings(self) -> Proceedings:
        return Proceedings.read(self.folder.public)

    @property
    def count(self) -> int:
        return len(self.proceedings.registry.registrations)


def batch_of(folder: CampaignFolder, index: int) -> tuple[bytes, list[int]]:
    """Where the frames of a submission lie."""
    proceedings = Proceedings.read(folder.public)
    registration = proceedings.registry.registrations[index]
    sealing = Identity.load_from(folder.private("owner"), "split").sealing
    blob = collect(folder.mail("owner"), registration.upload_digest)
    info = upload_info(proceedings.manifest.digest(), registration.signer, registration.nonce)
    return read_places(slots_plan(folder), Batch.from_bytes(sealing.open(blob, info)).messages)


def slots_plan(folder: CampaignFolder) -> FrameSlotsPlan:
    plan = read_plan(folder.public.read(ENCRYPTION_PLAN))
    assert isinstance(plan, FrameSlotsPlan)
    return plan
