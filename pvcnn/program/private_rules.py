"""What a private part must fulfil to hide anything at all (docs/threat-model.md).

Two rules, both necessary and neither sufficient: from the outputs of a private part that fails one, whoever
decrypts them can solve for its weights and then for the frame.
"""

from __future__ import annotations

import math
from typing import Final

from pvcnn.program.layers import Shape
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivateLinear,
    PrivatePolynomial,
    Square,
)

NONLINEARITY: Final = "a"
FEWER_FEATURES: Final = "b"
#: Every rule by its letter.
RULES: Final = {
    NONLINEARITY: "rule (a), a nonlinearity before the cut",
    FEWER_FEATURES: "rule (b), fewer features than pixels",
}


def broken_rules(layers: tuple[PrivateLayer, ...], input_shape: Shape, output_shape: Shape) -> dict[str, str]:
    """Why a private part hides nothing, by the letters of the rules that it fails, in their order."""
    found = {}
    first = next((i for i, layer in enumerate(layers) if _mixes(layer)), len(layers))
    if not any(_is_nonlinear(layer) for layer in layers[first:]):
        found[NONLINEARITY] = (
            f"{RULES[NONLINEARITY]}: the private part is linear behind its first "
            "convolution, so its weights follow from its outputs; put a Square behind a convolution"
        )
    features, pixels = output_shape[0], math.prod(input_shape)
    if not any(isinstance(layer, PrivateLinear) for layer in layers):
        pixels = input_shape[0] * math.prod(math.prod(_stride(layer)) for layer in layers)
    if features >= pixels or math.prod(output_shape) >= math.prod(input_shape):
        found[FEWER_FEATURES] = (
            f"{RULES[FEWER_FEATURES]}: the private part makes {features} features of "
            f"every {pixels} pixels; pool more (AvgPool2d) or use fewer channels before the cut"
        )
    return found


def _mixes(layer: PrivateLayer) -> bool:
    return isinstance(layer, PrivateConvolution | PrivateLinear)


def _is_nonlinear(layer: PrivateLayer) -> bool:
    if isinstance(layer, PrivatePolynomial):
        return bool(layer.coefficients[2:].any())
    return isinstance(layer, Square)


def _stride(layer: PrivateLayer) -> tuple[int, int]:
    if isinstance(layer, PrivateConvolution | PrivateAveragePool):
        return layer.windows.stride
    return (1, 1)
