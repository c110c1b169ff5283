"""How close a reconstruction is to the picture: peak signal-to-noise ratio and structural similarity."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

_WINDOW, _SPREAD = 11, 1.5
_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2
#: The largest ratio that is reported: what 32-bit floats still tell apart.
MAX_DECIBELS = 120.0


def decibels(reconstructions: Tensor, pictures: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of each of (n, channels, height, width) in [0, 1], in dB: (n,)."""
    errors = ((reconstructions - pictures) ** 2).flatten(1).mean(1)
    return -10 * torch.log10(errors.clamp_min(10 ** (-MAX_DECIBELS / 10)))


def similarity(reconstructions: Tensor, pictures: Tensor) -> Tensor:
    """The structural similarity of each of (n, channels, height, width) in [0, 1]: (n,) in [-1, 1].

    Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, "Image quality assessment: from error visibility to
    structural similarity" (2004), with its Gaussian window of 11 pixels, cut to frames that are smaller.
    """
    size = min(_WINDOW, *pictures.shape[2:])
    axis = torch.arange(size, dtype=pictures.dtype) - (size - 1) / 2
    weights = torch.exp(-0.5 * (axis / _SPREAD) ** 2)
    window = (weights[:, None] * weights / weights.sum() ** 2)[None, None]

    def local(values: Tensor) -> Tensor:
        filtered = F.conv2d(values.flatten(0, 1)[:, None], window)
        return filtered.reshape(*values.shape[:2], *filtered.shape[2:])

    a, b = local(reconstructions), local(pictures)
    covariance = local(reconstructions * pictures) - a * b
    variances = local(reconstructions**2) - a**2 + local(pictures**2) - b**2
    numerator = (2 * a * b + _LUMINANCE) * (2 * covariance + _CONTRAST)
    denominator = (a**2 + b**2 + _LUMINANCE) * (variances + _CONTRAST)
    return torch.div(numerator, denominator).flatten(1).mean(1)
