"""The integer layers of which a public part consists (docs/protocol.md, section "Programs").

A layer maps an integer tensor of shape (channels, height, width), or (features,) after Flatten, to
another. Weights are not part of a layer: they live in `pvcnn.program.weights`, because they may be
secret while the layers never are. A layer that breaks a limit below raises ValueError, naming it,
when it is made: so whatever exists can be encoded, decoded and computed exactly in int64.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Shape: TypeAlias = tuple[int, ...]

#: Channels, features, or rows of a tensor.
MAX_SIDE = 1 << 20
#: Kernels, strides, paddings and pools.
MAX_WINDOW = 63
#: A weight is looked up in a table of 2^bits entries, so it must stay small.
MAX_WEIGHT_BITS = 16
MAX_BIAS_BITS = 48
MAX_SHIFT = 16
MAX_TABLE = 1 << 16
#: Bound on the magnitude of what a table maps to, and of where its domain lies.
TABLE_LIMIT = 1 << 31

#: Names are printed and hashed: printable ASCII without spaces.
_NAME = re.compile(r"[!-~]{1,200}")


def check_name(name: str) -> None:
    """Raises ValueError unless `name` is 1 to 200 printable ASCII characters without spaces."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a layer: 1 to 200 printable ASCII characters can")


def _require(name: str, what: str, value: int, low: int, high: int) -> None:
    check_name(name)
    if not low <= value <= high:
        raise ValueError(f"{name}: {what} is {value}, must lie in [{low}, {high}]")


@dataclass(frozen=True)
class Convolution:
    """y[o,i,j] = bias[o] + sum_{c,d,e} w[o,c,d,e] x[c, S i + d - P, S j + e - P], zero outside x.

    Weights lie in [-2^(weight_bits-1), 2^(weight_bits-1)), biases likewise.
    """

    name: str
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    padding: int
    weight_bits: int
    bias_bits: int

    def __post_init__(self) -> None:
        _require(self.name, "number of input channels", self.in_channels, 1, MAX_SIDE)
        _require(self.name, "number of output channels", self.out_channels, 1, MAX_SIDE)
        _require(self.name, "kernel", self.kernel, 1, MAX_WINDOW)
        _require(self.name, "stride", self.stride, 1, MAX_WINDOW)
        _require(self.name, "padding", self.padding, 0, MAX_WINDOW)
        _require(self.name, "number of weight bits", self.weight_bits, 2, MAX_WEIGHT_BITS)
        _require(self.name, "number of bias bits", self.bias_bits, 2, MAX_BIAS_BITS)

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

    def __post_init__(self) -> None:
        _require(self.name, "number of input features", self.in_features, 1, MAX_SIDE)
        _require(self.name, "number of output features", self.out_features, 1, MAX_SIDE)
        _require(self.name, "number of weight bits", self.weight_bits, 2, MAX_WEIGHT_BITS)
        _require(self.name, "number of bias bits", self.bias_bits, 2, MAX_BIAS_BITS)

    @property
    def weight_shape(self) -> Shape:
        return (self.out_features, self.in_features)

    @property
    def fan_in(self) -> int:
        return self.in_features


@dataclass(frozen=True, eq=False)
class Table:
    """A function of one integer: q in [low, high] maps to values[q - low]. `values` becomes read-only."""

    low: int
    values: NDArray[np.int64]

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.int64)
        if values.ndim != 1 or not 1 <= len(values) <= MAX_TABLE:
            raise ValueError(f"a table holds 1 to {MAX_TABLE} values in one dimension")
        if not -TABLE_LIMIT <= self.low <= self.low + len(values) <= TABLE_LIMIT:
            raise ValueError("a table's domain must lie within 32 bits")
        if values.min() < -TABLE_LIMIT or values.max() >= TABLE_LIMIT:
            raise ValueError("a table's values must lie within 32 bits")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @property
    def high(self) -> int:
        """The last q that the table maps."""
        return self.low + len(self.values) - 1

    def key(self) -> tuple[int, bytes]:
        """Equal for equal functions; layers with equal tables share one lookup argument."""
        return int(self.low), self.values.astype("<i4").tobytes()

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

    def __post_init__(self) -> None:
        _require(self.name, "shift", self.shift, 0, MAX_SHIFT)


@dataclass(frozen=True)
class MaxPool:
    """Maximum over disjoint size x size windows; rows and columns left over are dropped."""

    name: str
    size: int

    def __post_init__(self) -> None:
        _require(self.name, "size", self.size, 1, MAX_WINDOW)


@dataclass(frozen=True)
class AveragePool:
    """SUM over disjoint size x size windows: the division belongs to the next scale."""

    name: str
    size: int

    def __post_init__(self) -> None:
        _require(self.name, "size", self.size, 1, MAX_WINDOW)


@dataclass(frozen=True)
class Flatten:
    """(channels, height, width) to (features,), in row-major order."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True)
class Sign:
    """The decision of a single logit: 1 if y > 0, else 0."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


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
            result = (math.prod(shape),)
        case Sign():
            if shape != (1,):
                raise ValueError(f"{layer.name}: expects one logit, gets shape {shape}")
            result = shape
        case Requantise():
            result = shape
    if min(result) < 1:
        raise ValueError(f"{layer.name}: nothing is left of shape {shape}")
    return result
