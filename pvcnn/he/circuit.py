"""A private part as operations on slots: affine maps, sums over windows, and powers.

A slot t stands for the value factor * t + offset. Divisions, leading coefficients and constants wait there
until the next affine map, into whose weights and biases they go for nothing:

- average pooling is a sum over windows; the division is a factor;
- c_2 x^2 + c_1 x + c_0 = c_2 (x + c_1 / 2 c_2)^2 + constant: any quadratic polynomial costs what a square
  costs, with the shift in the bias before it;
- a polynomial of degree three or four is made monic: x^2 (x + a) + b x, x^2 (x^2 + a x + b) + c x.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import ParameterError
from pvcnn.program.layers import Shape
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivateLinear,
    PrivatePart,
    PrivatePolynomial,
    Square,
)
from pvcnn.program.private_layers import apply
from pvcnn.program.windows import Windows

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affine:
    """t'[o] = bias[o] + sum_c weight[o, c] * t[c], over the pairs (o, c) that are `connected`.

    weight: (out, in, *windows.kernel); connected: (out, in); bias: (out, rows, columns).
    """

    name: str
    kind: str
    windows: Windows
    weight: Floats = field(repr=False)
    connected: NDArray[np.bool_]
    bias: Floats = field(repr=False)
    input_shape: Shape

    @property
    def output_shape(self) -> Shape:
        return tuple(self.bias.shape)


@dataclass(frozen=True)
class WindowSum:
    """The sum of the entries of each window; nothing is padded."""

    name: str
    windows: Windows
    kind: str = "average-pool"


@dataclass(frozen=True, eq=False)
class Power:
    """u^d + lower[0] u^(d-1) + .. + lower[d-2] u for u = t + addend, d = 2 to 4; a square has no lower terms.

    addend: (channels, rows, columns), or None.
    """

    name: str
    kind: str
    degree: int
    lower: tuple[float, ...] = field(repr=False)
    addend: Floats | None = field(repr=False)


Operation: TypeAlias = Affine | WindowSum | Power


@dataclass(frozen=True, eq=False)
class Step:
    """An operation, the number of the private layer behind it, and what its slots stand for."""

    operation: Operation
    layer: int
    factor: float
    offset: Floats = field(repr=False)


def steps(private: PrivatePart) -> tuple[Step, ...]:
    """The operations in order. Raises ParameterError, naming the layer, for what makes no sense on slots."""
    built = _Builder(private.input_shape)
    for index, layer in enumerate(private.layers):
        built.add(index, layer)
    if not any(isinstance(step.operation, Affine) for step in built.steps):
        raise ParameterError("the private part has no convolution: nothing in it would be private")
    return tuple(built.steps)


class _Builder:
    def __init__(self, shape: Shape) -> None:
        self.steps: list[Step] = []
        self._factor = 1.0
        self._offset = np.zeros(shape)

    def add(self, index: int, layer: PrivateLayer) -> None:
        """Raises ParameterError for numbers that, joined with earlier ones, leave the range of doubles."""
        try:
            with np.errstate(over="raise", divide="raise", invalid="raise"):
                self._add(index, layer)
        except ArithmeticError as error:
            raise _out_of_range(layer) from error
        if self._factor == 0 or not (np.isfinite(self._factor) and np.isfinite(self._offset).all()):
            raise _out_of_range(layer)

    def _add(self, index: int, layer: PrivateLayer) -> None:
        match layer:
            case PrivateConvolution():
                self._convolution(index, layer)
            case PrivateLinear():
                self._linear(index, layer)
            case PrivateAveragePool():
                self._pool(index, layer)
            case Square():
                self._polynomial(index, layer, np.array([0.0, 0.0, 1.0]), "square")
            case PrivatePolynomial():
                self._polynomial(index, layer, layer.coefficients, "polynomial")

    def _push(self, index: int, operation: Operation, factor: float, offset: Floats) -> None:
        self.steps.append(Step(operation, index, factor, offset))
        self._factor, self._offset = factor, offset

    def _affine(
        self,
        index: int,
        name: str,
        kind: str,
        windows: Windows,
        weight: Floats,
        bias: Floats | None = None,
        groups: int = 1,
    ) -> None:
        own = np.equal.outer(
            np.arange(len(weight)) * groups // len(weight),
            np.arange(len(self._offset)) * groups // len(self._offset),
        )
        spread = np.zeros((*own.shape, *windows.kernel))
        spread[own] = weight.reshape(-1, *windows.kernel)
        total = _carried(windows, spread, self._offset)
        if bias is not None:
            total += bias[:, None, None]
        shape = self._offset.shape
        operation = Affine(name, kind, windows, self._factor * spread, own, total, shape)
        self._push(index, operation, 1.0, np.zeros(total.shape))

    def _convolution(self, index: int, layer: PrivateConvolution) -> None:
        weight, bias = layer.weight, layer.bias
        self._affine(index, layer.name, "convolution", layer.windows, weight, bias, layer.groups)

    def _linear(self, index: int, layer: PrivateLinear) -> None:
        _, rows, columns = self._offset.shape
        weight = layer.weight.reshape(len(layer.weight), *self._offset.shape)
        self._affine(index, layer.name, "linear", Windows((rows, columns)), weight, layer.bias)

    def _pool(self, index: int, layer: PrivateAveragePool) -> None:
        if not layer.windows.is_padded:
            offset = apply(layer, self._offset[None])[0]
            self._push(index, WindowSum(layer.name, layer.windows), self._factor / layer.divisor, offset)
            return
        channels = len(self._offset)
        mean = np.full((channels, 1, *layer.windows.kernel), 1 / layer.divisor)
        self._affine(index, layer.name, "average-pool", layer.windows, mean, groups=channels)

    def _polynomial(self, index: int, layer: PrivateLayer, coefficients: Floats, kind: str) -> None:
        degree = int(np.flatnonzero(coefficients)[-1]) if coefficients.any() else 0
        if degree == 0:
            raise ParameterError(f"{layer.name}: the polynomial is constant")
        if degree == 1:
            self._offset = coefficients[1] * self._offset + coefficients[0]
            self._factor *= float(coefficients[1])
            if self.steps:
                self.steps[-1] = replace(self.steps[-1], factor=self._factor, offset=self._offset)
            return
        powers = np.cumprod([1.0, *[self._factor] * degree])  # no `**`: processors round it differently
        leading = float(coefficients[degree] * powers[degree])
        monic = coefficients[:degree] * powers[:degree] / leading
        addend = self._offset / self._factor
        constant = float(monic[0])
        lower = tuple(float(c) for c in monic[:0:-1])
        if degree == 2:
            addend = addend + lower[0] / 2
            constant -= lower[0] ** 2 / 4
            lower = (0.0,)
        power = Power(layer.name, kind, degree, lower, self._absorbed(addend))
        self._push(index, power, leading, np.full(addend.shape, leading * constant))

    def _absorbed(self, addend: Floats) -> Floats | None:
        """None where nothing is left to add: the bias right before takes it."""
        if not addend.any():
            return None
        if not self.steps or not isinstance(self.steps[-1].operation, Affine):
            return addend
        last = self.steps[-1]
        assert isinstance(last.operation, Affine)
        moved = replace(last.operation, bias=last.operation.bias + addend)
        self.steps[-1] = replace(last, operation=moved, offset=-addend)
        return None


def _carried(windows: Windows, weight: Floats, offset: Floats) -> Floats:
    """(out, rows, columns): what an affine map of these weights, (out, in, *kernel), makes of an offset.

    By products and sums of doubles, one after another: libraries of linear algebra round as suits the
    processor, and an auditor on another one must come to the same bits.
    """
    _, height, width = offset.shape
    down, across = windows.outputs(height, width)
    total = np.zeros((len(weight), down, across))
    padded = np.pad(offset, ((0, 0), (0, 1), (0, 1)))  # where `met` says -1, there is 0
    rows, columns = windows.met(0, down, height), windows.met(1, across, width)
    for channel in np.flatnonzero(offset.any((1, 2))):
        for i in range(windows.kernel[0]):
            for j in range(windows.kernel[1]):
                met = padded[channel][rows[:, i, None], columns[None, :, j]]
                total += weight[:, channel, i, j, None, None] * met
    return total


def _out_of_range(layer: PrivateLayer) -> ParameterError:
    return ParameterError(
        f"{layer.name}: together with the layers before it, weights or coefficients are too large or too"
        " small for double precision; scale them, or leave the layer out"
    )
