"""Encryption plans of either layout, as a campaign holds one: frames by themselves, or frames in slots."""

from __future__ import annotations

from typing import TypeAlias

from pvcnn.encoding import read_map
from pvcnn.he.encryption_plan import MAX_BYTES, EncryptionPlan
from pvcnn.he.frame_slots.plan import FORMAT as FRAME_SLOTS
from pvcnn.he.frame_slots.plan import FrameSlotsPlan

FramePlan: TypeAlias = EncryptionPlan | FrameSlotsPlan


def read_plan(data: bytes) -> FramePlan:
    """The plan, by its format. Raises DecodeError for what is neither's."""
    if read_map(data, "encryption plan", MAX_BYTES).get("format") == FRAME_SLOTS:
        return FrameSlotsPlan.from_bytes(data)
    return EncryptionPlan.from_bytes(data)
