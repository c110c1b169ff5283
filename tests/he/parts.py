"""Private parts small enough to test with, and one of each kind that matters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivatePart,
    Square,
    private_evaluate,
)

PIXEL_BOUND = 1.0


def convolution(name: str, out_channels: int, in_channels: int, seed: int = 0) -> PrivateConvolution:
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 0.3, (out_channels, in_channels, 3, 3))
    return PrivateConvolution(name, weight, rng.normal(0, 0.1, out_channels))


def private_part(
    input_shape: tuple[int, int, int], layers: Sequence[PrivateLayer], step: float = 1e-3
) -> PrivatePart:
    """The output shape is worked out here."""
    channels, rows, columns = input_shape
    for layer in layers:
        if isinstance(layer, PrivateConvolution):
            channels = len(layer.weight)
        elif isinstance(layer, PrivateAveragePool):
            rows, columns = rows // layer.size, columns // layer.size
    return PrivatePart(input_shape, PIXEL_BOUND, tuple(layers), step, (channels, rows, columns))


def block(channels: int, pool: int) -> list[PrivateLayer]:
    return [convolution("filters", channels, 1), Square("square"), PrivateAveragePool("pooling", pool)]


def small_part() -> PrivatePart:
    """Convolution, square, pooling on 16x16: the shared fixture's chain."""
    layers: list[PrivateLayer] = [
        convolution("filters", 3, 1),
        Square("square"),
        PrivateAveragePool("pooling", 2),
    ]
    return private_part((1, 16, 16), layers)


def default_part() -> PrivatePart:
    """The default block: 1x64x64 to 8x16x16."""
    layers: list[PrivateLayer] = [
        convolution("filters", 8, 1),
        Square("square"),
        PrivateAveragePool("pooling", 4),
    ]
    return private_part((1, 64, 64), layers)


def random_frame(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-PIXEL_BOUND, PIXEL_BOUND, shape)


def expected(private: PrivatePart, frame: NDArray[np.float64]) -> NDArray[np.float64]:
    features: NDArray[np.float64] = private_evaluate(private, frame[None])[0]
    return features
