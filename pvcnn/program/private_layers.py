"""The kinds of private layers, and what they compute in plain float64.

A layer maps a tensor (channels, height, width) to another. No `repr` shows a weight or coefficient.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.layers import MAX_SIDE, Shape, check_name
from pvcnn.program.windows import Windows

#: Of pools.
MAX_WINDOW = 63
#: Of polynomials.
MIN_DEGREE, MAX_DEGREE = 2, 4

Floats = NDArray[np.float64]


def _read_only(layer: PrivateLayer, **arrays: Floats) -> None:
    """Stores the arrays in a frozen layer. Raises ValueError for a value that is not finite."""
    for label, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{layer.name}: weights, biases and coefficients must be finite")
        array.flags.writeable = False
        object.__setattr__(layer, label, array)


@dataclass(frozen=True, eq=False)
class PrivateConvolution:
    """A convolution whose padding is 0, 3x3 with stride 1 and padding 1 unless told otherwise.

    weight: (out, in / groups, *windows.kernel) float64; bias: (out,) float64; read-only. Raises ValueError
    for other shapes and for values that are not finite.
    """

    name: str
    weight: Floats = field(repr=False)
    bias: Floats = field(repr=False)
    windows: Windows = Windows.square(3, 1, 1)  # noqa: RUF009 - frozen
    groups: int = 1

    def __post_init__(self) -> None:
        check_name(self.name)
        self.windows.check(self.name)
        weight, bias = (np.array(array, dtype=np.float64) for array in (self.weight, self.bias))
        if weight.ndim != 4 or 0 in weight.shape or weight.shape[2:] != self.windows.kernel:
            raise ValueError(f"{self.name}: weights {weight.shape} are not of {self.windows.kernel} windows")
        if bias.shape != weight.shape[:1]:
            raise ValueError(f"{self.name}: expects one bias for each of {weight.shape[0]} channels")
        if self.groups < 1 or len(weight) % self.groups:
            raise ValueError(f"{self.name}: {len(weight)} channels do not fall into {self.groups} groups")
        _read_only(self, weight=weight, bias=bias)


@dataclass(frozen=True, eq=False)
class PrivateLinear:
    """weight: (out, in) float64, for the entries of a tensor in C order; bias: (out,). Gives (out, 1, 1)."""

    name: str
    weight: Floats = field(repr=False)
    bias: Floats = field(repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        weight, bias = (np.array(array, dtype=np.float64) for array in (self.weight, self.bias))
        if weight.ndim != 2 or 0 in weight.shape or bias.shape != weight.shape[:1]:
            raise ValueError(f"{self.name}: weights {weight.shape} and biases {bias.shape} do not fit")
        _read_only(self, weight=weight, bias=bias)


@dataclass(frozen=True)
class Square:
    """Entrywise x^2."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True, eq=False)
class PrivatePolynomial:
    """Entrywise c_0 + c_1 x + ... + c_d x^d, with `coefficients` (d + 1,), 2 <= d <= 4, read-only."""

    name: str
    coefficients: Floats = field(repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        coefficients = np.array(self.coefficients, dtype=np.float64)
        if coefficients.ndim != 1 or not MIN_DEGREE <= len(coefficients) - 1 <= MAX_DEGREE:
            raise ValueError(f"{self.name}: a polynomial has degree {MIN_DEGREE} to {MAX_DEGREE}")
        _read_only(self, coefficients=coefficients)


@dataclass(frozen=True)
class PrivateAveragePool:
    """The sum of each window's entries, padding being 0, over `divisor`."""

    name: str
    windows: Windows
    divisor: int

    @classmethod
    def disjoint(cls, name: str, size: int) -> PrivateAveragePool:
        """Means over size x size windows side by side; rows and columns left over are dropped."""
        return cls(name, Windows.disjoint(size), size**2)

    def __post_init__(self) -> None:
        check_name(self.name)
        self.windows.check(self.name)
        if max(self.windows.kernel) > MAX_WINDOW or self.windows.dilation != (1, 1):
            raise ValueError(f"{self.name}: pools have windows of at most {MAX_WINDOW} without dilation")
        if not 1 <= self.divisor <= MAX_SIDE:
            raise ValueError(f"{self.name}: the divisor is {self.divisor}, must lie in [1, {MAX_SIDE}]")


PrivateLayer: TypeAlias = PrivateConvolution | PrivateLinear | Square | PrivatePolynomial | PrivateAveragePool


def output_shape(layer: PrivateLayer, shape: Shape) -> Shape:
    """What the layer makes of (channels, height, width). Raises ValueError, naming it, if they do not fit."""
    channels = shape[0]
    match layer:
        case PrivateConvolution():
            outputs, inputs = layer.weight.shape[:2]
            if channels != inputs * layer.groups:
                raise ValueError(
                    f"{layer.name}: expects {inputs * layer.groups} channels, gets shape {shape}"
                )
            return _windowed(layer.name, outputs, layer.windows, shape)
        case PrivateLinear():
            outputs, inputs = layer.weight.shape
            if math.prod(shape) != inputs:
                raise ValueError(f"{layer.name}: expects {inputs} features, gets shape {shape}")
            return (outputs, 1, 1)
        case PrivateAveragePool():
            return _windowed(layer.name, channels, layer.windows, shape)
        case _:
            return shape


def _windowed(name: str, channels: int, windows: Windows, shape: Shape) -> Shape:
    height, width = windows.outputs(*shape[1:])
    if min(height, width) < 1:
        raise ValueError(f"{name}: nothing is left of shape {shape}")
    return (channels, height, width)


def apply(layer: PrivateLayer, x: Floats) -> Floats:
    """The layer's output for a batch: (N, *shape) to (N, *output_shape(layer, shape))."""
    match layer:
        case PrivateConvolution():
            return _convolve(layer, x)
        case PrivateLinear():
            features: Floats = x.reshape(len(x), -1) @ layer.weight.T + layer.bias
            return features[:, :, None, None]
        case Square():
            return x * x
        case PrivatePolynomial():
            values = np.zeros_like(x)
            for coefficient in layer.coefficients[::-1]:
                values = values * x + coefficient
            return values
        case PrivateAveragePool():
            return _summed(_met(layer.windows, x)) / layer.divisor


def _met(windows: Windows, x: Floats) -> list[Floats]:
    """For each place of a window, in C order, what the windows meet there: (N, channels, height, width)."""
    padded = np.pad(x, ((0, 0), (0, 0), windows.padding[:2], windows.padding[2:]))
    height, width = windows.outputs(*x.shape[2:])
    (down, right), (row_step, column_step) = windows.stride, windows.dilation
    return [
        padded[
            :,
            :,
            row_step * i : row_step * i + down * (height - 1) + 1 : down,
            column_step * j : column_step * j + right * (width - 1) + 1 : right,
        ]
        for i in range(windows.kernel[0])
        for j in range(windows.kernel[1])
    ]


def _summed(parts: Iterable[Floats]) -> Floats:
    first, *others = parts
    total = first.copy()
    for part in others:
        total += part
    return total


def _convolve(layer: PrivateConvolution, x: Floats) -> Floats:
    outputs, inputs = layer.weight.shape[:2]
    weight = layer.weight.reshape(layer.groups, outputs // layer.groups, inputs, -1)
    products = []
    for place, met in enumerate(_met(layer.windows, x)):
        frames, _, height, width = met.shape
        grouped = met.reshape(frames, layer.groups, inputs, height * width)
        products.append((weight[..., place] @ grouped).reshape(frames, outputs, height, width))
    return _summed(products) + layer.bias[:, None, None]
