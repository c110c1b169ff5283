"""The float layers of a private part, which the owner evaluates on encrypted frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.layers import Shape


@dataclass(frozen=True, eq=False)
class PrivateConvolution:
    """3x3, stride 1, padding 1. weight: (out, in, 3, 3) float64; bias: (out,) float64."""

    name: str
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


@dataclass(frozen=True)
class Square:
    """Entrywise x^2."""

    name: str


@dataclass(frozen=True)
class PrivateAveragePool:
    """Mean over disjoint size x size windows."""

    name: str
    size: int


PrivateLayer: TypeAlias = PrivateConvolution | Square | PrivateAveragePool


@dataclass(frozen=True)
class PrivatePart:
    """The private layers and the scale that turns their outputs into the program's integers.

    `input_shape` is (channels, height, width) of a frame; pixels lie in [-pixel_bound, pixel_bound].
    The integer features are round(output / feature_step).
    """

    input_shape: Shape
    pixel_bound: float
    layers: tuple[PrivateLayer, ...]
    feature_step: float
    output_shape: Shape
