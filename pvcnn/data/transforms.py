"""Image operations on batches: (n, side, side) float32 in [0, 1], one parameter per image.

They are the disturbances of self-blended images (Shiohara and Yamasaki, arXiv 2204.08376) and, on
whole frames, what makes a frame harder without making it a fake.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Strength:
    """The largest change that `disturb` makes."""

    contrast: float = 0.30  # log of the factor
    brightness: float = 0.10
    gamma: float = 0.35  # log of the exponent
    soften: float = 1.0  # share of the fine detail removed
    sharpen: float = 1.2  # share of the fine detail added
    angle: float = math.radians(3.5)
    zoom: float = 0.04  # log of the factor
    shift: float = 2.0  # pixels
    probability: float = 0.5  # of each kind of change, drawn independently
    resampling: float = 0.25  # probability of going through a smaller image


def uniform(count: int, low: float, high: float, generator: Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def chance(count: int, probability: float, generator: Generator) -> Tensor:
    """(count,) booleans, each true with `probability`."""
    return torch.rand(count, generator=generator) < probability


def signed(count: int, limit: float, generator: Generator) -> Tensor:
    """Of either sign and at least a third of the limit: a change too small to see teaches nothing."""
    sign = torch.where(chance(count, 0.5, generator), 1.0, -1.0)
    return sign * uniform(count, limit / 3, limit, generator)


def tone(images: Tensor, contrast: Tensor, brightness: Tensor, gamma: Tensor) -> Tensor:
    """Contrast (a factor) about the image's mean, brightness (added), then gamma (an exponent)."""
    mean = images.mean((1, 2), keepdim=True)
    scaled = (images - mean) * _each(contrast) + mean + _each(brightness)
    return scaled.clamp(1e-4, 1) ** _each(gamma)


def detail(images: Tensor, amount: Tensor) -> Tensor:
    """Adds `amount` times what a Gaussian of 1 pixel removes: -1 blurs, more than 0 sharpens."""
    smooth = _smooth(_smooth(images, 1), 2)
    return images + _each(amount) * (images - smooth)


def warp(images: Tensor, angle: Tensor, zoom: Tensor, shift: Tensor) -> Tensor:
    """Rotation (radians), zoom (a factor) and shift ((n, 2) pixels) about the centre, bilinear."""
    if not len(images):  # affine_grid takes no empty batch
        return images
    side = images.shape[-1]
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    offset = shift * (2 / side)
    matrix = torch.stack(
        (torch.stack((cosine, -sine, offset[:, 0]), 1), torch.stack((sine, cosine, offset[:, 1]), 1)), 1
    )
    grid = functional.affine_grid(matrix, [len(images), 1, side, side], align_corners=False)
    moved = functional.grid_sample(images[:, None], grid, padding_mode="reflection", align_corners=False)
    return moved[:, 0]


def resample(images: Tensor, side: int) -> Tensor:
    """Down to `side` pixels and back."""
    if not len(images):  # neither does interpolate
        return images
    full = images.shape[-1]
    small = functional.interpolate(images[:, None], size=(side, side), mode="bilinear", antialias=True)
    return functional.interpolate(small, size=(full, full), mode="bilinear")[:, 0]


def disturb(images: Tensor, generator: Generator, strength: Strength) -> Tensor:
    """A random change of tone, detail and geometry to each image, and at least one of the three."""
    n = len(images)
    chosen = torch.stack([chance(n, strength.probability, generator) for _ in range(3)])
    chosen[torch.randint(3, (n,), generator=generator), torch.arange(n)] = True
    toned, detailed, moved = (mask.nonzero()[:, 0] for mask in chosen)
    result = images.clone()
    n = len(toned)
    result[toned] = tone(
        result[toned],
        torch.exp(signed(n, strength.contrast, generator)),
        signed(n, strength.brightness, generator),
        torch.exp(signed(n, strength.gamma, generator)),
    )
    n = len(detailed)
    amount = torch.where(
        chance(n, 0.5, generator),
        -uniform(n, strength.soften / 3, strength.soften, generator),
        uniform(n, strength.sharpen / 3, strength.sharpen, generator),
    )
    result[detailed] = detail(result[detailed], amount)
    n = len(moved)
    result[moved] = warp(
        result[moved],
        signed(n, strength.angle, generator),
        torch.exp(signed(n, strength.zoom, generator)),
        torch.stack([signed(n, strength.shift, generator) for _ in range(2)], 1),
    )
    return maybe_resample(result, strength.resampling, generator).clamp(0, 1)


def maybe_resample(images: Tensor, probability: float, generator: Generator) -> Tensor:
    """Takes each image through 50 to 80 % of its size (one size a batch), with the given probability."""
    full = images.shape[-1]
    side = int(torch.randint(full // 2, full * 4 // 5, (1,), generator=generator))
    rough = chance(len(images), probability, generator).nonzero()[:, 0]
    result = images.clone()
    result[rough] = resample(images[rough], side)
    return result


def degrade(images: Tensor, generator: Generator) -> Tensor:
    """What happens to whole frames, real or fake, on their way: resampling, contrast and noise."""
    n = len(images)
    result = maybe_resample(images, 0.5, generator)
    result = tone(
        result,
        torch.exp(uniform(n, -0.3, 0.3, generator)),
        uniform(n, -0.1, 0.1, generator),
        torch.exp(uniform(n, -0.2, 0.2, generator)),
    )
    noise = torch.randn(images.shape, generator=generator) * _each(uniform(n, 0, 0.02, generator))
    return (result + noise).clamp(0, 1)


def _smooth(images: Tensor, axis: int) -> Tensor:
    """A Gaussian of 1 pixel along one axis. A sum of slices: torch's one-channel convolution is slow."""
    side = images.shape[axis]
    before, after = images.narrow(axis, 1, 2).flip(axis), images.narrow(axis, side - 3, 2).flip(axis)
    padded = torch.cat((before, images, after), axis)
    weights = [math.exp(-0.5 * offset**2) for offset in range(-2, 3)]
    total = torch.zeros_like(images)
    for start, weight in enumerate(weights):
        total.add_(padded.narrow(axis, start, side), alpha=weight / sum(weights))
    return total


def _each(parameter: Tensor) -> Tensor:
    return parameter[:, None, None]
