"""What hides a batch's answer, expanded from a seed, so that an auditor can make the same answer again.

As `pvcnn.he.answer_randomness` for single frames, ciphertext by ciphertext: each of an answer's has a seed of
its own, which follows from the batch's, its row and its number there.
"""

from __future__ import annotations

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.algebra.transcript import digest
from pvcnn.he.answer_randomness import SEED_BYTES, EncryptionsOfZero, flooding_stream
from pvcnn.he.flooding import flooding_octets, noise_around
from pvcnn.he.frame_slots.plan import FrameSlotsPlan


class BatchRandomness:
    """Expands one batch's seed. `used` (slots,): where the features are that are asked for."""

    def __init__(
        self, plan: FrameSlotsPlan, zeros: EncryptionsOfZero, seed: bytes, used: NDArray[np.bool_]
    ) -> None:
        """Raises ValueError for a seed that does not have SEED_BYTES."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        self._plan = plan
        self._zeros = zeros
        self._seed = seed
        self._outputs = np.stack([used, np.zeros_like(used)])  # imaginary parts hold nothing

    def expand(self, row: int, number: int) -> tuple[seal.Ciphertext, NDArray[np.complex128]]:
        """An encryption of zero and (slots,) noise for ciphertext `number` of a row, both from 0."""
        seed = ciphertext_seed(self._seed, row, number)
        octets = flooding_stream(seed, flooding_octets(self._plan))
        return self._zeros.expand(seed), noise_around(self._plan, self._outputs, octets)


def ciphertext_seed(seed: bytes, row: int, number: int) -> bytes:
    """What hides one ciphertext of a batch's answer (docs/protocol.md, eq. (34))."""
    return digest(
        "pvcnn/slots-ciphertext-seed", seed, row.to_bytes(8, "little"), number.to_bytes(8, "little")
    )
