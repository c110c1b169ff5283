"""A batch: the encrypted frames of one submission, or their encrypted features, in their order.

All of a submission's frames are in one sealed blob, are answered by one, and share one proof, so none of
them can be left out, moved or exchanged without the whole submission's being another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.campaign.folder import ENCRYPTION_PLAN, PublicFolder
from pvcnn.campaign.mail import MAX_BLOB_BYTES
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.sealed_labels import MAX_SEALED
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError, SubmissionRefused
from pvcnn.he.checks import frame_content, message_bytes
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.plans import FramePlan, read_plan
from pvcnn.qmp.keys import MAX_FRAMES

FORMAT = "pvcnn-batch"
VERSION = 1
#: Of the envelope, and of HPKE around it.
_ENVELOPE_BYTES = 1024


@dataclass(frozen=True)
class Batch:
    """messages: a `pvcnn-ciphertext` a frame, or the `pvcnn-frame-place` of one that lies in slots.
    labels: sealed to the cluster, where a count is proved."""

    messages: tuple[bytes, ...]
    labels: bytes = b""

    def to_bytes(self) -> bytes:
        return encode(FORMAT, VERSION, {"messages": list(self.messages), "labels": self.labels})

    @classmethod
    def from_bytes(cls, data: bytes) -> Batch:
        """Raises DecodeError; messages and labels are not decoded here."""
        fields = decode(data, FORMAT, VERSION, MAX_BLOB_BYTES)
        messages = fields.sequence("messages", MAX_FRAMES)
        labels = fields.octets("labels", max_length=MAX_SEALED)
        fields.finish()
        if not all(isinstance(message, bytes) for message in messages):
            raise DecodeError(f"{FORMAT}: messages are byte strings")
        return cls(tuple(messages), labels)

    def check(self, manifest: Manifest) -> None:
        """Raises SubmissionRefused unless it is one submission's in this campaign.

        That has as many frames as the manifest says, no two of them equal: a frame would count twice; and
        labels where they are demanded, and nowhere else.
        """
        if len(self.messages) != manifest.frames:
            raise SubmissionRefused(
                f"a submission has {manifest.frames} frames here, not {len(self.messages)}"
            )
        if len(set(self.messages)) != len(self.messages):
            raise SubmissionRefused("a ciphertext occurs twice in the submission")
        if bool(self.labels) != manifest.takes_labels:
            raise SubmissionRefused(
                "the submission has no labels, of which this campaign proves a count"
                if manifest.takes_labels
                else "the submission has labels, of which this campaign proves nothing"
            )


def frames_in_slots(public: PublicFolder) -> int | None:
    """How many frames a batch of frames in slots has room for; None where frames are encrypted one by one.

    Raises CampaignError if `split` has not run, and DecodeError.
    """
    plan = read_plan(public.read(ENCRYPTION_PLAN))
    return None if isinstance(plan, EncryptionPlan) else plan.tiling.frames


def most_frames(plan: FramePlan) -> int:
    """How many encrypted frames fit into one sealed blob, or into one batch of frames in slots."""
    if not isinstance(plan, EncryptionPlan):
        return plan.tiling.frames
    room = MAX_BLOB_BYTES - MAX_SEALED - _ENVELOPE_BYTES
    return room // message_bytes(plan, frame_content(plan))
