"""The ranges of a graph's values on calibration frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pvcnn.partition.float_graph.graph import FloatGraph

#: Frames evaluated at once, so that memory does not grow with their number.
BATCH = 16


@dataclass(frozen=True, eq=False)
class ValueRange:
    """Smallest and largest value; for each channel, (channels,) float64, largest magnitude and mean."""

    low: float
    high: float
    peaks: Tensor
    means: Tensor


def calibrate(graph: FloatGraph, frames: Tensor) -> tuple[ValueRange, ...]:
    """The range of every value on `frames` (N, *graph.input_shape), N >= 1: first that of the frames.

    Raises ValueError, naming the layer, for values that are not finite.
    """
    ranges: list[ValueRange] = []
    for batch in batches(frames):
        share = len(batch) / len(frames)
        found = [_range(values, share) for values in _values(graph, batch)]
        ranges = [_union(*pair) for pair in zip(ranges, found, strict=True)] if ranges else found
    for name, bounds in zip(["frames", *(layer.name for layer in graph.layers)], ranges, strict=True):
        if not bool(torch.isfinite(bounds.peaks).all()):
            raise ValueError(f"{name}: values on calibration frames must be finite")
    return tuple(ranges)


def batches(frames: Tensor) -> Iterator[Tensor]:
    """`frames` in parts of at most BATCH."""
    for start in range(0, len(frames), BATCH):
        yield frames[start : start + BATCH]


def _values(graph: FloatGraph, frames: Tensor) -> Iterator[Tensor]:
    yield frames
    yield from graph.evaluate(frames)


def _range(values: Tensor, share: float) -> ValueRange:
    """The range of one batch; its means count for the `share` that it has of all frames."""
    by_channel = values.transpose(0, 1).flatten(1)
    return ValueRange(
        low=float(values.min()),
        high=float(values.max()),
        peaks=by_channel.abs().amax(dim=1),
        means=by_channel.mean(dim=1) * share,
    )


def _union(a: ValueRange, b: ValueRange) -> ValueRange:
    return ValueRange(
        low=min(a.low, b.low),
        high=max(a.high, b.high),
        peaks=torch.maximum(a.peaks, b.peaks),
        means=a.means + b.means,
    )
