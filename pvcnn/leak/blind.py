"""The third attack: filters and frame from the features of one frame alone, neither being known.

If features are y_a = w_a * x for filters w_a, then y_a * w_b = y_b * w_a for every pair (`*` is convolution):
a linear system for all filters together, whose solution is unique up to scale if the filters have no
common factor. With them, least squares give the frame. Biases drop out of differences between neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from pvcnn.leak.image_quality import decibels
from pvcnn.leak.private import Private
from pvcnn.leak.systems import LINEAR, nonlinearity

_KERNELS = (2, 3, 4, 5, 6, 7)
#: So much smaller than the next must the smallest eigenvalue be, or the filters are not determined.
_UNIQUE = 0.05
_ITERATIONS = 400


@dataclass(frozen=True)
class BlindIdentification:
    """`reason` says why the attack does not apply, if it does not; then the rest is None.

    `psnr`: of the frame, in dB, once gain and offset are right. `frame` (1, 1, height, width) is so too.
    """

    reason: str
    psnr: float | None = None
    kernel: int | None = None
    frame: Tensor | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "applicable": not self.reason,
            "reason": self.reason,
            "input_psnr": self.psnr,
            "kernel": self.kernel,
        }


def identify(private: Private, frames: Tensor, features: Tensor) -> BlindIdentification:
    """Attacks the first of `frames` (n, channels, height, width), n >= 16, through its features alone.

    The others serve to find out whether the attack's conditions hold, which is computed, not assumed.
    """
    reason = _obstacle(private, frames, features)
    if reason:
        return BlindIdentification(reason)
    seen, truth = features[:1].double(), frames[:1].double()
    differences = torch.cat([seen[0].diff(dim=1)[:, :, 1:], seen[0].diff(dim=2)[:, 1:]], 1)
    for kernel in _KERNELS:
        filters = _filters(differences, seen.shape[2] - 1, kernel)
        if filters is not None:
            frame = _frame(seen, filters, truth.shape)
            if frame is None:
                continue
            fitted = _affinely_fitted(frame, truth)
            peak = float(frames.max() - frames.min())
            return BlindIdentification(
                "", float(decibels(fitted / peak, truth / peak)), kernel, fitted.float()
            )
    return BlindIdentification("no kernel of 2x2 to 7x7 satisfies the cross relations between channels")


def _obstacle(private: Private, frames: Tensor, features: Tensor) -> str:
    defect = nonlinearity(private.function, frames)
    if defect > LINEAR:
        return f"features are not linear in the frame: superposition fails by {defect:.0%}"
    if frames.shape[1] != 1:
        return f"frames have {frames.shape[1]} channels, which filters mix"
    if features.ndim != 4 or features.shape[1] < 2:
        return "features are no maps of two channels or more"
    pixels, numbers = math.prod(frames.shape[1:]), math.prod(features.shape[1:])
    if numbers <= pixels:
        return f"there are no more features ({numbers}) than pixels ({pixels})"
    if any(frames.shape[axis] - features.shape[axis] >= max(_KERNELS) for axis in (2, 3)):
        return "features are sampled at fewer places than pixels, so that filters stay mixed"
    return ""


def _windows(values: Tensor, kernel: int) -> Tensor:
    """(channels, height, width) to (channels, positions, kernel^2)."""
    return F.unfold(values[:, None], kernel).transpose(1, 2)


def _filters(differences: Tensor, height: int, kernel: int) -> Tensor | None:
    """(channels, 1, kernel, kernel) up to scale, from differences of features stacked along the height."""
    channels = len(differences)
    parts = [_windows(part, kernel) for part in (differences[:, :height], differences[:, height:])]
    windows = torch.cat(parts, 1)
    size = kernel**2
    gram = torch.einsum("apk,bpl->abkl", windows, windows)
    matrix = torch.zeros(channels, size, channels, size, dtype=torch.float64)
    for a in range(channels):
        matrix[a, :, a, :] = gram.diagonal().permute(2, 0, 1).sum(0) - gram[a, a]
        for b in range(channels):
            if a != b:
                matrix[a, :, b, :] = -gram[b, a]
    scales, directions = torch.linalg.eigh(matrix.reshape(channels * size, -1))
    if scales[0].clamp_min(0) > _UNIQUE * scales[1]:
        return None
    return torch.reshape(directions[:, 0], (channels, 1, kernel, kernel))


def _frame(seen: Tensor, filters: Tensor, shape: torch.Size) -> Tensor | None:
    """Frame and biases by conjugate gradients on the normal equations."""
    missing = shape[2] - seen.shape[2]
    kernel = filters.shape[2]
    padding, odd = divmod(kernel - 1 - missing, 2)
    if odd or padding < 0:
        return None

    def forward(x: Tensor, bias: Tensor) -> Tensor:
        return F.conv2d(x, filters, padding=padding) + bias

    def adjoint(y: Tensor) -> tuple[Tensor, Tensor]:
        return F.conv_transpose2d(y, filters, padding=padding), y.sum((0, 2, 3), keepdim=True)

    x, bias = torch.zeros(shape, dtype=torch.float64), torch.zeros(1, len(filters), 1, 1, dtype=torch.float64)
    residual = adjoint(seen)
    direction = residual
    size = sum(float((part**2).sum()) for part in residual)
    start = size
    for _ in range(_ITERATIONS):
        image = forward(*direction)
        step = size / max(float((image**2).sum()), 1e-300)
        x, bias = x + step * direction[0], bias + step * direction[1]
        back = adjoint(image)
        residual = (residual[0] - step * back[0], residual[1] - step * back[1])
        new = sum(float((part**2).sum()) for part in residual)
        if new < 1e-24 * start:
            break
        ratio, size = new / size, new
        direction = (residual[0] + ratio * direction[0], residual[1] + ratio * direction[1])
    return x


def _affinely_fitted(frame: Tensor, truth: Tensor) -> Tensor:
    ones = torch.ones_like(frame).flatten()
    matrix = torch.stack([frame.flatten(), ones], 1)
    gain: Tensor = torch.linalg.lstsq(matrix, truth.flatten()[:, None]).solution
    return torch.matmul(matrix, gain).reshape(truth.shape)
