"""Convolution and linear layers as gates of a matrix program.

Why a cheating prover fails: inputs, weights and biases are looked up in their ranges and committed
before rho is drawn, so eq. (1) or (2) fixes every output modulo r, and with the compiler's bound on
sums as an integer.
"""

from __future__ import annotations

import numpy as np

from pvcnn.program.layers import Affine, Convolution, Linear, Shape
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.matrix_program import ConvolutionProduct, MatrixProduct
from pvcnn.qmp.views import View


def weight_views(assembly: Assembly, layers: tuple[Affine, ...]) -> dict[str, tuple[View, View]]:
    """For each layer its weights and biases, every one of them looked up in its signed range."""
    wires = assembly.weights()
    views = {}
    for layer in layers:
        parts = []
        for what, shape, bits in (
            ("weights", layer.weight_shape, layer.weight_bits),
            ("biases", layer.weight_shape[:1], layer.bias_bits),
        ):
            count = int(np.prod(shape))
            peak = 1 << (bits - 1)
            view = View.of_wires(wires[:count].reshape(shape), -peak, peak - 1)
            wires = wires[count:]
            assembly.range(f"{layer.name}: {what}", view, -peak, peak - 1)
            parts.append(view)
        views[layer.name] = (parts[0], parts[1])
    return views


def convolution(
    assembly: Assembly, layer: Convolution, inputs: View, weights: tuple[View, View], output: View
) -> None:
    """output (F, O, Ho, Wo) = kernels * inputs + bias, eq. (2)."""
    kernels, bias = weights
    sums = output.minus(_spread(bias, output.shape))
    assembly.gate(ConvolutionProduct(layer.name, inputs, kernels, sums, layer.stride, layer.padding))


def linear(assembly: Assembly, layer: Linear, inputs: View, weights: tuple[View, View], output: View) -> None:
    """output (F, O) = inputs (F, K) W^T + bias, eq. (1) with the frames as rows."""
    matrix, bias = weights
    positions = np.arange(matrix.entries).reshape(matrix.shape)
    sums = output.minus(_spread(bias, output.shape))
    assembly.gate(MatrixProduct(layer.name, inputs, matrix.take(positions.T), sums))


def _spread(bias: View, shape: Shape) -> View:
    """The biases (O,), repeated to (F, O, ...)."""
    channels = np.arange(shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
    return bias.take(np.broadcast_to(channels, shape))
