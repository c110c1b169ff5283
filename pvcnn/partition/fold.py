"""Exact rewritings of a chain: the same function in fewer or cheaper layers."""

from __future__ import annotations

from dataclasses import replace

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.graph import BatchNorm, Conv2d, Flatten, FloatLayer, LeakyReLU, Linear, MaxPool


def fold_batch_norms(layers: tuple[FloatLayer, ...]) -> tuple[FloatLayer, ...]:
    """Every batch norm inside the convolution or linear layer just before it.

    scale (W x + b) + shift = (scale W) x + (scale b + shift), for each output channel. Raises
    UnsupportedLayer for a batch norm anywhere else: after an activation it is a gate of its own.
    """
    folded: list[FloatLayer] = []
    for layer in layers:
        if not isinstance(layer, BatchNorm):
            folded.append(layer)
            continue
        before = folded[-1] if folded else None
        if not isinstance(before, Conv2d | Linear):
            raise UnsupportedLayer(
                f"{layer.name} (BatchNorm): stands after "
                f"{f'{before.name} ({type(before).__name__})' if before else 'nothing'}; "
                "move it directly behind a convolution or linear layer"
            )
        rows = layer.scale.reshape(-1, *[1] * (before.weight.ndim - 1))
        folded[-1] = replace(
            before, weight=before.weight * rows, bias=before.bias * layer.scale + layer.shift
        )
    return tuple(folded)


def activations_first(layers: tuple[FloatLayer, ...]) -> tuple[FloatLayer, ...]:
    """Activations moved before the max pools and flattenings in front of them, where that is exact.

    A nondecreasing function commutes with a maximum. Behind its convolution an activation shares the
    lookup that requantises; behind a pool it would need one of its own.
    """
    ordered: list[FloatLayer] = []
    for layer in layers:
        place = len(ordered)
        if isinstance(layer, LeakyReLU) and layer.slope >= 0:
            while place and isinstance(ordered[place - 1], MaxPool | Flatten):
                place -= 1
        ordered.insert(place, layer)
    return tuple(ordered)
