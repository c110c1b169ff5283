"""A directed acyclic graph of float layers: what a model computes at inference.

Values are numbered: 0 are the frames, i + 1 is what node i makes, as in `pvcnn.program.program`. The
layers, which `pvcnn.partition.float_graph.layers` and `activations` define, can be imported from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pvcnn.partition.float_graph.activations import Activation
from pvcnn.partition.float_graph.layers import (
    Add,
    AffineLayer,
    AveragePool,
    BatchNorm,
    Concatenate,
    Conv2d,
    Flatten,
    FloatLayer,
    Linear,
    MaxPool,
    Multiply,
    apply,
    inputs_allowed,
    output_shape,
    per_channel,
    type_name,
)
from pvcnn.program.layers import Shape

__all__ = [
    "FRAMES",
    "Activation",
    "Add",
    "AffineLayer",
    "AveragePool",
    "BatchNorm",
    "Concatenate",
    "Conv2d",
    "Flatten",
    "FloatGraph",
    "FloatLayer",
    "FloatNode",
    "Linear",
    "MaxPool",
    "Multiply",
    "apply",
    "output_shape",
    "per_channel",
    "type_name",
]

#: The number of the frames among a graph's values.
FRAMES = 0


@dataclass(frozen=True, eq=False)
class FloatNode:
    """A layer and the values that it takes: 0 for the frames, i + 1 for what node i makes."""

    layer: FloatLayer
    inputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FloatGraph:
    """Float layers from frames of shape `input_shape` to the last node's output, which is the model's.

    Nodes take what earlier ones make, and each but the last is taken by another. `notes` tell the
    owner what was left out because it changes nothing that is revealed. Raises ValueError for nodes
    that are out of order, unused or of one name, and UnsupportedLayer, naming the layer, for shapes
    that do not fit.
    """

    input_shape: Shape
    nodes: tuple[FloatNode, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def chain(cls, input_shape: Shape, layers: Iterable[FloatLayer]) -> FloatGraph:
        """Each layer takes what the one before it makes."""
        return cls(input_shape, tuple(FloatNode(layer, (i,)) for i, layer in enumerate(layers)))

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ValueError("a graph has at least one layer")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError("layer names must differ")
        for index, node in enumerate(self.nodes):
            fewest, most = inputs_allowed(node.layer)
            if not fewest <= len(node.inputs) <= most:
                raise ValueError(
                    f"{node.layer.name}: takes {fewest} to {most} inputs, not {len(node.inputs)}"
                )
            if not all(FRAMES <= number <= index for number in node.inputs):
                raise ValueError(f"{node.layer.name}: takes the values {node.inputs}, not all made before it")
        for index, users in enumerate(self.consumers[1:-1]):
            if not users:
                raise ValueError(f"{self.layers[index].name}: no layer takes what this makes")
        _ = self.shapes

    @property
    def layers(self) -> tuple[FloatLayer, ...]:
        """The layer of each node."""
        return tuple(node.layer for node in self.nodes)

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Of each value: first the frames, then what each node makes."""
        shapes = [self.input_shape]
        for node in self.nodes:
            shapes.append(output_shape(node.layer, *(shapes[number] for number in node.inputs)))
        return tuple(shapes)

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """For each value the nodes that take it, in order; twice if a node takes it twice."""
        users: list[list[int]] = [[] for _ in range(len(self.nodes) + 1)]
        for index, node in enumerate(self.nodes):
            for number in node.inputs:
                users[number].append(index)
        return tuple(map(tuple, users))

    def sole_consumer(self, index: int) -> int | None:
        """The node that alone, and once, takes what node `index` makes; None if there are more or none."""
        users = self.consumers[index + 1]
        return users[0] if len(users) == 1 else None

    @torch.no_grad()
    def evaluate(self, frames: Tensor) -> Iterator[Tensor]:
        """The output of every node, in order, for a batch (N, *input_shape) of float64.

        A value is forgotten as soon as no later node needs it.
        """
        values = {FRAMES: frames}
        for index, node in enumerate(self.nodes):
            output = apply(node.layer, *(values[number] for number in node.inputs))
            values[index + 1] = output
            for number in set(node.inputs):
                if self.consumers[number][-1] == index:
                    del values[number]
            yield output

    def output(self, frames: Tensor) -> Tensor:
        """What the model computes for a batch: the last node's output, (N, *shapes[-1])."""
        *_, last = self.evaluate(frames)
        return last
