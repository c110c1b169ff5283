"""Noise that the owner adds to its answer, so that evaluation noise says less about the weights.

What an answer carries besides the features is noise from the evaluation, which depends on the
weights, in the real and imaginary part of every slot. Two kinds of noise are laid over it, uniform, from
octets that a secret seed expands to (`pvcnn.he.answer_randomness`):

- On the outputs themselves, as much as their quantisation step hides. That is `plan.flooding_bits`
  bits above the worst-case evaluation noise: a heuristic, not a statistical guarantee, which would
  take some 40 bits and the logarithm of the number of values released.
- Everywhere else, where no precision is to be lost, as much as the last prime and the encoder's
  doubles have room for: 17 bits and more above the worst case, for features of twelve bits.

The map from slots to coefficients is linear and invertible, so noise that covers the evaluation noise
slot by slot covers it altogether. It passes through the encoder's double-precision numbers unharmed:
coefficients stay below an eighth of the first prime, and below 2^53 where that is larger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.plans import FramePlan


def uniform_noise(octets: bytes) -> NDArray[np.float64]:
    """(len(octets) / 8,) multiples of 2^-53 in [-1, 1), uniform if the octets are."""
    words = np.frombuffer(octets, "<i8")
    return (words >> 10).astype(np.float64) / 2**53


def flooding_octets(plan: FramePlan) -> int:
    """How many octets the noise of one answer takes: eight for each real and each imaginary part."""
    return 16 * plan.slot_count


def flooding_noise(plan: EncryptionPlan, octets: bytes) -> NDArray[np.complex128]:
    """(slots,) noise to be added to an answer, from `flooding_octets` uniform ones."""
    outputs, layout = np.zeros((2, plan.slot_count), np.bool_), plan.output_layout
    for place, slots in zip(layout.channels, layout.slots(plan.slot_count), strict=True):
        outputs[place.part, slots] = True
    return noise_around(plan, outputs, octets)


def noise_around(plan: FramePlan, outputs: NDArray[np.bool_], octets: bytes) -> NDArray[np.complex128]:
    """(slots,) noise from `flooding_octets` uniform octets: little at outputs, much everywhere else.

    outputs: (2, slots), where real and imaginary parts hold outputs.
    """
    outer = plan.outer_flooding_amplitude
    noise = outer * uniform_noise(octets).reshape(2, plan.slot_count)
    noise[outputs] *= plan.flooding_amplitude / outer
    spread: NDArray[np.complex128] = noise[0] + 1j * noise[1]
    return spread
