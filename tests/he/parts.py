"""Private parts small enough to test with, and one of each kind that matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivateLinear,
    PrivatePart,
    PrivatePolynomial,
    Square,
    private_evaluate,
)
from pvcnn.program.private_layers import apply, output_shape
from pvcnn.program.windows import Windows

PIXEL_BOUND = 1.0


def convolution(
    name: str,
    out_channels: int,
    in_channels: int,
    seed: int = 0,
    windows: Windows | None = None,
    groups: int = 1,
) -> PrivateConvolution:
    """Random weights that leave the deviation of what comes in about as it is."""
    windows = windows or Windows.square(3, 1, 1)
    rng = np.random.default_rng(seed)
    fan_in = in_channels // groups * windows.size
    weight = rng.normal(0, fan_in**-0.5, (out_channels, in_channels // groups, *windows.kernel))
    return PrivateConvolution(name, weight, rng.normal(0, 0.1, out_channels), windows, groups)


def linear(name: str, outputs: int, inputs: int, seed: int = 0) -> PrivateLinear:
    rng = np.random.default_rng(seed)
    return PrivateLinear(name, rng.normal(0, inputs**-0.5, (outputs, inputs)), rng.normal(0, 0.1, outputs))


def private_part(
    input_shape: tuple[int, int, int], layers: Sequence[PrivateLayer], step: float = 1e-3
) -> PrivatePart:
    """The output shape is worked out here."""
    shape: tuple[int, ...] = input_shape
    for layer in layers:
        shape = output_shape(layer, shape)
    return PrivatePart(input_shape, PIXEL_BOUND, tuple(layers), step, shape)


def calibrated(part: PrivatePart, frames: int = 4) -> PrivatePart:
    """The part with ranges, and with a step such that features need eleven bits, as `split` makes them."""
    x = np.stack([random_frame(part.input_shape, seed) for seed in range(frames)])
    ranges = []
    for layer in part.layers:
        x = apply(layer, x)
        ranges.append(2 * float(abs(x).max()))
    return replace(part, ranges=tuple(ranges), feature_step=ranges[-1] / (1 << 12))


def block(channels: int, pool: int, inputs: int = 1, number: int = 0) -> list[PrivateLayer]:
    return [
        convolution(f"filters{number}", channels, inputs, number),
        Square(f"square{number}"),
        PrivateAveragePool.disjoint(f"pooling{number}", pool),
    ]


def small_part() -> PrivatePart:
    """Convolution, square, pooling on 16x16: the shared fixture's chain."""
    layers: list[PrivateLayer] = [
        convolution("filters", 3, 1),
        Square("square"),
        PrivateAveragePool.disjoint("pooling", 2),
    ]
    return private_part((1, 16, 16), layers)


def default_part() -> PrivatePart:
    """The default block: 1x64x64 to 8x16x16."""
    layers: list[PrivateLayer] = [
        convolution("filters", 8, 1),
        Square("square"),
        PrivateAveragePool.disjoint("pooling", 4),
    ]
    return private_part((1, 64, 64), layers)


def two_blocks() -> PrivatePart:
    """1x16x16 to 4x4x4 by way of 3x8x8."""
    return calibrated(private_part((1, 16, 16), [*block(3, 2), *block(4, 2, 3, 1)]))


def cubic_block() -> tuple[PrivatePart, int]:
    """1x16x16 to 3x8x8 by way of a cubic, and the limit of its features: five bits, for a small degree."""
    cubic = PrivatePolynomial("cubic", np.array([0.1, 0.5, 0.3, 0.1]))
    part = calibrated(
        private_part(
            (1, 16, 16), [convolution("filters", 3, 1), cubic, PrivateAveragePool.disjoint("pooling", 2)]
        )
    )
    return replace(part, feature_step=part.ranges[-1] / 16), 16


def random_frame(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-PIXEL_BOUND, PIXEL_BOUND, shape)


def expected(private: PrivatePart, frame: NDArray[np.float64]) -> NDArray[np.float64]:
    features: NDArray[np.float64] = private_evaluate(private, frame[None])[0]
    return features
