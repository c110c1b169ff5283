"""The tester's part: one frame to ciphertexts."""

from __future__ import annotations

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.errors import RangeError
from pvcnn.he.checks import frame_content, write_ciphertexts
from pvcnn.he.context import open_context
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.keys import PublicKey


def encrypt_frame(plan: EncryptionPlan, public_key: PublicKey, frame: NDArray[np.float64]) -> bytes:
    """A frame (channels, rows, columns) with |pixel| <= plan.pixel_bound, in the plan's layout.

    Raises ValueError for another shape, RangeError for a pixel that is out of bounds or not a number.
    """
    if frame.shape != plan.input_shape:
        raise ValueError(f"a frame has shape {plan.input_shape}, not {frame.shape}")
    within = np.abs(frame) <= plan.pixel_bound  # False for what is not a number
    if not within.all():
        position = tuple(int(i) for i in np.argwhere(~within)[0])
        raise RangeError(
            f"pixel {position} is {frame[position]}, outside [-{plan.pixel_bound}, {plan.pixel_bound}]:"
            " normalise frames as the model's owner says"
        )
    context = open_context(plan)
    encryptor = seal.Encryptor(context.seal, public_key.load(context))
    content = frame_content(plan)
    ciphertexts = []
    for slots in plan.input_layout.scatter(frame.astype(np.float64), plan.slot_count):
        plaintext = context.encode(slots, content.primes, plan.scale)
        ciphertext = seal.Ciphertext()
        encryptor.encrypt(plaintext, ciphertext)
        ciphertexts.append(context.components(ciphertext))
    return write_ciphertexts(plan, content, context.parms_id(content.primes), plan.scale, ciphertexts)
