"""Affine layers as integers: weights and biases rounded to the scales of what they get and make."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.float_graph.graph import AffineLayer, Conv2d
from pvcnn.program import layers as integer
from pvcnn.program.layers import MAX_BIAS_BITS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def finest_scale(layer: AffineLayer, inputs: Floats, weight_bits: int) -> Floats:
    """(outputs,): the scale of each output whose largest weight takes all of `weight_bits`.

    `inputs` is the scale of what the layer gets, for each channel or feature.
    """
    weight = _incoming(layer, inputs)
    largest: Floats = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    return largest / ((1 << (weight_bits - 1)) - 1)


def round_weights(
    layer: AffineLayer, inputs: Floats, outputs: Floats, means: Floats
) -> tuple[Integers, Integers]:
    """Weight and bias for scales `inputs` and `outputs`.

    The bias makes up for what rounding the weights does to inputs of the calibrated `means`, which
    would otherwise shift every output of a channel alike. An output of scale 0 is always 0.
    """
    exact = _incoming(layer, inputs)
    exact /= np.where(outputs > 0, outputs, np.inf).reshape(-1, *[1] * (exact.ndim - 1))
    weight = np.rint(exact).astype(np.int64)
    typical = np.divide(means, inputs, out=np.zeros_like(means), where=inputs > 0)
    groups = _groups(layer)
    lost = (exact - weight).reshape(groups, len(exact) // groups, exact.shape[1], -1).sum(axis=3)
    correction = (lost @ typical.reshape(groups, -1, 1)).reshape(-1)
    real = np.divide(layer.bias.numpy(), outputs, out=np.zeros_like(outputs), where=outputs > 0)
    bias = np.rint(real + correction)
    if np.abs(bias).max() >= 2.0 ** (MAX_BIAS_BITS - 1):
        raise UnsupportedLayer(
            f"{layer.name} ({type(layer).__name__}): a bias is more than 2^{MAX_BIAS_BITS - 1} times "
            "what weights and inputs resolve; give the layer inputs and weights of its bias's size"
        )
    return weight, bias.astype(np.int64)


def integer_layer(layer: AffineLayer, weight: Integers, bias: Integers, weight_bits: int) -> integer.Affine:
    """With `weight_bits`, or more where `weight` needs them, and the bits that `bias` needs."""
    bits, bias_bits = max(weight_bits, signed_bits(weight)), signed_bits(bias)
    outputs, inputs = weight.shape[:2]
    if not isinstance(layer, Conv2d):
        return integer.Linear(layer.name, inputs, outputs, bits, bias_bits)
    groups = layer.groups
    return integer.Convolution(layer.name, inputs * groups, outputs, layer.windows, bits, bias_bits, groups)


def signed_bits(values: Integers) -> int:
    """The fewest bits, at least 2, of a signed range that holds all values."""
    low, high = int(values.min()), int(values.max())
    return max(2, (-low - 1).bit_length() + 1 if low < 0 else 0, high.bit_length() + 1)


def _incoming(layer: AffineLayer, inputs: Floats) -> Floats:
    """The weights for inputs that are integers: each times the scale of its input."""
    weight = layer.weight.numpy()
    groups = _groups(layer)
    by_group = weight.reshape(groups, -1, *weight.shape[1:])
    scales = inputs.reshape(groups, 1, -1, *[1] * (weight.ndim - 2))
    incoming: Floats = (by_group * scales).reshape(weight.shape)
    return incoming


def _groups(layer: AffineLayer) -> int:
    return layer.groups if isinstance(layer, Conv2d) else 1
