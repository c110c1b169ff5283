"""What follows from a layer alone: the shape of its output, and bounds on its values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from pvcnn.program.layers import (
    Affine,
    Argmax,
    AveragePool,
    Combine,
    Concatenate,
    Convolution,
    Correct,
    Flatten,
    Hadamard,
    Layer,
    Linear,
    Logits,
    MaxPool,
    Requantise,
    Shape,
    Sign,
)
from pvcnn.program.windows import Windows

#: Inclusive.
Range: TypeAlias = tuple[int, int]


def output_shape(layer: Layer, *shapes: Shape) -> Shape:
    """The shape that `layer` makes of `shapes`. Raises ValueError, naming the layer, if it cannot."""
    shape = shapes[0]
    result: Shape
    match layer:
        case Convolution():
            if len(shape) != 3 or shape[0] != layer.in_channels:
                raise ValueError(f"{layer.name}: expects {layer.in_channels} channels, gets shape {shape}")
            result = (layer.out_channels, *layer.windows.outputs(*shape[1:]))
        case Linear():
            if shape != (layer.in_features,):
                raise ValueError(f"{layer.name}: expects {layer.in_features} features, gets shape {shape}")
            result = (layer.out_features,)
        case MaxPool() | AveragePool():
            if len(shape) != 3:
                raise ValueError(f"{layer.name}: expects channels, height and width, gets shape {shape}")
            result = (shape[0], *layer.windows.outputs(*shape[1:]))
            if isinstance(layer, MaxPool) and min(result) >= 1:
                _require_entries(layer.name, layer.windows, shape, result)
        case Combine():
            if any(other != shape for other in shapes):
                raise ValueError(f"{layer.name}: cannot add tensors of the shapes {shapes}")
            result = shape
        case Concatenate():
            if any(other[1:] != shape[1:] for other in shapes):
                raise ValueError(f"{layer.name}: cannot concatenate tensors of the shapes {shapes}")
            result = (sum(other[0] for other in shapes), *shape[1:])
        case Hadamard():
            if shapes[1] not in (shape, (shape[0], *[1] * (len(shape) - 1))):
                raise ValueError(f"{layer.name}: cannot multiply tensors of the shapes {shapes}")
            result = shape
        case Flatten():
            result = (math.prod(shape),)
        case Sign():
            if shape != (1,):
                raise ValueError(f"{layer.name}: expects one logit, gets shape {shape}")
            result = shape
        case Argmax():
            if len(shape) != 1 or shape[0] < 2:
                raise ValueError(f"{layer.name}: expects two or more logits, gets shape {shape}")
            result = (1,)
        case Logits():
            if len(shape) != 1:
                raise ValueError(f"{layer.name}: expects logits, gets shape {shape}")
            result = shape
        case Correct():
            if len(shape) != 1:
                raise ValueError(f"{layer.name}: expects logits, gets shape {shape}")
            result = (1,)
        case Requantise():
            result = shape
    if min(result) < 1:
        raise ValueError(f"{layer.name}: nothing is left of shape {shape}")
    return result


def _require_entries(name: str, windows: Windows, shape: Shape, result: Shape) -> None:
    if any(windows.has_bare_padding(axis, result[1 + axis], shape[1 + axis]) for axis in (0, 1)):
        raise ValueError(f"{name}: a window of shape {shape} holds nothing but padding")


def output_range(layer: Layer, shapes: Sequence[Shape], ranges: Sequence[Range]) -> Range:
    """Bounds of what `layer` makes of tensors of `shapes` with values in `ranges`, whatever its weights."""
    low, high = ranges[0]
    match layer:
        case Convolution() | Linear():
            peak = accumulator_peak(layer, low, high)
            return -peak, peak
        case Requantise():
            return int(layer.table.values.min()), int(layer.table.values.max())
        case AveragePool():
            if layer.windows.is_padded:
                low, high = min(low, 0), max(high, 0)
            return low * layer.windows.size, high * layer.windows.size
        case Combine():
            ends = [
                sorted((factor * low, factor * high))
                for factor, (low, high) in zip(layer.multipliers, ranges, strict=True)
            ]
            low, high = (sum(bounds) for bounds in zip(*ends, strict=True))
            return layer.constant + low, layer.constant + high
        case Concatenate():
            return min(low for low, _ in ranges), max(high for _, high in ranges)
        case Hadamard():
            corners = [left * right for left in ranges[0] for right in ranges[1]]
            return min(corners), max(corners)
        case Sign() | Correct():
            return 0, 1
        case Argmax():
            return 0, shapes[0][0] - 1
        case MaxPool() | Flatten() | Logits():
            return low, high


def accumulator_peak(layer: Affine, low: int, high: int) -> int:
    """Bounds every partial sum of the layer in magnitude, for inputs in [low, high] and 0."""
    products = layer.fan_in * max(abs(low), abs(high)) << (layer.weight_bits - 1)
    return products + ((1 << layer.bias_bits) >> 1 if layer.bias_bits else 0)
