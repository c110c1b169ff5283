"""The cluster's part: rows of encrypted features to the batch's features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.errors import SubmissionRefused
from pvcnn.he.context import open_context
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.frame_slots.rows import feature_rows, read_row
from pvcnn.he.keys import SecretKey


class BatchDecryptor:
    """Decrypts answers under one key. What it finds must not leave the cluster, as with single frames."""

    def __init__(self, plan: FrameSlotsPlan, secret_key: SecretKey) -> None:
        self._plan = plan
        self._context = open_context(plan)
        self._decryptor = seal.Decryptor(self._context.seal, secret_key.load(self._context))

    def features(self, rows: Sequence[bytes]) -> NDArray[np.float64]:
        """(frames, *plan.output_shape), each off by flooding_amplitude or so.

        Raises DecodeError or SubmissionRefused for what is not an answer under this plan.
        """
        plan = self._plan
        channels, height, width = plan.tiling.output_shape
        if len(rows) != height:
            raise SubmissionRefused(f"an answer has {height} rows here, not {len(rows)}")
        slots = np.stack([self.slots(row, message) for row, message in enumerate(rows)])
        used = slots.real[..., : plan.tiling.slots].reshape(height, channels, width, -1)
        return plan.tiling.join(used.transpose(1, 0, 2, 3))

    def slots(self, row: int, message: bytes) -> NDArray[np.complex128]:
        """(channels * columns, slots) everything that a row of an answer holds."""
        plan, context = self._plan, self._context
        content = feature_rows(plan)
        found = []
        for residues in read_row(plan, content, row, message):
            plaintext = seal.Plaintext()
            ciphertext = context.ciphertext(residues, content.primes, plan.answer_scale)
            self._decryptor.decrypt(ciphertext, plaintext)
            found.append(context.decode(plaintext))
        return np.stack(found)
