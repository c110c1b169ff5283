"""The first attack: a decoder, trained on pairs of frames and features as any tester's cluster has them.

The cluster enrols as a tester with people of its own: it knows those frames, and sees their features. What
it trains with them it turns to the features of everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from pvcnn.leak import budget
from pvcnn.leak.data import Frames
from pvcnn.leak.image_quality import decibels, similarity
from pvcnn.leak.networks import Decoder
from pvcnn.leak.private import in_parts

_STEP = 16


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """`inputs` and `pictures` (n, channels, height, width) of the attacked frames, as the decoder sees them.

    `decibels` (n,) and `similarity` (n,) compare pictures, `input_decibels` (n,) what the private part
    took, whose range counts as the peak.
    """

    inputs: Tensor
    pictures: Tensor
    decibels: Tensor
    similarity: Tensor
    input_decibels: Tensor
    baseline: float
    training: budget.Training
    parameters: int

    def to_dict(self) -> dict[str, Any]:
        """Means over the attacked frames; the baseline is the mean of the attacker's pictures."""
        return {
            "picture_psnr": float(self.decibels.mean()),
            "picture_ssim": float(self.similarity.mean()),
            "input_psnr": float(self.input_decibels.mean()),
            "mean_picture_psnr": self.baseline,
            "steps": self.training.steps,
            "epochs": self.training.epochs,
            "cpu_seconds": self.training.seconds,
            "parameters": self.parameters,
        }


def reconstruct(
    train: Frames, features: Tensor, attacked: Frames, seen: Tensor, seconds: float, seed: int
) -> Reconstruction:
    """Trains with `train` and its `features`, then decodes `seen`, the features of `attacked`."""
    channels = train.inputs.shape[1]
    low, high = float(train.inputs.min()), float(train.inputs.max())
    span = max(high - low, 1e-6)
    # Of unit variance both, so that neither is learned at the cost of the other.
    contrast = [float(images.std().clamp_min(1e-6)) for images in (train.inputs, train.pictures)]
    middle = [float(images.mean()) for images in (train.inputs, train.pictures)]
    standard = zip((train.inputs, train.pictures), middle, contrast, strict=True)
    targets = torch.cat([(images - mean) / deviation for images, mean, deviation in standard], 1)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = Decoder(features, tuple(train.inputs.shape[1:]), targets.shape[1])
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = budget.steps_for(seconds, _STEP * budget.multiplications(network, features[:1]))
    training = budget.train(
        network,
        lambda chosen: F.mse_loss(network(features[chosen]), targets[chosen]),
        len(features),
        _STEP,
        steps,
        seed,
    )
    with torch.no_grad():
        decoded = torch.cat([network(part) for part in in_parts(seen)])
    inputs = (decoded[:, :channels] * contrast[0] + middle[0]).clamp(low, high)
    pictures = (decoded[:, channels:] * contrast[1] + middle[1]).clamp(0, 1)
    average = train.pictures.mean(0, keepdim=True).expand_as(attacked.pictures)
    return Reconstruction(
        inputs,
        pictures,
        decibels(pictures, attacked.pictures),
        similarity(pictures, attacked.pictures),
        decibels((inputs - low) / span, (attacked.inputs - low) / span),
        float(decibels(average, attacked.pictures).mean()),
        training,
        sum(parameter.numel() for parameter in network.parameters()),
    )
