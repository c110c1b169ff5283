"""Where a frame lies that was encrypted with others: a batch, and a place in it.

In the messages of a submission it takes the place of a frame's ciphertext, and in those of an answer that of
the encrypted features. The batch's digest covers every byte of its rows, so whoever signs what holds a
frame's place has signed its ciphertexts.
"""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.campaign.signed import DIGEST_BYTES
from pvcnn.encoding import decode, encode
from pvcnn.errors import SubmissionRefused
from pvcnn.he.frame_slots.plan import FrameSlotsPlan

FORMAT = "pvcnn-frame-place"
VERSION = 1
MAX_BYTES = 256


@dataclass(frozen=True)
class FramePlace:
    """batch: the digest of its rows (`pvcnn.campaign.sealed_rows`). place: of the frame in it, from 0."""

    batch: bytes
    place: int

    def to_bytes(self) -> bytes:
        return encode(FORMAT, VERSION, {"batch": self.batch, "place": self.place})

    @classmethod
    def from_bytes(cls, data: bytes) -> FramePlace:
        """Raises DecodeError."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        found = cls(fields.octets("batch", DIGEST_BYTES), fields.integer("place", 0, 1 << 15))
        fields.finish()
        return found


def read_places(plan: FrameSlotsPlan, messages: tuple[bytes, ...]) -> tuple[bytes, list[int]]:
    """The one batch that a submission's frames lie in, and their places.

    Raises DecodeError, and SubmissionRefused for frames of several batches and for places beyond a batch.
    """
    places = [FramePlace.from_bytes(message) for message in messages]
    batches = {each.batch for each in places}
    if len(batches) != 1:
        raise SubmissionRefused("the frames of a submission lie in several batches, or there are none")
    for each in places:
        if each.place >= plan.tiling.frames:
            raise SubmissionRefused(
                f"a batch has {plan.tiling.frames} places, and none of number {each.place}"
            )
    return batches.pop(), [each.place for each in places]
