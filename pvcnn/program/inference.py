"""The exact integer inference that is proved (docs/protocol.md, section "Programs").

Everything is int64. Products of matrices go through float64 where every partial sum is an integer
below 2^53 in magnitude, hence exact in any order of summation; otherwise through int64, which
`Program` guarantees to suffice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import RangeError
from pvcnn.program.layers import (
    AveragePool,
    Convolution,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Requantise,
    Sign,
    output_shape,
)
from pvcnn.program.program import Program, accumulator_peak
from pvcnn.program.weights import Weights

Integers = NDArray[np.int64]

_FLOAT64_EXACT = 1 << 53
_REMEDY = "calibrate again with frames like this one: pvcnn.split(model, calibration_frames)"


@dataclass(frozen=True, eq=False, repr=False)
class LayerTrace:
    """What one layer makes of N frames: `output` is (N, *shape) int64.

    A Requantise layer also has `quotient` q and `remainder` rem in [0, 2^shift), of the same shape,
    with y = 2^shift q + rem - 2^(shift-1), and y = q, rem = 0 when shift is 0 (docs/protocol.md,
    eq. (3)); for all others they are None.
    """

    output: Integers
    quotient: Integers | None = None
    remainder: Integers | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """The features (N, *input_shape), and every layer's values in the program's order."""

    features: Integers
    layers: tuple[LayerTrace, ...]

    @property
    def decisions(self) -> Integers:
        """0 or 1 a frame: (N,)."""
        return self.layers[-1].output[:, 0]


def trace(program: Program, weights: Weights, features: Integers) -> Trace:
    """All values of the program on N frames. `features`: integers, (N, *program.input_shape).

    Raises ValueError for another shape or type, and RangeError, naming layer, position, value and
    remedy, for a value outside its range. The latter's message holds secrets.
    """
    if weights.program != program:
        raise ValueError("the weights belong to another program")
    values = _checked_features(program, features)
    checked = values
    layers = []
    for layer, bounds in zip(program.layers, program.ranges[:-1], strict=True):
        layers.append(_apply(layer, weights, values, bounds))
        values = layers[-1].output
    return Trace(checked, tuple(layers))


def _checked_features(program: Program, features: Integers) -> Integers:
    features = np.asarray(features)
    if not np.issubdtype(features.dtype, np.integer):
        raise ValueError(f"features must be integers, not {features.dtype}")
    if features.shape[1:] != program.input_shape:
        raise ValueError(
            f"features must have a leading batch axis and the shape {program.input_shape}, "
            f"not {features.shape}"
        )
    _check_range("features", features, program.input_low, program.input_high)
    return features.astype(np.int64)


def _check_range(name: str, values: Integers, low: int, high: int) -> None:
    outside = (values < low) | (values > high)
    if not outside.any():
        return
    frame, *position = (int(i) for i in np.argwhere(outside)[0])
    raise RangeError(
        f"{name}, frame {frame}, position {tuple(position)}: {int(values[(frame, *position)])} lies "
        f"outside [{low}, {high}] ({int(outside.sum())} such values); {_REMEDY}"
    )


def _apply(layer: Layer, weights: Weights, x: Integers, bounds: tuple[int, int]) -> LayerTrace:
    match layer:
        case Convolution():
            return LayerTrace(_convolve(layer, weights, x, bounds))
        case Linear():
            return LayerTrace(_linear(layer, weights, x, bounds))
        case Requantise():
            return _requantise(layer, x)
        case MaxPool():
            return LayerTrace(_windows(x, layer.size).max(axis=(3, 5)))
        case AveragePool():
            return LayerTrace(_windows(x, layer.size).sum(axis=(3, 5)))
        case Flatten():
            return LayerTrace(x.reshape(len(x), math.prod(x.shape[1:])))
        case Sign():
            return LayerTrace((x > 0).astype(np.int64))


def _convolve(layer: Convolution, weights: Weights, x: Integers, bounds: tuple[int, int]) -> Integers:
    _, height, width = output_shape(layer, x.shape[1:])
    number = _number_type(accumulator_peak(layer, *bounds))
    margin = (layer.padding, layer.padding)
    padded = np.pad(x.astype(number), ((0, 0), (0, 0), margin, margin))
    weight = weights.weight[layer.name].astype(number)
    result = np.zeros((len(x), layer.out_channels, height * width), number)
    reach = (layer.stride * (height - 1) + 1, layer.stride * (width - 1) + 1)
    for row in range(layer.kernel):
        for column in range(layer.kernel):
            window = padded[:, :, row : row + reach[0], column : column + reach[1]]
            window = window[:, :, :: layer.stride, :: layer.stride]
            result += weight[:, :, row, column] @ window.reshape(len(x), layer.in_channels, height * width)
    sums = result.astype(np.int64) + weights.bias[layer.name][:, None]
    return sums.reshape(len(x), layer.out_channels, height, width)


def _linear(layer: Linear, weights: Weights, x: Integers, bounds: tuple[int, int]) -> Integers:
    number = _number_type(accumulator_peak(layer, *bounds))
    products: Integers = (x.astype(number) @ weights.weight[layer.name].astype(number).T).astype(np.int64)
    return products + weights.bias[layer.name]


def _number_type(peak: int) -> np.dtype[Any]:
    return np.dtype(np.float64 if peak < _FLOAT64_EXACT else np.int64)


def _requantise(layer: Requantise, y: Integers) -> LayerTrace:
    half = (1 << layer.shift) >> 1
    quotient = (y + half) >> layer.shift
    remainder = y + half - (quotient << layer.shift)
    _check_range(f"{layer.name} (quotient)", quotient, layer.table.low, layer.table.high)
    return LayerTrace(layer.table.values[quotient - layer.table.low], quotient, remainder)


def _windows(x: Integers, size: int) -> Integers:
    """(N, C, height, size, width, size): the disjoint windows, rows and columns left over dropped."""
    frames, channels, height, width = x.shape
    height, width = height // size, width // size
    cropped = x[:, :, : height * size, : width * size]
    return cropped.reshape(frames, channels, height, size, width, size)
