"""The layers of a float graph: what torch's layers come down to at inference.

Tensors are float64 on the processor. Shapes are those of one frame, (channels, height, width) or
(features,); `apply` takes batches. Dropout does nothing at inference and leaves no layer. No `repr`
shows a weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.float_graph.activations import Activation
from pvcnn.program.layers import MAX_INPUTS, Shape
from pvcnn.program.windows import Windows


@dataclass(frozen=True, eq=False)
class Conv2d:
    """weight: (out, in / groups, *windows.kernel); bias: (out,). Padding is 0."""

    name: str
    weight: Tensor = field(repr=False)
    bias: Tensor = field(repr=False)
    windows: Windows
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Linear:
    """weight: (out, in); bias: (out,)."""

    name: str
    weight: Tensor = field(repr=False)
    bias: Tensor = field(repr=False)


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """y = x * scale + shift for each channel or feature, with the running statistics inside: (channels,)."""

    name: str
    scale: Tensor = field(repr=False)
    shift: Tensor = field(repr=False)


@dataclass(frozen=True)
class MaxPool:
    """The maximum of each window's entries; padding does not count. No window may hold padding alone."""

    name: str
    windows: Windows


@dataclass(frozen=True)
class AveragePool:
    """The sum of each window's entries, padding being 0, over `divisor`. Windows have no dilation."""

    name: str
    windows: Windows
    divisor: int


@dataclass(frozen=True)
class Add:
    """sum_i multipliers[i] x_i of tensors of one shape, a multiplier for each."""

    name: str
    multipliers: tuple[float, ...]


@dataclass(frozen=True)
class Multiply:
    """The product of two tensors, entry by entry; the second may be (channels, 1, 1), a gate for channels."""

    name: str


@dataclass(frozen=True)
class Concatenate:
    """Tensors one after another along channels or features."""

    name: str


@dataclass(frozen=True)
class Flatten:
    """(channels, height, width) to (features,), in row-major order."""

    name: str


AffineLayer: TypeAlias = Conv2d | Linear
FloatLayer: TypeAlias = (
    AffineLayer | BatchNorm | Activation | MaxPool | AveragePool | Add | Multiply | Concatenate | Flatten
)


def type_name(layer: FloatLayer) -> str:
    """What to call the layer in messages and reports; activations have torch's names."""
    return layer.type_name if isinstance(layer, Activation) else type(layer).__name__


def inputs_allowed(layer: FloatLayer) -> tuple[int, int]:
    """The least and the largest number of tensors that `layer` takes."""
    match layer:
        case Add():
            return len(layer.multipliers), len(layer.multipliers)
        case Concatenate():
            return 2, MAX_INPUTS
        case Multiply():
            return 2, 2
        case _:
            return 1, 1


def apply(layer: FloatLayer, *inputs: Tensor) -> Tensor:
    """The layer's output for a batch: (N, *shape) each to (N, *output_shape(layer, *shapes))."""
    x = inputs[0]
    match layer:
        case Conv2d():
            windows = layer.windows
            return F.conv2d(
                _padded(x, windows, 0.0),
                layer.weight,
                layer.bias,
                stride=windows.stride,
                dilation=windows.dilation,
                groups=layer.groups,
            )
        case Linear():
            return F.linear(x, layer.weight, layer.bias)
        case BatchNorm():
            return x * per_channel(layer.scale, x) + per_channel(layer.shift, x)
        case Activation():
            return layer.function(x)
        case MaxPool():
            windows = layer.windows
            x = _padded(x, windows, -math.inf)
            return F.max_pool2d(x, windows.kernel, windows.stride, dilation=windows.dilation)
        case AveragePool():
            windows = layer.windows
            x = _padded(x, windows, 0.0)
            return F.avg_pool2d(x, windows.kernel, windows.stride, divisor_override=layer.divisor)
        case Add():
            terms = zip(layer.multipliers, inputs, strict=True)
            return torch.stack([multiplier * values for multiplier, values in terms]).sum(dim=0)
        case Multiply():
            return x * inputs[1]
        case Concatenate():
            return torch.cat(inputs, dim=1)
        case Flatten():
            return x.flatten(1)


def per_channel(values: Tensor, x: Tensor) -> Tensor:
    """`values` (channels,), shaped so that it broadcasts over (N, channels, ...)."""
    return values.reshape(-1, *[1] * (x.ndim - 2))


def _padded(x: Tensor, windows: Windows, value: float) -> Tensor:
    top, bottom, left, right = windows.padding
    return F.pad(x, (left, right, top, bottom), value=value) if windows.is_padded else x


def output_shape(layer: FloatLayer, *shapes: Shape) -> Shape:
    """The shape that `layer` makes of `shapes`. Raises UnsupportedLayer if they do not fit."""
    shape = shapes[0]
    result: Shape
    match layer:
        case Conv2d():
            channels = layer.weight.shape[1] * layer.groups
            _require(layer, shapes, _is_map(shape) and shape[0] == channels, f"it has {channels} channels")
            result = (layer.weight.shape[0], *layer.windows.outputs(*shape[1:]))
        case Linear():
            features = layer.weight.shape[1]
            _require(
                layer, shapes, shape == (features,), f"put a Flatten before it that makes {features} features"
            )
            result = (layer.weight.shape[0],)
        case BatchNorm():
            channels = len(layer.scale)
            _require(layer, shapes, shape[0] == channels, f"it has {channels} channels")
            result = shape
        case MaxPool() | AveragePool():
            _require(layer, shapes, _is_map(shape), "pools need channels, height and width")
            if isinstance(layer, AveragePool):
                _require(layer, shapes, layer.windows.dilation == (1, 1), "averages have no dilation")
            result = (shape[0], *layer.windows.outputs(*shape[1:]))
        case Add():
            _require(layer, shapes, len(set(shapes)) == 1, "added tensors must have one shape")
            result = shape
        case Multiply():
            gate = (shape[0], *[1] * (len(shape) - 1))
            remedy = "both must have one shape, or the second one number for each channel"
            _require(layer, shapes, shapes[1] in (shape, gate), remedy)
            result = shape
        case Concatenate():
            remedy = "concatenated tensors may differ in the number of channels alone"
            _require(layer, shapes, len({other[1:] for other in shapes}) == 1, remedy)
            result = (sum(other[0] for other in shapes), *shape[1:])
        case Flatten():
            result = (math.prod(shape),)
        case Activation():
            result = shape
    _require(layer, shapes, min(result) > 0, "no window fits; use a smaller kernel or larger frames")
    if isinstance(layer, MaxPool):
        met = [layer.windows.met(axis, result[1 + axis], shape[1 + axis]) for axis in (0, 1)]
        entries = all(bool((rows >= 0).any(axis=1).all()) for rows in met)
        _require(layer, shapes, entries, "a window holds nothing but padding; pad less")
    return result


def _is_map(shape: Shape) -> bool:
    return len(shape) == 3


def _require(layer: FloatLayer, shapes: tuple[Shape, ...], fits: bool, remedy: str) -> None:
    if not fits:
        found = " and ".join(map(str, shapes))
        raise UnsupportedLayer(
            f"{layer.name} ({type_name(layer)}): cannot take values of shape {found}: {remedy}"
        )
