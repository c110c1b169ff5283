"""Convolution, linear layers and products of tensors as gates of a matrix program.

Why a cheating prover fails: inputs, weights and biases are looked up in their ranges and committed
before rho is drawn, so eq. (1) or (2) fixes every output modulo r, and with the compiler's bound on
sums as an integer. Products entry by entry have a constraint each, and need no challenge.

Published weights are coefficients of the circuit itself, and outputs derived values: no gate, nothing that a
prover could choose (`pvcnn.qmp.derived`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np

from pvcnn.program.layers import Affine, Convolution, Hadamard, Linear
from pvcnn.program.weights import Weights, bias_shape
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.matrix_program import ConvolutionProduct, EntrywiseProduct, MatrixProduct
from pvcnn.qmp.views import View

#: Weights, and biases if there are any.
Parameters: TypeAlias = tuple[View, View | None]


def weight_views(assembly: Assembly, layers: tuple[Affine, ...]) -> dict[str, Parameters]:
    """For each layer its weights and biases, every one of them looked up in its signed range."""
    wires = assembly.weights()
    views = {}
    for layer in layers:
        parts = []
        for what, shape, bits in (
            ("weights", layer.weight_shape, layer.weight_bits),
            ("biases", bias_shape(layer), layer.bias_bits),
        ):
            if not bits:
                continue
            count = int(np.prod(shape))
            peak = 1 << (bits - 1)
            view = View.of_wires(wires[:count].reshape(shape), -peak, peak - 1)
            wires = wires[count:]
            assembly.range(f"{layer.name}: {what}", view, -peak, peak - 1)
            parts.append(view)
        views[layer.name] = (parts[0], parts[1] if len(parts) > 1 else None)
    return views


def convolution(
    assembly: Assembly, layer: Convolution, inputs: View, weights: Parameters, output: View
) -> None:
    """output (F, O, Ho, Wo) = kernels * inputs + bias, eq. (2)."""
    kernels, bias = weights
    sums = _less_bias(output, bias)
    assembly.gate(ConvolutionProduct(layer.name, inputs, kernels, sums, layer.windows))


def linear(assembly: Assembly, layer: Linear, inputs: View, weights: Parameters, output: View) -> None:
    """output (F, O) = inputs (F, K) W^T + bias, eq. (1) with the frames as rows."""
    matrix, bias = weights
    positions = np.arange(matrix.entries).reshape(matrix.shape)
    sums = _less_bias(output, bias)
    assembly.gate(MatrixProduct(layer.name, inputs, matrix.take(positions.T), sums))


def published(assembly: Assembly, layer: Affine, inputs: View, weights: Weights) -> View:
    """The output (F, O, ...) of a layer whose weights are known: a view, which costs nothing."""
    linear_map = weights.linear_maps[layer.name]
    sums = assembly.derive(layer.name, linear_map, inputs.reshape(assembly.frames, *linear_map.inputs))
    outputs = linear_map.outputs if isinstance(layer, Convolution) else linear_map.outputs[:1]
    least, largest = linear_map.bounds(inputs.low, inputs.high)
    bias = weights.bias.get(layer.name, np.zeros_like(least))
    output = View.of_wires(sums.reshape(assembly.frames, *outputs), int(least.min()), int(largest.max()))
    spread = np.broadcast_to(bias.reshape(-1, *[1] * (len(outputs) - 1)), output.shape)
    biased = output.plus(View.of_constants(spread))
    return replace(biased, low=int((least + bias).min()), high=int((largest + bias).max()))


def hadamard(assembly: Assembly, layer: Hadamard, left: View, right: View, output: View) -> None:
    """output = left * right (F, ...); right may have one entry a channel."""
    positions = np.arange(right.entries).reshape(right.shape)
    spread = right.take(np.broadcast_to(positions, left.shape))
    assembly.gate(EntrywiseProduct(layer.name, left, spread, output))


def _less_bias(output: View, bias: View | None) -> View:
    """output (F, O, ...) less the biases (O,)."""
    if bias is None:
        return output
    channels = np.arange(output.shape[1]).reshape(1, -1, *[1] * (len(output.shape) - 2))
    return output.minus(bias.take(np.broadcast_to(channels, output.shape)))
