"""Random frames with the spectrum of photographs, for networks that nobody trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Amplitudes fall as 1 / frequency^DECAY, about as in photographs (Field, 1987).
DECAY = 1.2
#: The share of a colour channel that it has in common with the others, as an amplitude.
SHARED = 0.8


def smooth_frames(count: int, shape: tuple[int, int, int], seed: int) -> NDArray[np.float64]:
    """(count, *shape) in [-1, 1]; `shape` is (channels, height, width). The same seed, the same frames.

    Gaussian noise of that spectrum, with brightness and contrast of their own for every frame, through
    tanh, which bounds it as 8-bit pixels are bounded.
    """
    channels, height, width = shape
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((count, channels + 1, height, width))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    smooth = np.fft.irfft2(np.fft.rfft2(noise) / frequency**DECAY, s=(height, width))
    smooth /= smooth.std((2, 3), keepdims=True)
    mixed = SHARED * smooth[:, :1] + np.sqrt(1 - SHARED**2) * smooth[:, 1:]
    contrast = generator.uniform(0.3, 1.2, (count, 1, 1, 1))
    brightness = generator.normal(0, 0.4, (count, 1, 1, 1))
    frames: NDArray[np.float64] = np.tanh(contrast * mixed + brightness)
    return frames
