"""Frames in slots: the plan of a batch, and a row of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.he.parts import small_part
from tests.mutation.samples import Samples
from tests.mutation.targets import Kind, Target

_FRAMES = 5
_NOT_IN_CAMPAIGNS = "no campaign takes batches of this layout: whoever hands one over answers for it whole"


def _plan(samples: Samples, scratch: Path) -> Target:
    from pvcnn.he.frame_slots.parameters import plan
    from pvcnn.he.frame_slots.plan import FrameSlotsPlan

    data = plan(small_part(), _FRAMES).to_bytes()
    return Target(data, FrameSlotsPlan.from_bytes, FrameSlotsPlan.to_bytes, inert=_NOT_IN_CAMPAIGNS)


def _row(samples: Samples, scratch: Path) -> Target:
    """Of uniform residues, as a ciphertext's are to whoever has no key."""
    from pvcnn.he.frame_slots.parameters import plan
    from pvcnn.he.frame_slots.rows import pixel_rows, read_row, write_row

    chosen = plan(small_part(), _FRAMES)
    content = pixel_rows(chosen)
    moduli = np.array(chosen.data_moduli[: content.primes], np.uint64)[:, None]
    drawn = np.random.default_rng(1).integers(
        0, moduli, (content.ciphertexts, 2, content.primes, chosen.degree), np.uint64
    )
    return Target(
        write_row(chosen, content, 0, list(drawn)),
        lambda data: read_row(chosen, content, 0, data),
        lambda row: write_row(chosen, content, 0, list(row)),
        inert=_NOT_IN_CAMPAIGNS,
    )


KINDS = [
    Kind("pvcnn-frame-slots-plan", ("pvcnn-frame-slots-plan",), _plan, 50),
    Kind("pvcnn-frame-slots, a row", ("pvcnn-frame-slots",), _row, 5),
]
