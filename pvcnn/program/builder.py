"""Puts a program together, node by node."""

from __future__ import annotations

from pvcnn.program.bounds import Range, output_range, output_shape
from pvcnn.program.layers import Layer, Shape, inputs_allowed
from pvcnn.program.program import Node, Program


class ProgramBuilder:
    """Collects nodes: `add` gives the number of the value that the new node makes.

    builder = ProgramBuilder((8, 16, 16), -2048, 2047)
    x = builder.add(Convolution(...), FEATURES)
    y = builder.add(Requantise(...), x)
    z = builder.add(Combine("sum", (1, 4)), x, y)
    builder.add(Logits("logits"), builder.add(Flatten("flatten"), z))
    program = builder.finish()
    """

    def __init__(self, input_shape: Shape, input_low: int, input_high: int) -> None:
        self._input_shape = input_shape
        self._bounds = (input_low, input_high)
        self._nodes: list[Node] = []
        self._shapes = [input_shape]
        self._ranges = [self._bounds]

    def add(self, layer: Layer, *inputs: int) -> int:
        """Raises ValueError, naming the layer, if it cannot take tensors of such shapes."""
        fewest, most = inputs_allowed(layer)
        if not fewest <= len(inputs) <= most or not all(0 <= n < len(self._shapes) for n in inputs):
            raise ValueError(f"{layer.name}: takes {fewest} to {most} values made before it, not {inputs}")
        shapes = [self._shapes[number] for number in inputs]
        self._shapes.append(output_shape(layer, *shapes))
        self._ranges.append(output_range(layer, shapes, [self._ranges[number] for number in inputs]))
        self._nodes.append(Node(layer, inputs))
        return len(self._nodes)

    def shape(self, number: int) -> Shape:
        """Of a value so far."""
        return self._shapes[number]

    def range(self, number: int) -> Range:
        """Inclusive bounds of a value so far."""
        return self._ranges[number]

    def finish(self) -> Program:
        """Raises ValueError as `Program` does."""
        return Program(self._input_shape, *self._bounds, tuple(self._nodes))
