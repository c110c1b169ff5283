"""Programs of several shapes, with weights and features, for tests of the circuit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.layers import (
    AveragePool,
    Convolution,
    Flatten,
    Layer,
    Linear,
    Logits,
    MaxPool,
    Requantise,
    Sign,
)
from pvcnn.program.program import Program
from pvcnn.program.table import Table
from pvcnn.program.weights import Weights
from pvcnn.program.windows import Windows

Integers = NDArray[np.int64]


def leaky_table(bits: int, shift: int, low: int = -128, high: int = 127) -> Table:
    """LeakyReLU with slope 1/8, then a division by 2^shift and saturation to [low, high]."""
    q = np.arange(-(1 << (bits - 1)), 1 << (bits - 1), dtype=np.int64)
    return Table(int(q[0]), np.clip(np.where(q > 0, q, q >> 3) >> shift, low, high))


def random_weights(program: Program, seed: int, peak: int = 128, bias_peak: int = 200) -> Weights:
    """Weights in [-peak, peak) and biases in [-bias_peak, bias_peak)."""
    rng = np.random.default_rng(seed)
    weight, bias = {}, {}
    for layer in program.affine_layers:
        weight[layer.name] = rng.integers(-peak, peak, layer.weight_shape)
        if layer.bias_bits:
            bias[layer.name] = rng.integers(-bias_peak, bias_peak, layer.weight_shape[0])
    return Weights(program, weight, bias, seed)


def random_features(program: Program, frames: int, seed: int, peak: int | None = None) -> Integers:
    rng = np.random.default_rng(seed)
    low, high = program.input_low, program.input_high
    if peak is not None:
        low, high = max(low, -peak), min(high, peak)
    return rng.integers(low, high + 1, (frames, *program.input_shape))


def demo_program(table_bits: int = 12) -> Program:
    """The shapes of the demo: 8x16x16 features, three blocks of 16, 32, 64 channels, one logit."""
    layers: list[Layer] = []
    channels = 8
    for block, outputs in enumerate((16, 32, 64), start=2):
        layers += [
            Convolution(f"conv{block}", channels, outputs, Windows.square(3, 1, 1), 8, 20),
            Requantise(f"act{block}", 5 + block, leaky_table(table_bits, block - 1)),
            MaxPool(f"pool{block}", Windows.disjoint(2)),
        ]
        channels = outputs
    layers += [Flatten("flatten"), Linear("head", 256, 1, 8, 20), Sign("decision")]
    return Program.chain((8, 16, 16), -2048, 2047, tuple(layers))


@dataclass(frozen=True)
class Case:
    """A program whose every value is in range for `weights` and `features`."""

    program: Program
    weights: Weights
    features: Integers

    @property
    def frames(self) -> int:
        return len(self.features)


def small_case(frames: int = 1, seed: int = 4) -> Case:
    """Every gadget once, in about a thousand constraints: features (2, 5, 5) of 5 bits.

    Features and the convolution's weights are even, so that a half among them still gives integers;
    the first decision is 1.
    """
    table = leaky_table(7, 1, -16, 15)
    layers: tuple[Layer, ...] = (
        Convolution("conv", 2, 3, Windows.square(3, 1, 1), 4, 6),
        Requantise("act", 4, table),
        MaxPool("pool", Windows.disjoint(2)),
        Flatten("flatten"),
        Linear("hidden", 12, 3, 4, 6),
        Requantise("hidden-act", 2, table),
        Linear("head", 3, 1, 4, 6),
        Sign("decision"),
    )
    program = Program.chain((2, 5, 5), -16, 15, layers)
    drawn = random_weights(program, seed, 5, 20)
    even = {**drawn.weight, "conv": drawn.weight["conv"] // 2 * 2}
    weights = Weights(program, even, drawn.bias, drawn.blinding)
    return Case(program, weights, random_features(program, frames, seed) // 2 * 2)


def convolution_case(
    frames: int, shape: tuple[int, int, int], outputs: int, kernel: int, stride: int, padding: int
) -> Case:
    """One convolution of a given geometry, average pooling where it fits, and a linear head."""
    convolution = Convolution("conv", shape[0], outputs, Windows.square(kernel, stride, padding), 5, 9)
    side = min((size + 2 * padding - kernel) // stride + 1 for size in shape[1:])
    layers: list[Layer] = [convolution]
    if side >= 2:
        layers.append(AveragePool("sum", Windows.disjoint(2)))
    sizes = [((size + 2 * padding - kernel) // stride + 1) // (2 if side >= 2 else 1) for size in shape[1:]]
    layers += [Flatten("flatten"), Linear("head", outputs * sizes[0] * sizes[1], 1, 5, 9), Sign("decision")]
    program = Program.chain(shape, -8, 7, tuple(layers))
    return Case(program, random_weights(program, 7, 16), random_features(program, frames, 8))


#: Windows, and into how many groups 4 channels fall: rectangles, dilation and padding of all kinds.
GENERAL_WINDOWS = [
    (Windows((3, 1)), 1),
    (Windows((1, 3), (2, 1), (0, 0, 2, 1)), 1),
    (Windows((2, 3), (1, 2), (1, 0, 0, 2), (3, 1)), 1),
    (Windows.square(3, 2, 2, 2), 2),
    (Windows.square(2, 3, 1, 4), 2),
    (Windows((3, 2), (2, 3), (0, 1, 2, 0), (2, 3)), 2),
    (Windows((3, 3), (1, 1), (1, 1, 1, 1)), 4),
    (Windows((1, 1)), 4),
    (Windows((6, 7)), 2),
    (Windows((2, 2), (5, 4), (3, 0, 0, 5)), 4),
    (Windows((1, 2), (1, 1), (2, 2, 2, 2), (1, 9)), 1),
]

#: What may object to a wrong output: the check of the product, and that of outputs that meet padding alone.
PRODUCT_IS_WRONG = frozenset({"conv: both sides agree", "conv: sums of nothing"})


def windows_case(windows: Windows, groups: int, frames: int = 1) -> Case:
    """4 to 8 channels on 6x7, and a linear layer that reveals two logits."""
    layer = Convolution("conv", 4, 8, windows, 3, 4, groups)
    size = 8 * int(np.prod(windows.outputs(6, 7)))
    head = (Flatten("flatten"), Linear("head", size, 2, 3, 0), Logits("logits"))
    program = Program.chain((4, 6, 7), -8, 7, (layer, *head))
    return Case(program, random_weights(program, 3, 4, 8), random_features(program, frames, 4))
