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
        self, index: int, layer: PrivateLayer, kind: str, windows: Windows, weight: Floats, groups: int
    ) -> None:
        bias = apply(layer, self._offset[None])[0]
        own = np.equal.outer(
            np.arange(len(weight)) * groups // len(weight),
            np.arange(len(self._offset)) * groups // len(self._offset),
        )
        spread = np.zeros((*own.shape, *windows.kernel))
        spread[own] = (self._factor * weight).reshape(-1, *windows.kernel)
        shape = self._offset.shape
        self._push(
            index,
            Affine(layer.name, kind, windows, spread, own, bias, shape),
            1.0,
            np.zeros(bias.shape),
        )

    def _convolution(self, index: int, layer: PrivateConvolution) -> None:
        self._affine(index, layer, "convolution", layer.windows, layer.weight, layer.groups)

    def _linear(self, index: int, layer: PrivateLinear) -> None:
        _, rows, columns = self._offset.shape
        weight = layer.weight.reshape(len(layer.weight), *self._offset.shape)
        self._affine(index, layer, "linear", Windows((rows, columns)), weight, 1)

    def _pool(self, index: int, layer: PrivateAveragePool) -> None:
        if not layer.windows.is_padded:
            offset = apply(layer, self._offset[None])[0]
            self._push(index, WindowSum(layer.name, layer.windows), self._factor / layer.divisor, offset)
            return
        channels = len(self._offset)
        mean = np.full((channels, 1, *layer.windows.kernel), 1 / layer.divisor)
        self._affine(index, layer, "average-pool", layer.windows, mean, channels)

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
        leading = float(coefficients[degree] * self._factor**degree)
        monic = coefficients[:degree] * self._factor ** np.arange(degree) / leading
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


def _out_of_range(layer: PrivateLayer) -> ParameterError:
    return ParameterError(
        f"{layer.name}: together with the layers before it, weights or coefficients are too large or too"
        " small for double precision; scale them, or leave the layer out"
    )
