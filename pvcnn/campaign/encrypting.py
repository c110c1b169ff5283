"""How a tester's frames become the messages of its submissions: one by one, or in batches of frames in slots.

Which, the campaign's encryption plan says. A submission has one message a frame either way: the frame's
ciphertext, or its place in a batch that is put into the owner's mail beside the submission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pvcnn.campaign.frame_place import FramePlace
from pvcnn.campaign.mail import upload_batch_purpose
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.sealed_rows import post_rows
from pvcnn.errors import ParameterError
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.frame_slots.encryption import check_pixels
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.frame_slots.processes import encrypt_batch, worthwhile_processes
from pvcnn.he.frame_slots.rows import pixel_rows
from pvcnn.he.keys import PublicKey
from pvcnn.he.plans import FramePlan

Frame = NDArray[np.float64]
#: Told how many frames are encrypted.
Progress = Callable[[int], None]


class FrameEncryption(Protocol):
    """together: whether frames of several submissions are to be encrypted at once."""

    @property
    def together(self) -> bool: ...

    def messages(self, frames: Sequence[Frame], progress: Progress) -> list[bytes]:
        """One a frame (channels, height, width), in their order.

        Raises ValueError for another shape, RangeError for a pixel that is out of bounds or not a number.
        """


@dataclass(frozen=True)
class FramesByThemselves:
    """Every frame in ciphertexts of its own."""

    plan: EncryptionPlan
    key: PublicKey
    together = False

    def messages(self, frames: Sequence[Frame], progress: Progress) -> list[bytes]:
        made = []
        for frame in frames:
            made.append(encrypt_frame(self.plan, self.key, frame))
            progress(len(made))
        return made


@dataclass(frozen=True)
class FramesInSlots:
    """Batches of whole submissions, `each` frames a submission, sealed to the owner in its mail `box`."""

    plan: FrameSlotsPlan
    key: PublicKey
    box: Path
    sealing_key: bytes
    purpose: bytes
    each: int
    processes: int
    together = True

    def messages(self, frames: Sequence[Frame], progress: Progress) -> list[bytes]:
        for frame in frames:
            if frame.shape != self.plan.input_shape:
                raise ValueError(f"a frame has shape {self.plan.input_shape}, not {frame.shape}")
        pixels = np.stack(frames)
        check_pixels(self.plan, pixels)  # all, before the first batch is in the mail
        most = self.plan.tiling.frames // self.each * self.each
        made: list[bytes] = []
        for first in range(0, len(pixels), most):
            batch = pixels[first : first + most]
            rows = encrypt_batch(self.plan, self.key, batch, self.processes)
            count = pixel_rows(self.plan).rows
            told = _telling(rows, count, first, len(batch), progress)
            name = post_rows(self.box, self.sealing_key, self.purpose, count, told)
            made += [FramePlace(name, place).to_bytes() for place in range(len(batch))]
        return made


def frame_encryption(
    plan: FramePlan,
    key: PublicKey,
    box: Path,
    manifest: Manifest,
    tester_key: bytes,
    processes: int | None = None,
) -> FrameEncryption:
    """As the plan has it. `processes`, for batches: None takes as many as save time."""
    if isinstance(plan, EncryptionPlan):
        return FramesByThemselves(plan, key)
    if manifest.frames > plan.tiling.frames:
        raise ParameterError(
            f"a submission has {manifest.frames} frames, and a batch room for {plan.tiling.frames}"
        )
    purpose = upload_batch_purpose(manifest.digest(), tester_key)
    several = processes or worthwhile_processes(plan)
    return FramesInSlots(plan, key, box, manifest.owner_sealing_key, purpose, manifest.frames, several)


def _telling(
    rows: Iterator[bytes], count: int, first: int, frames: int, progress: Progress
) -> Iterator[bytes]:
    """The rows; a batch is encrypted row by row, of which each is a part of all its frames."""
    for number, row in enumerate(rows, 1):
        yield row
        progress(first + frames * number // count)
