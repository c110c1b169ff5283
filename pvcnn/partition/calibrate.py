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
    """Smallest and largest value, and for each channel the largest magnitude: (channels,) float64."""

    low: float
    high: float
    peaks: Tensor


def calibrate(layers: tuple[FloatLayer, ...], frames: Tensor) -> tuple[LayerRange, ...]:
    """The range of every layer's output on `frames` (N, channels, height, width), N >= 1."""
    ranges: list[LayerRange] | None = None
    for batch in batches(frames):
        found = [_range(values) for values in evaluate(layers, batch)]
        ranges = found if ranges is None else [_union(*pair) for pair in zip(ranges, found, strict=True)]
    return tuple(ranges or ())


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


def _range(values: Tensor) -> LayerRange:
    peaks = values.abs().transpose(0, 1).flatten(1).amax(dim=1)
    return LayerRange(float(values.min()), float(values.max()), peaks)


def _union(a: LayerRange, b: LayerRange) -> LayerRange:
    return LayerRange(min(a.low, b.low), max(a.high, b.high), torch.maximum(a.peaks, b.peaks))
