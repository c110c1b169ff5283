"""From float layers to a program of integers and its weights.

Every tensor is represented by integers and one scale per channel: value = integer * scale[channel].
Activations without a bend other than at zero are positively homogeneous, f(c x) = c f(x) for c > 0, so
any scale passes through them. That is why one table serves all layers with the same function, with the
same domain and the same shift inside it, and why the scale may differ by channel at no cost: the next
layer's weights absorb it before they are rounded.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.calibrate import LayerRange
from pvcnn.partition.graph import (
    AffineLayer,
    AveragePool,
    BatchNorm,
    Conv2d,
    Flatten,
    FloatLayer,
    LeakyReLU,
    Linear,
    MaxPool,
    Square,
    chain_shapes,
)
from pvcnn.program import layers as integer
from pvcnn.program.bounds import Range
from pvcnn.program.builder import ProgramBuilder
from pvcnn.program.layers import MAX_SHIFT, Requantise, Shape
from pvcnn.program.program import FEATURES
from pvcnn.program.public_part import PublicPart
from pvcnn.program.table import Table
from pvcnn.program.weights import Weights
from pvcnn.program.windows import Windows

#: A table maps signed integers q of DOMAIN_BITS to signed integers of ACTIVATION_BITS. A proof costs as
#: much for 8-bit activations, which lose 12 dB: products may be large, only table domains must be small.
DOMAIN_BITS = 12
ACTIVATION_BITS = 10
WEIGHT_BITS = 8
#: How many times as large as in calibration a value may be (activations saturate) before it is a
#: RangeError and the submission is refused.
HEADROOM = 2.0

_ACTIVATION_PEAK = (1 << (ACTIVATION_BITS - 1)) - 1

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FeatureScale:
    """Features are round(private output / step), integers in [low, high]."""

    step: float
    low: int
    high: int


@dataclass(frozen=True, eq=False)
class Stage:
    """Where float and integer network can be compared.

    The output of float layer `float_layer` is about that of program layer `program_layer` times
    `scale`, (channels,) or (features,).
    """

    float_layer: int
    program_layer: int
    scale: Floats


@dataclass(frozen=True, eq=False)
class Quantised:
    """The public part, and its correspondence with the float layers."""

    public: PublicPart
    stages: tuple[Stage, ...]


def activation_table(slope: float) -> Table:
    """f(q) = round(leaky(q)), clipped to the activations' range; slope 1 is the identity.

    Equal for all layers with the same slope, so they share one lookup argument.
    """
    low = -(1 << (DOMAIN_BITS - 1))
    return _table(slope, low, -low - 1, 0)


def quantise(
    layers: tuple[FloatLayer, ...],
    ranges: tuple[LayerRange, ...],
    input_shape: Shape,
    features: FeatureScale,
    weight_bits: int = WEIGHT_BITS,
) -> Quantised:
    """The program of the public layers, whose batch norms must have been folded.

    On calibration frames what layer i gets had the range `ranges[i]`, so there is one more of them; the
    first is that of the private part's outputs, before they are divided by the features' step. The
    blinding of the weights' commitment is drawn here, once per model. Raises UnsupportedLayer for a
    layer that programs do not have, or a model that does not end with one logit.
    """
    last = _last_affine(layers, input_shape)
    builder = _Builder(input_shape, features, weight_bits)
    for index, layer in enumerate(layers):
        after_affine = index > 0 and isinstance(layers[index - 1], Conv2d | Linear)
        match layer:
            case Conv2d() | Linear():
                levels = None if index == last else _levels(layers, ranges, index)
                builder.affine(layer, ranges[index].means.numpy(), levels)
                if index < last and not isinstance(layers[index + 1], LeakyReLU):
                    builder.requantise(f"{layer.name}.requantise", 1.0)
                if index == last or not isinstance(layers[index + 1], LeakyReLU):
                    builder.mark(index)
            case LeakyReLU() if after_affine:
                builder.requantise(layer.name, layer.slope)
                builder.mark(index)
            case LeakyReLU():
                builder.activate_again(layer, ranges[index + 1].peaks.numpy())
                builder.mark(index)
            case MaxPool():
                builder.append(integer.MaxPool(layer.name, Windows.disjoint(layer.size)))
            case AveragePool():
                builder.average(layer)
            case Flatten():
                builder.flatten(layer)
            case Square() | BatchNorm():
                raise UnsupportedLayer(
                    f"{layer.name} ({type(layer).__name__}): not supported behind the cut; "
                    "use ReLU or LeakyReLU there"
                )
    return builder.finish(f"{layers[last].name}.sign")


def _last_affine(layers: tuple[FloatLayer, ...], input_shape: Shape) -> int:
    last = max(i for i, layer in enumerate(layers) if isinstance(layer, Conv2d | Linear))
    outputs = chain_shapes(layers, input_shape)[-1]
    remedy = "end the model with a Linear layer of one output (the decision is logit > 0)"
    if outputs != (1,):
        raise UnsupportedLayer(
            f"{layers[-1].name} ({type(layers[-1]).__name__}): the model returns values of shape {outputs}, "
            f"not one logit; {remedy}"
        )
    for layer in layers[last + 1 :]:
        if not isinstance(layer, AveragePool | Flatten):
            raise UnsupportedLayer(
                f"{layer.name} ({type(layer).__name__}): stands behind the last convolution or linear layer; "
                + remedy
            )
    return last


class _Builder:
    """Appends integer layers and keeps the scales of the values so far."""

    def __init__(self, input_shape: Shape, features: FeatureScale, weight_bits: int) -> None:
        self._program = ProgramBuilder(input_shape, features.low, features.high)
        #: The number of the last value.
        self._last = FEATURES
        self._weight_bits = weight_bits
        self._scale = np.full(input_shape[0], features.step)
        self._shift = 0
        self._weight: dict[str, Integers] = {}
        self._bias: dict[str, Integers] = {}
        self._stages: list[Stage] = []

    def affine(self, layer: AffineLayer, means: Floats, levels: Floats | None) -> None:
        """Rounds weights and biases. `levels`: where each channel may saturate, None before the decision.

        A channel's weights are as fine as their bits allow, unless its table would then saturate below
        its level; then they are coarser. The bias makes up for what rounding the weights does to inputs
        of the calibrated `means`, which would otherwise shift every output of a channel alike.
        """
        real = layer.weight.numpy() * self._scale.reshape(1, -1, *[1] * (layer.weight.ndim - 2))
        finest = np.abs(real).reshape(len(real), -1).max(axis=1) / ((1 << (self._weight_bits - 1)) - 1)
        if levels is None:
            scale = finest
        else:
            self._shift = _shift(finest, levels)
            scale = np.maximum(finest, levels / (_ACTIVATION_PEAK << self._shift))
        # A channel that is always 0 keeps scale 0: it must not make the next layer's weights coarser.
        divisor = np.where(scale > 0, scale, 1.0)
        exact = real / divisor.reshape(-1, *[1] * (real.ndim - 1))
        weight = np.rint(exact).astype(np.int64)
        typical = np.divide(means, self._scale, out=np.zeros_like(means), where=self._scale > 0)
        correction = (exact - weight).reshape(*real.shape[:2], -1).sum(axis=2) @ typical
        bias = np.rint(layer.bias.numpy() / divisor + correction).astype(np.int64)
        self._weight[layer.name], self._bias[layer.name] = weight, bias
        self._scale = scale
        self.append(_integer_layer(layer, self._weight_bits, _signed_bits(bias)))

    def requantise(self, name: str, slope: float) -> None:
        """The activation behind an affine layer; slope 1 only brings values back to few bits."""
        self.append(Requantise(name, self._shift, activation_table(slope)))
        self._scale = self._scale * 2.0**self._shift

    def activate_again(self, layer: LeakyReLU, peaks: Floats) -> None:
        """An activation of values whose range is already known: no q can leave the table's domain."""
        low, high = self._range()
        shift = max(0, max(-low, high).bit_length() + 1 - DOMAIN_BITS)
        half = (1 << shift) >> 1
        alive = self._scale > 0
        level = float((peaks[alive] / self._scale[alive]).max(initial=0.0)) / (1 << shift)
        inner = max(0, math.ceil(math.log2(max(level, 1.0) / _ACTIVATION_PEAK)))
        table = _table(layer.slope, (low + half) >> shift, (high + half) >> shift, inner)
        self.append(Requantise(layer.name, shift, table))
        self._scale = self._scale * 2.0 ** (shift + inner)

    def average(self, layer: AveragePool) -> None:
        self.append(integer.AveragePool(layer.name, Windows.disjoint(layer.size)))
        self._scale = self._scale / layer.size**2

    def flatten(self, layer: Flatten) -> None:
        positions = math.prod(self._shape()[1:])
        self.append(integer.Flatten(layer.name))
        self._scale = np.repeat(self._scale, positions)

    def mark(self, float_layer: int) -> None:
        """The values so far are those of a float layer."""
        self._stages.append(Stage(float_layer, self._last - 1, self._scale))

    def finish(self, name: str) -> Quantised:
        self.append(integer.Sign(name))
        program = self._program.finish()
        weights = Weights(program, self._weight, self._bias, secrets.randbelow(SCALAR_MODULUS))
        return Quantised(PublicPart(program, weights), tuple(self._stages))

    def append(self, layer: integer.Layer) -> None:
        """Behind the last layer."""
        self._last = self._program.add(layer, self._last)

    def _shape(self) -> Shape:
        return self._program.shape(self._last)

    def _range(self) -> Range:
        return self._program.range(self._last)


