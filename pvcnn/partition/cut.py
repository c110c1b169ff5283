"""Where the model is cut, and what a private part must fulfil (docs/threat-model.md)."""

from __future__ import annotations

import math

from pvcnn.errors import CutRefused, UnsupportedLayer
from pvcnn.partition.graph import AveragePool, Conv2d, Flatten, FloatLayer, Linear, Square
from pvcnn.program import private
from pvcnn.program.layers import Shape


def cut_after(
    layers: tuple[FloatLayer, ...], blocks: int
) -> tuple[tuple[FloatLayer, ...], tuple[FloatLayer, ...]]:
    """The private and the public layers. A block runs from one convolution or linear layer up to the next.

    A Flatten at the cut goes to the public side, where it costs nothing. Raises CutRefused if no whole
    block would be left on either side.
    """
    starts = [i for i, layer in enumerate(layers) if isinstance(layer, Conv2d | Linear)]
    if not 1 <= blocks < len(starts):
        raise CutRefused(
            f"cut={blocks}: the model has {len(starts)} blocks (convolutions or linear layers with what "
            f"follows them), and at least one must be private and one public: choose 1 to {len(starts) - 1}"
        )
    place = starts[blocks]
    while isinstance(layers[place - 1], Flatten):
        place -= 1
    return layers[:place], layers[place:]


def private_layers(layers: tuple[FloatLayer, ...]) -> tuple[private.PrivateLayer, ...]:
    """The layers as they are evaluated on encrypted frames. Raises UnsupportedLayer for any other."""
    return tuple(_private_layer(layer) for layer in layers)


def _private_layer(layer: FloatLayer) -> private.PrivateLayer:
    match layer:
        case Conv2d() if (layer.kernel, layer.stride, layer.padding) == (3, 1, 1):
            return private.PrivateConvolution(layer.name, layer.weight.numpy(), layer.bias.numpy())
        case Square():
            return private.Square(layer.name)
        case AveragePool():
            return private.PrivateAveragePool(layer.name, layer.size)
        case Conv2d():
            found = f"Conv2d {layer.kernel}x{layer.kernel}, stride {layer.stride}, padding {layer.padding}"
        case _:
            found = type(layer).__name__
    raise UnsupportedLayer(
        f"{layer.name} ({found}): not supported before the cut, where frames are encrypted; supported are "
        "Conv2d 3x3 with stride 1 and padding 1, batch norm behind it, Square (x * x) and AvgPool2d: "
        "replace the layer or cut before it"
    )


def check_rules(layers: tuple[private.PrivateLayer, ...], input_shape: Shape, output_shape: Shape) -> None:
    """Raises CutRefused, naming the rule, for a private part that would hide nothing.

    Both rules are necessary and neither is sufficient: from the outputs of a private part that fails
    one, whoever decrypts them can solve for its weights and then for the frame.
    """
    kinds = [type(layer) for layer in layers]
    first = kinds.index(private.PrivateConvolution) if private.PrivateConvolution in kinds else len(kinds)
    if private.Square not in kinds[first:]:
        raise CutRefused(
            "rule (a), a nonlinearity before the cut: the private part is linear behind its first "
            "convolution, so its weights follow from its outputs; put a Square behind a convolution"
        )
    shrinking = math.prod(layer.size for layer in layers if isinstance(layer, private.PrivateAveragePool))
    pixels = input_shape[0] * shrinking**2
    if output_shape[0] >= pixels:
        raise CutRefused(
            f"rule (b), fewer features than pixels: the private part makes {output_shape[0]} features of "
            f"every {pixels} pixels; pool more (AvgPool2d) or use fewer channels before the cut"
        )


def outputs_are_nonnegative(layers: tuple[private.PrivateLayer, ...]) -> bool:
    """Whether nothing but averages follow the last Square."""
    for layer in reversed(layers):
        if isinstance(layer, private.Square):
            return True
        if isinstance(layer, private.PrivateConvolution):
            return False
    return False
