"""A small typed graph of float layers: a chain, which is all that pvcnn can prove for now.

Tensors are float64 on the processor. Dropout does nothing at inference and leaves no layer. No
`repr` shows a weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from pvcnn.errors import UnsupportedLayer
from pvcnn.program.layers import Shape


@dataclass(frozen=True, eq=False)
class Conv2d:
    """weight: (out, in, kernel, kernel); bias: (out,). Zero padding, no dilation, no groups."""

    name: str
    weight: Tensor = field(repr=False)
    bias: Tensor = field(repr=False)
    stride: int
    padding: int

    @property
    def kernel(self) -> int:
        return self.weight.shape[2]


@dataclass(frozen=True, eq=False)
class Linear:
    """weight: (out, in); bias: (out,)."""

    name: str
    weight: Tensor = field(repr=False)
    bias: Tensor = field(repr=False)


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """y = x * scale + shift for each channel, with the running statistics already inside: (channels,)."""

    name: str
    scale: Tensor = field(repr=False)
    shift: Tensor = field(repr=False)


@dataclass(frozen=True)
class LeakyReLU:
    """x where x > 0, else slope * x. ReLU has slope 0."""

    name: str
    slope: float


@dataclass(frozen=True)
class Square:
    """Entrywise x^2."""

    name: str


@dataclass(frozen=True)
class MaxPool:
    """Maximum over disjoint size x size windows; rows and columns left over are dropped."""

    name: str
    size: int


@dataclass(frozen=True)
class AveragePool:
    """Mean over disjoint size x size windows; rows and columns left over are dropped."""

    name: str
    size: int


@dataclass(frozen=True)
class Flatten:
    """(channels, height, width) to (features,)."""

    name: str


FloatLayer: TypeAlias = Conv2d | Linear | BatchNorm | LeakyReLU | Square | MaxPool | AveragePool | Flatten
AffineLayer: TypeAlias = Conv2d | Linear


def apply(layer: FloatLayer, x: Tensor) -> Tensor:
    """The layer's output for a batch: (N, *shape) to (N, *output_shape(layer, shape))."""
    match layer:
        case Conv2d():
            return F.conv2d(x, layer.weight, layer.bias, stride=layer.stride, padding=layer.padding)
        case Linear():
            return F.linear(x, layer.weight, layer.bias)
        case BatchNorm():
            return x * per_channel(layer.scale, x) + per_channel(layer.shift, x)
        case LeakyReLU():
            return F.leaky_relu(x, layer.slope)
        case Square():
            return x * x
        case MaxPool():
            return F.max_pool2d(x, layer.size)
        case AveragePool():
            return F.avg_pool2d(x, layer.size)
        case Flatten():
            return x.flatten(1)


def per_channel(values: Tensor, x: Tensor) -> Tensor:
    """`values` (channels,), shaped so that it broadcasts over (N, channels, ...)."""
    return values.reshape(-1, *[1] * (x.ndim - 2))


def output_shape(layer: FloatLayer, shape: Shape) -> Shape:
    """The shape that `layer` makes of `shape`. Raises UnsupportedLayer if it does not fit."""
    match layer:
        case Conv2d():
            _require(layer, shape, len(shape) == 3 and shape[0] == layer.weight.shape[1])
            height, width = (
                (side + 2 * layer.padding - layer.kernel) // layer.stride + 1 for side in shape[1:]
            )
            result: Shape = (layer.weight.shape[0], height, width)
        case Linear():
            _require(layer, shape, shape == (layer.weight.shape[1],))
            result = (layer.weight.shape[0],)
        case BatchNorm():
            _require(layer, shape, shape[0] == len(layer.scale))
            result = shape
        case MaxPool() | AveragePool():
            _require(layer, shape, len(shape) == 3)
            result = (shape[0], shape[1] // layer.size, shape[2] // layer.size)
        case Flatten():
            result = (math.prod(shape),)
        case LeakyReLU() | Square():
            result = shape
    _require(layer, shape, min(result) > 0)
    return result


def chain_shapes(layers: tuple[FloatLayer, ...], input_shape: Shape) -> tuple[Shape, ...]:
    """The shape that each layer gets; the last entry is the output's. Raises UnsupportedLayer."""
    shapes = [input_shape]
    for layer in layers:
        shapes.append(output_shape(layer, shapes[-1]))
    return tuple(shapes)


def _require(layer: FloatLayer, shape: Shape, fits: bool) -> None:
    if not fits:
        raise UnsupportedLayer(
            f"{layer.name} ({type(layer).__name__}): cannot take values of shape {shape}; "
            "linear layers need a Flatten before them, pools need room, channels must match"
        )
