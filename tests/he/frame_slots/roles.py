"""Tester, owner and cluster of a batch, and an owner that does not hide its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.frame_slots.decryption import BatchDecryptor
from pvcnn.he.frame_slots.encryption import BatchEncryptor
from pvcnn.he.frame_slots.evaluation import BatchEvaluator
from pvcnn.he.frame_slots.parameters import plan
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.keys import EvaluationKeys, PublicKey, SecretKey, generate
from pvcnn.program.private import PrivatePart


class Unhidden(BatchEvaluator):
    """Leaves its answers as they come out of the evaluation."""

    def _hidden(self, answer: Any, zero: Any, noise: Any) -> NDArray[np.uint64]:
        return self._context.components(answer)


#: Of every batch, as nothing here depends on it.
SEED = bytes(range(32))


@dataclass(frozen=True, eq=False)
class BatchRoles:
    private: PrivatePart
    plan: FrameSlotsPlan
    secret_key: SecretKey
    public_key: PublicKey
    evaluation_keys: EvaluationKeys
    encryptor: BatchEncryptor
    evaluator: BatchEvaluator
    decryptor: BatchDecryptor

    @classmethod
    def of(cls, private: PrivatePart, frames: int) -> BatchRoles:
        chosen = plan(private, frames)
        secret, public, evaluation = generate(chosen)
        return cls(
            private,
            chosen,
            secret,
            public,
            evaluation,
            BatchEncryptor(chosen, public),
            BatchEvaluator(chosen, public, evaluation, private),
            BatchDecryptor(chosen, secret),
        )

    def unhidden(self) -> Unhidden:
        return Unhidden(self.plan, self.public_key, self.evaluation_keys, self.private)


def random_frames(plan: FrameSlotsPlan, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-plan.pixel_bound, plan.pixel_bound, (plan.tiling.frames, *plan.input_shape))
