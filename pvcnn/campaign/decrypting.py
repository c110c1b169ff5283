"""How the cluster gets features from the messages of an answer: frame by frame, or from batches in slots.

Which, the campaign's encryption plan says. What is decrypted stays in the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pvcnn.campaign.frame_place import FramePlace
from pvcnn.campaign.mail import SealingKey
from pvcnn.campaign.sealed_rows import SealedRows
from pvcnn.errors import SubmissionRefused
from pvcnn.he.decryption import decrypt_features
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.frame_slots.decryption import BatchDecryptor
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.frame_slots.rows import feature_rows
from pvcnn.he.keys import SecretKey
from pvcnn.he.plans import FramePlan

#: Of decrypted batches, whose submissions stand in any order in the registry.
_MOST_KEPT_BYTES = 1 << 30

Features = NDArray[np.float64]


class FeatureDecryption(Protocol):
    """Decrypts the answers of any campaign under one plan and key."""

    def features(self, box: Path, purpose: bytes, message: bytes) -> Features:
        """(*plan.output_shape,) of one frame of an answer.

        box, purpose: the cluster's mail and what batches there are for (`answer_batch_purpose`). Raises
        DecodeError or SubmissionRefused for what is not an answer under this plan, and CampaignError for a
        batch that is not there as it was signed.
        """


@dataclass(frozen=True, repr=False)
class DecryptedByFrame:
    plan: EncryptionPlan
    key: SecretKey

    def features(self, box: Path, purpose: bytes, message: bytes) -> Features:
        return decrypt_features(self.plan, self.key, message)


@dataclass(frozen=True, repr=False)
class DecryptedByBatch:
    """A batch is decrypted once for the submissions in it, or once more where memory would not do."""

    plan: FrameSlotsPlan
    key: SecretKey
    sealing_key: SealingKey
    _kept: dict[tuple[bytes, bytes], Features] = field(default_factory=dict)

    def features(self, box: Path, purpose: bytes, message: bytes) -> Features:
        place = FramePlace.from_bytes(message)
        if place.place >= self.plan.tiling.frames:
            raise SubmissionRefused(f"a batch has no place of number {place.place}")
        kept = self._kept
        if (purpose, place.batch) not in kept:
            content = feature_rows(self.plan)
            rows = SealedRows(box, place.batch, self.sealing_key, purpose, self.plan, content)
            found = BatchDecryptor(self.plan, self.key).features(rows)
            while kept and sum(each.nbytes for each in kept.values()) + found.nbytes > _MOST_KEPT_BYTES:
                del kept[next(iter(kept))]
            kept[purpose, place.batch] = found
        features: Features = kept[purpose, place.batch][place.place]
        return features


def feature_decryption(plan: FramePlan, key: SecretKey, sealing_key: SealingKey) -> FeatureDecryption:
    """As the plan has it."""
    if isinstance(plan, EncryptionPlan):
        return DecryptedByFrame(plan, key)
    return DecryptedByBatch(plan, key, sealing_key)
