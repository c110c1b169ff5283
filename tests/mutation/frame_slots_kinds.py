"""Frames in slots: the plan of a batch, its rows, their list and file in the mail, and a frame's place."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.he.parts import small_part
from tests.mutation.samples import Samples
from tests.mutation.targets import Kind, Target

_FRAMES = 5
_IN_A_BATCH = "in the list of a batch's rows, whose SHA-256 is in sealed mail that a signature names"


def _plan(samples: Samples, scratch: Path) -> Target:
    from pvcnn.he.frame_slots.parameters import plan
    from pvcnn.he.frame_slots.plan import FrameSlotsPlan

    data = plan(small_part(), _FRAMES).to_bytes()
    named_by = "the manifest and the cluster's card"
    return Target(data, FrameSlotsPlan.from_bytes, FrameSlotsPlan.to_bytes, named_by=named_by)


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
        named_by=_IN_A_BATCH,
    )


def _place(samples: Samples, scratch: Path) -> Target:
    from pvcnn.campaign.frame_place import FramePlace

    data = FramePlace(bytes(range(32)), 3).to_bytes()
    named_by = "in a sealed blob that a signed registration or answer names"
    return Target(data, FramePlace.from_bytes, FramePlace.to_bytes, named_by=named_by)


def _digests(samples: Samples, scratch: Path) -> Target:
    from pvcnn.campaign.sealed_rows import read_row_digests, row_digests

    data = row_digests([bytes([row]) * 32 for row in range(5)])
    return Target(data, read_row_digests, row_digests, named_by=_IN_A_BATCH)


def _file(samples: Samples, scratch: Path) -> Target:
    """As it lies in the mail. Whatever is changed, its rows are those of the batch or nothing at all."""
    from pvcnn.campaign.mail import SealingKey
    from pvcnn.campaign.sealed_rows import SealedRows, post_rows, rows_path
    from pvcnn.he.frame_slots.parameters import plan
    from pvcnn.he.frame_slots.rows import RowContent

    rows, key, purpose = [bytes([row]) * 40 for row in range(3)], SealingKey.generate(), bytes(32)
    chosen, content = plan(small_part(), _FRAMES), RowContent("pixels", len(rows), 1, 1)
    batch = post_rows(scratch, key.public, purpose, len(rows), iter(rows))
    path = rows_path(scratch, batch)

    def read(data: bytes) -> list[bytes]:
        path.write_bytes(data)
        return list(SealedRows(scratch, batch, key, purpose, chosen, content))

    return Target(path.read_bytes(), read, shape="octets")


KINDS = [
    Kind("pvcnn-frame-slots-plan", ("pvcnn-frame-slots-plan",), _plan, 50),
    Kind("pvcnn-frame-slots, a row", ("pvcnn-frame-slots",), _row, 5),
    Kind("pvcnn-frame-place", ("pvcnn-frame-place",), _place),
    Kind("pvcnn-row-digests", ("pvcnn-row-digests",), _digests),
    Kind("pvcnn-row-digests, a batch's file", ("pvcnn-row-digests",), _file, 50),
]
