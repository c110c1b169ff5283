"""The integer layers of which a public part consists (docs/protocol.md, section "Programs").

A layer maps integer tensors of shape (channels, height, width) or (features,) to another; most take
one. Weights are not part of a layer: they live in `pvcnn.program.weights`, because they may be secret
while the layers never are. A layer that breaks a limit below raises ValueError, naming it, when it is
made: so whatever exists can be encoded, decoded and computed exactly in int64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pvcnn.program.table import Table
from pvcnn.program.windows import Windows

Shape: TypeAlias = tuple[int, ...]

#: Channels, features, or rows of a tensor.
MAX_SIDE = 1 << 20
#: A weight is looked up in a table of 2^bits entries, so it must stay small.
MAX_WEIGHT_BITS = 16
MAX_BIAS_BITS = 48
MAX_SHIFT = 16
#: How many tensors a layer may take.
MAX_INPUTS = 256
#: Bounds on the magnitudes of what Combine multiplies by and adds.
MAX_MULTIPLIER = 1 << 16
MAX_CONSTANT = 1 << 31


def check_name(name: str) -> None:
    """Raises ValueError unless `name` is 1 to 200 printable ASCII characters without spaces."""
    if not (1 <= len(name) <= 200 and all("!" <= character <= "~" for character in name)):
        raise ValueError(f"{name!r} cannot name a layer: 1 to 200 printable ASCII characters can")


def _require(name: str, what: str, value: int, low: int, high: int) -> None:
    check_name(name)
    if not low <= value <= high:
        raise ValueError(f"{name}: {what} is {value}, must lie in [{low}, {high}]")


def _require_bits(name: str, weight_bits: int, bias_bits: int) -> None:
    _require(name, "number of weight bits", weight_bits, 2, MAX_WEIGHT_BITS)
    if bias_bits:
        _require(name, "number of bias bits", bias_bits, 2, MAX_BIAS_BITS)


@dataclass(frozen=True)
class Convolution:
    """y[o,i,j] = bias[o] + sum_{c,d,e} w[o,c,d,e] x[g C/G + c, rows(i,d), columns(j,e)], zero outside x.

    o lies in group g of `groups` (G) groups of output channels, which sees the input channels of the
    group alone; c counts those; `windows` says which rows and columns. Weights lie in [-2^(weight_bits-1),
    2^(weight_bits-1)), biases likewise; with 0 bias bits there is no bias. A scale of each channel with a
    shift, such as a batch norm that cannot be folded, is one with 1x1 windows and a group for each channel.
    """

    name: str
    in_channels: int
    out_channels: int
    windows: Windows
    weight_bits: int
    bias_bits: int
    groups: int = 1

    def __post_init__(self) -> None:
        _require(self.name, "number of input channels", self.in_channels, 1, MAX_SIDE)
        _require(self.name, "number of output channels", self.out_channels, 1, MAX_SIDE)
        _require(self.name, "number of groups", self.groups, 1, MAX_SIDE)
        _require_bits(self.name, self.weight_bits, self.bias_bits)
        self.windows.check(self.name)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"{self.name}: {self.in_channels} input and {self.out_channels} output channels cannot be "
                f"shared out evenly among {self.groups} groups"
            )

    @property
    def weight_shape(self) -> Shape:
        return (self.out_channels, self.in_channels // self.groups, *self.windows.kernel)

    @property
    def fan_in(self) -> int:
        return self.in_channels // self.groups * self.windows.size


@dataclass(frozen=True)
class Linear:
    """y = W x + bias; with 0 bias bits there is no bias."""

    name: str
    in_features: int
    out_features: int
    weight_bits: int
    bias_bits: int

    def __post_init__(self) -> None:
        _require(self.name, "number of input features", self.in_features, 1, MAX_SIDE)
        _require(self.name, "number of output features", self.out_features, 1, MAX_SIDE)
        _require_bits(self.name, self.weight_bits, self.bias_bits)

    @property
    def weight_shape(self) -> Shape:
        return (self.out_features, self.in_features)

    @property
    def fan_in(self) -> int:
        return self.in_features


@dataclass(frozen=True)
class Requantise:
    """q = floor((y + 2^(shift-1)) / 2^shift) (q = y when shift is 0), then table[q].

    The table carries activation, saturation and the rest of the scale: any function of one variable.
    A q outside the table's domain is a RangeError at inference, and unprovable.
    """

    name: str
    shift: int
    table: Table

    def __post_init__(self) -> None:
        _require(self.name, "shift", self.shift, 0, MAX_SHIFT)


@dataclass(frozen=True)
class MaxPool:
    """The maximum of each window's entries; padding does not count. No window may hold padding alone."""

    name: str
    windows: Windows

    def __post_init__(self) -> None:
        check_name(self.name)
        self.windows.check(self.name)


@dataclass(frozen=True)
class AveragePool:
    """The SUM of each window's entries, padding being 0: the division belongs to the next scale.

    Global average pooling has one window, as large as the map.
    """

    name: str
    windows: Windows

    def __post_init__(self) -> None:
        check_name(self.name)
        self.windows.check(self.name)


@dataclass(frozen=True)
class Combine:
    """constant + sum_i multipliers[i] x_i of tensors of one shape: residuals, whatever their scales."""

    name: str
    multipliers: tuple[int, ...]
    constant: int = 0

    def __post_init__(self) -> None:
        _require(self.name, "number of inputs", len(self.multipliers), 1, MAX_INPUTS)
        _require(self.name, "constant", self.constant, -MAX_CONSTANT, MAX_CONSTANT)
        for multiplier in self.multipliers:
            _require(self.name, "magnitude of a multiplier", abs(multiplier), 1, MAX_MULTIPLIER)


@dataclass(frozen=True)
class Concatenate:
    """Tensors one after another along their first axis: channels, or features."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True)
class Hadamard:
    """The product of two tensors, entry by entry.

    The second may have one entry a channel, (channels, 1, 1): a gate for whole channels.
    """

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True)
class Flatten:
    """(channels, height, width) to (features,), in row-major order."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True)
class Sign:
    """Output: the decision of a single logit, 1 if y > 0, else 0."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True)
class Argmax:
    """Output: which of at least two logits is the largest, counted from 0; of equal ones the first."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True)
class Logits:
    """Output: the integers themselves, of a tensor (features,)."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True)
class Correct:
    """Output: how many of all frames' decisions are their labels, and nothing else: one number a proof.

    The decision is that of Sign for a single logit, of Argmax for two or more. A label is a class, counted
    from 0, and with a single logit 0 or 1. Labels come with the features: who knows them committed to them.
    """

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


Affine: TypeAlias = Convolution | Linear
Output: TypeAlias = Sign | Argmax | Logits | Correct
Layer: TypeAlias = (
    Affine | Requantise | MaxPool | AveragePool | Combine | Concatenate | Hadamard | Flatten | Output
)


def inputs_allowed(layer: Layer) -> tuple[int, int]:
    """The least and the largest number of tensors that `layer` takes."""
    match layer:
        case Combine():
            return len(layer.multipliers), len(layer.multipliers)
        case Concatenate():
            return 2, MAX_INPUTS
        case Hadamard():
            return 2, 2
        case _:
            return 1, 1
