"""The exact integer inference that is proved (docs/protocol.md, section "Programs").

Everything is int64. Products with weights go through float64 where every partial sum is an integer
below 2^53 in magnitude, hence exact in any order of summation; otherwise through int64, which
`Program` guarantees to suffice (`pvcnn.program.linear_maps`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import RangeError
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
    Output,
    Requantise,
    Sign,
)
from pvcnn.program.program import FEATURES, Program
from pvcnn.program.weights import Weights
from pvcnn.program.windows import Windows

Integers = NDArray[np.int64]

_REMEDY = "calibrate again with frames like this one: pvcnn.split(model, calibration_frames)"


@dataclass(frozen=True, eq=False, repr=False)
class LayerTrace:
    """What one node makes of N frames: `output` is (N, *shape) int64.

    One with a Requantise layer also has `quotient` q and `remainder` rem in [0, 2^shift), of the same shape,
    with y = 2^shift q + rem - 2^(shift-1), and y = q, rem = 0 when shift is 0 (docs/protocol.md,
    eq. (3)); for all others they are None.
    """

    output: Integers
    quotient: Integers | None = None
    remainder: Integers | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """The features (N, *input_shape), and what each node makes, in the program's order.

    `labels` (N,), of a program that takes none (0,). A Correct node makes 1 of a frame whose decision is its
    label, else 0.
    """

    features: Integers
    labels: Integers
    layers: tuple[LayerTrace, ...]
    output: Output

    @property
    def outputs(self) -> Integers:
        """What is revealed: (N, outputs of a frame), or (1, 1), a count, if the program ends with Correct."""
        return _revealed(self.output, self.layers[-1].output)

    @property
    def decisions(self) -> Integers:
        """Of a program with one output, Sign or Argmax, that of each frame: (N,)."""
        return self.outputs[:, 0]


def trace(program: Program, weights: Weights, features: Integers, labels: Integers | None = None) -> Trace:
    """All values of the program on N frames. `features`: integers, (N, *program.input_shape).

    `labels`: integers (N,) in [0, program.label_classes), where that is not None.

    Raises ValueError for another shape or type, for labels that are missing or not asked for, and RangeError,
    naming layer, position, value and remedy, for a value outside its range. The latter's message holds
    secrets.
    """
    checked = _checked_features(program, weights, features)
    classes = _checked_labels(program, labels, len(checked))
    return Trace(checked, classes, tuple(_evaluate(program, weights, checked, classes)), program.output)


def trace_by_node(
    program: Program, weights: Weights, features: Integers, labels: Integers | None = None
) -> Iterator[LayerTrace]:
    """What each node makes, one after another, where `trace` would need too much memory.

    Raises what `trace` raises.
    """
    checked = _checked_features(program, weights, features)
    yield from _evaluate(program, weights, checked, _checked_labels(program, labels, len(checked)))


def infer(program: Program, weights: Weights, features: Integers, labels: Integers | None = None) -> Integers:
    """The outputs alone, as `Trace.outputs`. Holds no value longer than a later node needs it.

    Raises what `trace` raises.
    """
    last = None
    for made in trace_by_node(program, weights, features, labels):
        last = made.output
    assert last is not None
    return _revealed(program.output, last)


def _revealed(layer: Output, made: Integers) -> Integers:
    """Of what the last node makes (N, outputs of a frame)."""
    return made.sum(axis=0, keepdims=True) if isinstance(layer, Correct) else made


def _evaluate(
    program: Program, weights: Weights, features: Integers, labels: Integers
) -> Iterator[LayerTrace]:
    """What each node makes."""
    values = {FEATURES: features}
    for index, node in enumerate(program.nodes):
        made = _apply(node.layer, weights, [values[number] for number in node.inputs], labels)
        values[index + 1] = made.output
        for number in program.last_uses(index):
            del values[number]
        yield made


def _checked_features(program: Program, weights: Weights, features: Integers) -> Integers:
    if weights.program != program:
        raise ValueError("the weights belong to another program")
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


def _checked_labels(program: Program, labels: Integers | None, frames: int) -> Integers:
    classes = program.label_classes
    if labels is None or classes is None:
        if labels is not None or classes is not None:
            raise ValueError(f"{program.output.name}: {'takes' if classes else 'takes no'} labels")
        return np.zeros(0, np.int64)
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (frames,):
        raise ValueError(f"labels must be {frames} integers, one a frame")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise RangeError(
            f"label of frame {wrong[0]}: {labels[wrong[0]]} is not a class from 0 to {classes - 1}"
        )
    return labels.astype(np.int64)


def _check_range(name: str, values: Integers, low: int, high: int) -> None:
    outside = (values < low) | (values > high)
    if not outside.any():
        return
    frame, *position = (int(i) for i in np.argwhere(outside)[0])
    raise RangeError(
        f"{name}, frame {frame}, position {tuple(position)}: {int(values[(frame, *position)])} lies "
        f"outside [{low}, {high}] ({int(outside.sum())} such values); {_REMEDY}"
    )


def _apply(layer: Layer, weights: Weights, inputs: Sequence[Integers], labels: Integers) -> LayerTrace:
    x = inputs[0]
    match layer:
        case Convolution() | Linear():
            return LayerTrace(_affine(layer, weights, x))
        case Requantise():
            return _requantise(layer, x)
        case MaxPool():
            parts = _slices(layer.windows, x, np.iinfo(np.int64).min)
            result = next(parts)[2].copy()
            for _, _, part in parts:
                np.maximum(result, part, out=result)
            return LayerTrace(result)
        case AveragePool():
            parts = _slices(layer.windows, x, 0)
            result = next(parts)[2].copy()
            for _, _, part in parts:
                result += part
            return LayerTrace(result)
        case Combine():
            result = np.full_like(x, layer.constant)
            for multiplier, values in zip(layer.multipliers, inputs, strict=True):
                result += multiplier * values
            return LayerTrace(result)
        case Concatenate():
            return LayerTrace(np.concatenate(inputs, axis=1))
        case Hadamard():
            return LayerTrace(x * inputs[1])
        case Flatten():
            return LayerTrace(x.reshape(len(x), int(np.prod(x.shape[1:]))))
        case Sign() | Argmax():
            return LayerTrace(_decisions(x))
        case Logits():
            return LayerTrace(x)
        case Correct():
            return LayerTrace((_decisions(x) == labels[:, None]).astype(np.int64))


def _decisions(logits: Integers) -> Integers:
    """(N, 1): whether a single logit is positive, or which of several is the largest, the first if equal."""
    decided = logits > 0 if logits.shape[1] == 1 else logits.argmax(axis=1)[:, None]
    return decided.astype(np.int64)


def _slices(windows: Windows, x: NDArray[Any], fill: int) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """For each kernel position (d, e) what all outputs meet there, (N, C, Ho, Wo); padding is `fill`."""
    top, bottom, left, right = windows.padding
    rows, columns = windows.outputs(*x.shape[2:])
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    for d in range(windows.kernel[0]):
        first_row = windows.dilation[0] * d
        last_row = first_row + windows.stride[0] * (rows - 1)
        for e in range(windows.kernel[1]):
            first = windows.dilation[1] * e
            last = first + windows.stride[1] * (columns - 1)
            yield (
                d,
                e,
                padded[
                    :, :, first_row : last_row + 1 : windows.stride[0], first : last + 1 : windows.stride[1]
                ],
            )


def _affine(layer: Affine, weights: Weights, x: Integers) -> Integers:
    linear_map = weights.linear_maps[layer.name]
    products = linear_map.times_integers(x.reshape(len(x), *linear_map.inputs))
    if layer.bias_bits:
        products += weights.bias[layer.name][:, None, None]
    return products if isinstance(layer, Convolution) else products[:, :, 0, 0]


def _requantise(layer: Requantise, y: Integers) -> LayerTrace:
    half = (1 << layer.shift) >> 1
    quotient = (y + half) >> layer.shift
    remainder = y + half - (quotient << layer.shift)
    _check_range(f"{layer.name} (quotient)", quotient, layer.table.low, layer.table.high)
    return LayerTrace(layer.table.values[quotient - layer.table.low], quotient, remainder)
