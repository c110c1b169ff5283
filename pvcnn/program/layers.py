"""The integer layers of which a public part consists (docs/protocol.md, section "Programs").

A layer maps an integer tensor of shape (channels, height, width), or (features,) after Flatten, to
another. Weights are not part of a layer: they live in `pvcnn.program.weights`, because they may be
secret while the layers never are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Convolution:
    """y[o,i,j] = bias[o] + sum_{c,d,e} w[o,c,d,e] x[c, S i + d - P, S j + e - P], zero outside x."""

    name: str
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    padding: int
    weight_bits: int
    bias_bits: int

    @property
    def weight_shape(self) -> Shape:
        return (self.out_channels, self.in_channels, self.kernel, self.kernel)

    @property
    def fan_in(self) -> int:
        return self.in_channels * self.kernel * self.kernel


@dataclass(frozen=True)
class Linear:
    """y = W x + bias."""

    name: str
    in_features: int
    out_features: int
    weight_bits: int
    bias_bits: int

    @property
    def weight_shape(self) -> Shape:
        return (self.out_features, self.in_features)

    @property
    def fan_in(self) -> int:
        return self.in_features


@dataclass(frozen=True, eq=False)
class Table:
    """A function of one integer: q in [low, low + len(values)) maps to values[q - low]."""

    low: int
    values: NDArray[np.int64]

    def key(self) -> tuple[int, bytes]:
        """Equal for equal functions; layers with equal tables share one lookup argument."""
        return self.low, self.values.astype("<i4").tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())


@dataclass(frozen=True)
class Requantise:
    """q = floor((y + 2^(shift-1)) / 2^shift) (q = y when shift is 0), then table[q].

    The table carries activation, saturation and the rest of the scale. A q outside the table's
    domain is a RangeError at inference, and unprovable.
    """

    name: str
    shift: int
    table: Table


@dataclass(frozen=True)
class MaxPool:
    """Maximum over disjoint size x size windows; rows and columns left over are dropped."""

    name: str
    size: int


@dataclass(frozen=True)
class AveragePool:
    """SUM over disjoint size x size windows: the division belongs to the next scale."""

    name: str
    size: int


@dataclass(frozen=True)
class Flatten:
    """(channels, height, width) to (features,), in row-major order."""

    name: str


@dataclass(frozen=True)
class Sign:
    """The decision of a single logit: 1 if y > 0, else 0."""

    name: str


Layer: TypeAlias = Convolution | Linear | Requantise | MaxPool | AveragePool | Flatten | Sign
Affine: TypeAlias = Convolution | Linear


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """The shape that `layer` makes of `shape`. Raises ValueError, naming the layer, if it cannot."""
    match layer:
        case Convolution():
            if len(shape) != 3 or shape[0] != layer.in_channels:
                raise ValueError(f"{layer.name}: expects {layer.in_channels} channels, gets shape {shape}")
            height, width = (
                (side + 2 * layer.padding - layer.kernel) // layer.stride + 1 for side in shape[1:]
            )
            result: Shape = (layer.out_channels, height, width)
        case Linear():
            if shape != (layer.in_features,):
                raise ValueError(f"{layer.name}: expects {layer.in_features} features, gets shape {shape}")
            result = (layer.out_features,)
        case MaxPool() | AveragePool():
            if len(shape) != 3:
                raise ValueError(f"{layer.name}: expects channels, height and width, gets shape {shape}")
            result = (shape[0], shape[1] // layer.size, shape[2] // layer.size)
        case Flatten():
            result = (int(np.prod(shape)),)
        case Sign():
            if shape != (1,):
                raise ValueError(f"{layer.name}: expects one logit, gets shape {shape}")
            result = shape
        case Requantise():
            result = shape
    if min(result) < 1:
        raise ValueError(f"{layer.name}: nothing is left of shape {shape}")
    return result
