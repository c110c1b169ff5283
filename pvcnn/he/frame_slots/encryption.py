"""The tester's part: a batch of frames to rows of ciphertexts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.errors import RangeError
from pvcnn.he.context import open_context
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.frame_slots.rows import pixel_rows, write_row
from pvcnn.he.keys import PublicKey


class BatchEncryptor:
    """Encrypts batches under one key. Slots without a frame hold zero."""

    def __init__(self, plan: FrameSlotsPlan, public_key: PublicKey) -> None:
        self._plan = plan
        self._context = open_context(plan)
        self._encryptor = seal.Encryptor(self._context.seal, public_key.load(self._context))

    def rows(self, frames: NDArray[np.float64], rows: Iterable[int] | None = None) -> Iterator[bytes]:
        """The messages of a batch (frames, channels, rows, columns) with |pixel| <= plan.pixel_bound.

        There may be fewer frames than the plan's, which have the first places then. `rows` are those of the
        tiles to be encrypted, all unless given. Raises ValueError for another
        shape, RangeError for a pixel that is out of bounds or not a number.
        """
        plan = self._plan
        content = pixel_rows(plan)
        check_frames(plan, frames)
        batch = np.zeros((plan.tiling.frames, *plan.input_shape))
        batch[: len(frames)] = frames
        cut = plan.tiling.cut(batch)
        for row in range(content.rows) if rows is None else rows:
            values = cut[:, row].reshape(content.ciphertexts, -1)
            yield write_row(plan, content, row, [self._encrypted(slots, content.primes) for slots in values])

    def _encrypted(self, slots: NDArray[np.float64], primes: int) -> NDArray[np.uint64]:
        filled = np.zeros(self._plan.slot_count)
        filled[: len(slots)] = slots
        ciphertext = seal.Ciphertext()
        self._encryptor.encrypt(self._context.encode(filled, primes, self._plan.scale), ciphertext)
        return self._context.components(ciphertext)


def check_frames(plan: FrameSlotsPlan, frames: NDArray[np.float64]) -> None:
    """Raises ValueError for another shape, RangeError for a pixel that is out of bounds or not a number."""
    most = plan.tiling.frames
    if frames.shape[1:] != plan.input_shape or not 1 <= len(frames) <= most:
        raise ValueError(
            f"a batch has 1 to {most} frames of shape {plan.input_shape}: {frames.shape} is not its shape"
        )
    check_pixels(plan, frames)


def check_pixels(plan: FrameSlotsPlan, frames: NDArray[np.float64]) -> None:
    """Raises RangeError for a pixel of (frames, channels, rows, columns) out of bounds or not a number."""
    within = np.abs(frames) <= plan.pixel_bound  # False for what is not a number
    if not within.all():
        position = tuple(int(i) for i in np.argwhere(~within)[0])
        raise RangeError(
            f"pixel {position[1:]} of frame {position[0]} is {frames[position]}, outside"
            f" [-{plan.pixel_bound}, {plan.pixel_bound}]: normalise frames as the model's owner says"
        )
