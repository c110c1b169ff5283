"""Which values of a graph stay wide, and where a table brings them back to few bits.

Affine layers, sums and products make *accumulators*: integers of many bits. One that a sum alone takes
*flows on* into it unrounded, and so does an affine layer's into an average pool or Flatten. Where the flow
ends, a table follows: that of the activation behind it, or the identity. The model's output needs none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.float_graph.graph import (
    Activation,
    Add,
    AveragePool,
    BatchNorm,
    Conv2d,
    Flatten,
    FloatGraph,
    FloatLayer,
    FloatNode,
    Linear,
    Multiply,
)
from pvcnn.program.layers import Shape
from pvcnn.program.windows import Windows

#: A batch norm of features becomes a Linear layer with a weight for each pair of them.
MAX_NORMED_FEATURES = 1024


@dataclass(frozen=True)
class Term:
    """`factor` times the value `number`, which node `index` takes as its input `position`, in a sum."""

    factor: float
    number: int
    index: int
    position: int


@dataclass(frozen=True, eq=False)
class Accumulators:
    """For each value of `graph`: whether it is an accumulator, whether it flows on, whether it is rigid.

    The scale of a rigid one is not chosen: it is a product.
    """

    graph: FloatGraph
    wide: tuple[bool, ...]
    flows: tuple[bool, ...]
    rigid: tuple[bool, ...]

    def ends(self, number: int) -> bool:
        """Whether a flow ends with this value."""
        return self.wide[number] and not self.flows[number]

    def terms(self, index: int) -> tuple[Term, ...]:
        """What Add node `index` adds up, sums that flow into it taken apart."""
        return tuple(self._expanded(index, 1.0))

    def fused(self, number: int) -> int | None:
        """The activation node that alone takes the accumulator at the end of a flow, if there is one."""
        following = self.graph.sole_consumer(number - 1) if self.ends(number) else None
        is_activation = following is not None and isinstance(self.graph.layers[following], Activation)
        return following if is_activation else None

    def _expanded(self, index: int, factor: float) -> Iterator[Term]:
        node = self.graph.nodes[index]
        assert isinstance(node.layer, Add)
        for position, (multiplier, number) in enumerate(
            zip(node.layer.multipliers, node.inputs, strict=True)
        ):
            if self.flows[number] and sums(self.graph.layers[number - 1]):
                yield from self._expanded(number - 1, factor * multiplier)
            elif factor * multiplier == 0:
                raise UnsupportedLayer(f"{node.layer.name} (Add): multiplies a tensor by 0; leave it out")
            else:
                yield Term(factor * multiplier, number, index, position)


def find_accumulators(graph: FloatGraph) -> Accumulators:
    """Of a graph without batch norms."""
    wide, flows, rigid = [False], [False], [False]
    for index, node in enumerate(graph.nodes):
        layer = node.layer
        if isinstance(layer, AveragePool | Flatten) or rescales(layer):
            wide.append(flows[node.inputs[0]])
        else:
            wide.append(isinstance(layer, Conv2d | Linear | Add | Multiply))
        rigid.append(isinstance(layer, Multiply))
        following = graph.sole_consumer(index)
        taker = None if following is None else graph.layers[following]
        joins = sums(taker)
        if not (sums(layer) or rigid[-1]):
            joins = joins or isinstance(taker, AveragePool | Flatten) or rescales(taker)
        flows.append(wide[-1] and joins)
    return Accumulators(graph, tuple(wide), tuple(flows), tuple(rigid))


def sums(layer: FloatLayer | None) -> bool:
    """Whether a layer adds its inputs."""
    return isinstance(layer, Add) and not rescales(layer)


def rescales(layer: FloatLayer | None) -> bool:
    """Whether a layer only multiplies by a positive number, which a scale absorbs."""
    return isinstance(layer, Add) and len(layer.multipliers) == 1 and layer.multipliers[0] > 0


def without_batch_norms(graph: FloatGraph) -> FloatGraph:
    """Batch norms as affine layers: 1x1 convolutions with a group a channel. Raises UnsupportedLayer."""
    nodes = [
        replace(node, layer=_normalisation(node.layer, graph.shapes[node.inputs[0]]))
        if isinstance(node.layer, BatchNorm)
        else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def with_own_scales(graph: FloatGraph, index: int, position: int) -> FloatGraph:
    """The graph with a layer of ones, one for each channel, where node `index` takes its input `position`.

    `index` may be the number of nodes: the layer then stands behind the last. It computes what it gets,
    but as an accumulator, whose scale for each channel can be chosen.
    """
    behind = index == len(graph.nodes)
    source = index if behind else graph.nodes[index].inputs[position]
    shape = graph.shapes[source]
    name, names = "rescaling", {layer.name for layer in graph.layers}
    while name in names:
        name += "+"
    ones = torch.ones(shape[0], dtype=torch.float64)
    layer = _for_each_channel(name, ones, torch.zeros_like(ones), shape)
    nodes = [FloatNode(node.layer, tuple(_later(n, index) for n in node.inputs)) for node in graph.nodes]
    if not behind:
        inputs = list(nodes[index].inputs)
        inputs[position] = index + 1
        nodes[index] = FloatNode(graph.nodes[index].layer, tuple(inputs))
    nodes.insert(index, FloatNode(layer, (source,)))
    return replace(graph, nodes=tuple(nodes))


def _later(number: int, index: int) -> int:
    """The number of a value when a node has been put in front of node `index`."""
    return number + 1 if number > index else number


def _normalisation(layer: BatchNorm, shape: Shape) -> Conv2d | Linear:
    if len(shape) == 1 and shape[0] > MAX_NORMED_FEATURES:
        raise UnsupportedLayer(
            f"{layer.name} (BatchNorm): of {shape[0]} features, folds into no layer; "
            "move it directly behind or in front of a Linear layer"
        )
    return _for_each_channel(layer.name, layer.scale, layer.shift, shape)


def _for_each_channel(name: str, scale: Tensor, shift: Tensor, shape: Shape) -> Conv2d | Linear:
    if len(shape) == 1:
        return Linear(name, torch.diag(scale), shift)
    return Conv2d(name, scale.reshape(-1, 1, 1, 1), shift, Windows.square(1), groups=len(scale))