def _levels(layers: tuple[FloatLayer, ...], ranges: tuple[LayerRange, ...], index: int) -> Floats:
    """For each channel the magnitude at which the table behind affine layer `index` should saturate.

    That of the activations seen in calibration; or more, where values that the activation makes small,
    such as negative ones, would otherwise have too little room in the table's domain.
    """
    values = ranges[index + 1].peaks.numpy()
    following = layers[index + 1]
    outputs = ranges[index + 2].peaks.numpy() if isinstance(following, LeakyReLU) else values
    room = (1 << (DOMAIN_BITS - 1)) / _ACTIVATION_PEAK
    levels: Floats = np.maximum(outputs, values * (HEADROOM / room))
    return levels


def _shift(finest: Floats, levels: Floats) -> int:
    """The shift that brings accumulators of the finest weights nearest to what a table saturates at."""
    accumulators = levels[finest > 0] / finest[finest > 0]
    if not accumulators.any():
        return 0
    exponent = round(math.log2(float(np.median(accumulators)) / _ACTIVATION_PEAK))
    return min(max(exponent, 0), MAX_SHIFT)


def _table(slope: float, low: int, high: int, inner: int) -> Table:
    q = np.arange(low, high + 1, dtype=np.float64)
    values = np.floor(np.where(q > 0, q, slope * q) / (1 << inner) + 0.5)
    return Table(low, np.clip(values, -_ACTIVATION_PEAK - 1, _ACTIVATION_PEAK).astype(np.int64))


def _integer_layer(layer: AffineLayer, weight_bits: int, bias_bits: int) -> integer.Affine:
    outputs, inputs = layer.weight.shape[:2]
    if isinstance(layer, Linear):
        return integer.Linear(layer.name, inputs, outputs, weight_bits, bias_bits)
    windows = Windows.square(layer.kernel, layer.stride, layer.padding)
    return integer.Convolution(layer.name, inputs, outputs, windows, weight_bits, bias_bits)


def _signed_bits(values: Integers) -> int:
    """The fewest bits, at least 2, of a signed range that holds all values."""
    low, high = int(values.min()), int(values.max())
    return max(2, (-low - 1).bit_length() + 1 if low < 0 else 0, high.bit_length() + 1)
