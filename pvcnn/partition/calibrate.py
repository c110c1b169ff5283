"""The ranges of a chain's values on calibration frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pvcnn.partition.graph import FloatLayer, apply

#: Frames evaluated at once, so that memory does not grow with their number.
BATCH = 64


@dataclass(frozen=True, eq=False)
class LayerRange:
    """Smallest and largest value; for each channel, (channels,) float64, largest magnitude and mean."""

    low: float
    high: float
    peaks: Tensor
    means: Tensor


def calibrate(layers: tuple[FloatLayer, ...], frames: Tensor) -> tuple[LayerRange, ...]:
    """The range of every layer's output on `frames` (N, channels, height, width), N >= 1."""
    ranges: list[LayerRange] = []
    for batch in batches(frames):
        share = len(batch) / len(frames)
        found = [_range(values, share) for values in evaluate(layers, batch)]
        ranges = [_union(*pair) for pair in zip(ranges, found, strict=True)] if ranges else found
    return tuple(ranges)


def batches(frames: Tensor) -> Iterator[Tensor]:
    """`frames` in parts of at most BATCH."""
    for start in range(0, len(frames), BATCH):
        yield frames[start : start + BATCH]


@torch.no_grad()
def evaluate(layers: tuple[FloatLayer, ...], frames: Tensor) -> list[Tensor]:
    """The output of every layer, in order."""
    outputs = []
    values = frames
    for layer in layers:
        values = apply(layer, values)
        outputs.append(values)
    return outputs


def _range(values: Tensor, share: float) -> LayerRange:
    """The range of one batch; its means count for the `share` that it has of all frames."""
    by_channel = values.transpose(0, 1).flatten(1)
    return LayerRange(
        low=float(values.min()),
        high=float(values.max()),
        peaks=by_channel.abs().amax(dim=1),
        means=by_channel.mean(dim=1) * share,
    )


def _union(a: LayerRange, b: LayerRange) -> LayerRange:
    return LayerRange(
        low=min(a.low, b.low),
        high=max(a.high, b.high),
        peaks=torch.maximum(a.peaks, b.peaks),
        means=a.means + b.means,
    )
