"""Noise that the owner adds to its answer, so that evaluation noise says less about the weights.

What an answer carries besides the features is noise from the evaluation, which depends on the
weights, in the real and imaginary part of every slot. Two kinds of noise are laid over it, uniform and
from the operating system's generator:

- On the outputs themselves, as much as their quantisation step hides. That is `plan.flooding_bits`
  bits above the worst-case evaluation noise: a heuristic, not a statistical guarantee, which would
  take some 40 bits and the logarithm of the number of values released.
- Everywhere else, where no precision is to be lost, as much as the last prime has room for: some 28
  bits above the evaluation noise at degree 8192.

The map from slots to coefficients is linear and invertible, so noise that covers the evaluation noise
slot by slot covers it altogether. It passes through the encoder's double-precision numbers unharmed:
coefficients stay below an eighth of the first prime, and below 2^53 where that is larger.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.encryption_plan import EncryptionPlan


def uniform_noise(count: int) -> NDArray[np.float64]:
    """(count,) multiples of 2^-53, uniform in [-1, 1), from the operating system's generator."""
    words = np.frombuffer(os.urandom(8 * count), "<i8")
    return (words >> 10).astype(np.float64) / 2**53


def flooding_noise(plan: EncryptionPlan) -> NDArray[np.complex128]:
    """(slots,) noise to be added to an answer."""
    outer = plan.outer_flooding_amplitude
    noise = outer * np.stack([uniform_noise(plan.slot_count), uniform_noise(plan.slot_count)])
    ratio, layout = plan.flooding_amplitude / outer, plan.output_layout
    for place, slots in zip(layout.channels, layout.slots(plan.slot_count), strict=True):
        noise[place.part, slots] *= ratio
    spread: NDArray[np.complex128] = noise[0] + 1j * noise[1]
    return spread
