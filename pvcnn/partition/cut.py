"""Where the model is cut, and what a private part must fulfil (docs/threat-model.md)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pvcnn.errors import CutRefused, UnsupportedLayer
from pvcnn.partition.float_graph.graph import (
    FRAMES,
    Activation,
    AveragePool,
    BatchNorm,
    Conv2d,
    Flatten,
    FloatGraph,
    FloatLayer,
    FloatNode,
    Linear,
    type_name,
)
from pvcnn.program import private
from pvcnn.program.windows import Windows


class CutGraph(NamedTuple):
    """The private layers, one behind the other, and the public graph, whose frames are what crosses.

    `place` is the number of the value that crosses in the whole graph, FRAMES if nothing is private. The
    private part's features are always (channels, rows, columns): where the value is (features,), the public
    graph `flattens` (features, 1, 1) first.
    """

    private: tuple[FloatLayer, ...]
    public: FloatGraph
    place: int
    flattens: bool


def cut_graph(graph: FloatGraph, cut: int | str) -> CutGraph:
    """Cuts a graph where one tensor alone crosses.

    `cut` is a number of blocks, each running from one convolution or linear layer up to the next, in the
    graph's order; or the name of a layer, or of a module that has layers, behind which to cut; 0 keeps
    nothing private. A Flatten at the cut goes to the public side, where it costs nothing.

    Raises CutRefused if no layer would be left on the public side, no layer has the name, or several
    tensors cross, naming the nearest cuts that fit; UnsupportedLayer if the private layers are no chain.
    """
    place = _place_of_name(graph, cut) if isinstance(cut, str) else _place_of_blocks(graph, cut)
    while place != FRAMES and isinstance(graph.layers[place - 1], Flatten):
        (place,) = graph.nodes[place - 1].inputs
    crossing = _crossing(graph, place)
    if len(crossing) > 1:
        raise CutRefused(
            f"cut={cut!r}: {len(crossing)} tensors cross there, those of "
            f"{', '.join(_name(graph, value) for value in crossing)}; one alone may: {_nearest(graph, place)}"
        )
    return cut_at(graph, place)


def cut_at(graph: FloatGraph, place: int) -> CutGraph:
    """Cuts behind the value `place`, one of `crossings`. Raises UnsupportedLayer if no chain makes it."""
    flattens = place != FRAMES and len(graph.shapes[place]) == 1
    return CutGraph(_chain(graph.nodes[:place]), _from(graph, place, flattens), place, flattens)


def crossings(graph: FloatGraph) -> tuple[int, ...]:
    """Every value that alone crosses where it is made, FRAMES among them and the output not.

    A Flatten's is left out: what it takes crosses instead.
    """
    alone = (value for value in range(len(graph.nodes)) if len(_crossing(graph, value)) == 1)
    return tuple(
        value for value in alone if value == FRAMES or not isinstance(graph.layers[value - 1], Flatten)
    )


def blocks_before(graph: FloatGraph, place: int) -> int | None:
    """The number of blocks that a cut behind the value `place` leaves private; None if it divides a block."""
    starts = _starts(graph)
    behind = place
    while behind < len(graph.nodes) and isinstance(graph.layers[behind], Flatten):
        behind += 1
    if place == FRAMES:
        return 0
    return starts.index(behind) if behind in starts[1:] else None


def _starts(graph: FloatGraph) -> list[int]:
    """The convolutions and linear layers: with each a block begins."""
    return [index for index, layer in enumerate(graph.layers) if isinstance(layer, Conv2d | Linear)]


def _place_of_blocks(graph: FloatGraph, blocks: int) -> int:
    starts = _starts(graph)
    if not 0 <= blocks < len(starts):
        raise CutRefused(
            f"cut={blocks}: the model has {len(starts)} blocks (convolutions or linear layers with what "
            f"follows them), and at least one must be public: choose 0 to {max(len(starts) - 1, 0)}"
        )
    return starts[blocks] if blocks else FRAMES


def _place_of_name(graph: FloatGraph, name: str) -> int:
    names = [layer.name for layer in graph.layers]
    found = [index for index, other in enumerate(names) if other == name or other.startswith(f"{name}.")]
    if not found:
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.0)
        raise CutRefused(
            f"cut={name!r}: no layer has this name once batch norms are folded; others are {', '.join(close)}"
        )
    place = found[-1] + 1
    if place == len(names):
        raise CutRefused(
            f"cut={name!r}: this is the last layer, and at least one must be public; cut before it"
        )
    return place


def _crossing(graph: FloatGraph, place: int) -> list[int]:
    """The values made before the cut, frames included, that nodes behind it take."""
    return [value for value in range(place + 1) if any(user >= place for user in graph.consumers[value])]


def _nearest(graph: FloatGraph, place: int) -> str:
    """The cuts before and behind `place` at which one tensor crosses, and behind a chain."""
    joins = [index for index, node in enumerate(graph.nodes) if len(node.inputs) > 1]
    fits = [value for value in range(1, joins[0] + 1) if len(_crossing(graph, value)) == 1]
    before = [value for value in fits if value < place][-1:]
    behind = [value for value in fits if value > place][:1]
    return "choose " + " or ".join(["cut=0", *(f"cut={_name(graph, value)!r}" for value in before + behind)])


def _name(graph: FloatGraph, value: int) -> str:
    return "the frames" if value == FRAMES else graph.layers[value - 1].name


def _chain(nodes: tuple[FloatNode, ...]) -> tuple[FloatLayer, ...]:
    for node in nodes:
        if len(node.inputs) > 1:
            raise _unsupported(node.layer, type_name(node.layer))
    return tuple(node.layer for node in nodes)


def _from(graph: FloatGraph, place: int, flattens: bool) -> FloatGraph:
    """What follows the value `place`, which takes the place of the frames."""
    moved = place - flattens
    nodes = tuple(
        FloatNode(node.layer, tuple(number - moved for number in node.inputs)) for node in graph.nodes[place:]
    )
    if not flattens:
        return FloatGraph(graph.shapes[place], nodes, graph.notes)
    flatten = FloatNode(Flatten(f"{graph.layers[place - 1].name}.features"), (FRAMES,))
    return FloatGraph((*graph.shapes[place], 1, 1), (flatten, *nodes), graph.notes)


def private_layers(layers: tuple[FloatLayer, ...]) -> tuple[private.PrivateLayer, ...]:
    """The layers as they are evaluated on encrypted frames. Raises UnsupportedLayer for any other."""
    return tuple(_private_layer(layer) for layer in layers if not isinstance(layer, Flatten))


def _private_layer(layer: FloatLayer) -> private.PrivateLayer:
    match layer:
        case Conv2d():
            return private.PrivateConvolution(
                layer.name, layer.weight.numpy(), layer.bias.numpy(), layer.windows, layer.groups
            )
        case Linear():
            return private.PrivateLinear(layer.name, layer.weight.numpy(), layer.bias.numpy())
        case Activation(kind="square"):
            return private.Square(layer.name)
        case Activation(kind="polynomial"):
            return private.PrivatePolynomial(layer.name, np.array(layer.coefficients))
        case AveragePool() if max(layer.windows.kernel) <= private.MAX_WINDOW:
            return private.PrivateAveragePool(layer.name, layer.windows, layer.divisor)
        case BatchNorm():
            size = len(layer.scale)
            weight = layer.scale.numpy().reshape(size, 1, 1, 1)
            return private.PrivateConvolution(
                layer.name, weight, layer.shift.numpy(), Windows((1, 1)), groups=size
            )
    raise _unsupported(layer, type_name(layer))


def _unsupported(layer: FloatLayer, found: str) -> UnsupportedLayer:
    return UnsupportedLayer(
        f"{layer.name} ({found}): not supported before the cut, where frames are encrypted; supported are "
        "one behind the other Conv2d, Linear, BatchNorm2d, AvgPool2d, Square (x * x) and Polynomial: replace "
        "the layer (`replace_activations` of pvcnn.partition.polynomials does it) or cut before it"
    )


def refuse_broken(rules: Mapping[str, str]) -> None:
    """Raises CutRefused with the first reason of `broken_rules`, if there is one."""
    for why in rules.values():
        raise CutRefused(f"{why}; or accept that it hides nothing: --accept-leaky-cut (accept_leaky_cut)")


def outputs_are_nonnegative(layers: tuple[private.PrivateLayer, ...]) -> bool:
    """Whether nothing but averages follow the last Square."""
    for layer in reversed(layers):
        if isinstance(layer, private.Square):
            return True
        if not isinstance(layer, private.PrivateAveragePool):
            return False
    return False
