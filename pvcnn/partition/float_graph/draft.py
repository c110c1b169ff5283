"""A float graph while it is put together or rewritten."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pvcnn.partition.float_graph.graph import FRAMES, FloatGraph, FloatLayer, FloatNode, output_shape
from pvcnn.program.layers import Shape


class Draft:
    """Values and the nodes that make them. A value keeps its number until `finish` numbers anew.

    What nothing leads to from the output is left out in the end, so that rewritings need not tidy up.
    """

    def __init__(self, input_shape: Shape) -> None:
        self._input_shape = input_shape
        self._nodes: dict[int, FloatNode] = {}
        self._shapes = {FRAMES: input_shape}
        self._next = FRAMES + 1
        #: The value that the model returns.
        self.output = FRAMES

    @classmethod
    def of(cls, graph: FloatGraph) -> Draft:
        """A draft of `graph` as it is."""
        draft = cls(graph.input_shape)
        for node in graph.nodes:
            draft.output = draft.add(node.layer, *node.inputs)
        return draft

    def add(self, layer: FloatLayer, *inputs: int) -> int:
        """The number of the value that the new node makes. Raises UnsupportedLayer if shapes do not fit."""
        self._shapes[self._next] = output_shape(layer, *(self._shapes[number] for number in inputs))
        self._nodes[self._next] = FloatNode(layer, inputs)
        self._next += 1
        return self._next - 1

    def shape(self, value: int) -> Shape:
        """Of a value, as it was when its node was added."""
        return self._shapes[value]

    def maker(self, value: int) -> FloatNode | None:
        """The node that makes `value`; None for the frames."""
        return self._nodes.get(value)

    def node(self, value: int) -> FloatNode:
        """The node that makes `value`, which are not the frames."""
        return self._nodes[value]

    def values(self) -> tuple[int, ...]:
        """What nodes make, in the order in which they were added."""
        return tuple(self._nodes)

    def users(self, value: int) -> tuple[int, ...]:
        """The values for which `value` is needed; twice where a node takes it twice."""
        return tuple(made for made, node in self._nodes.items() for number in node.inputs if number == value)

    def is_only_for(self, value: int, user: int) -> bool:
        """Whether the node that makes `user` alone takes `value`, and once."""
        return self.users(value) == (user,)

    def replace(self, layers: Mapping[int, FloatLayer]) -> None:
        """Puts other layers in the place of those that make the given values."""
        for value, layer in layers.items():
            self._nodes[value] = FloatNode(layer, self._nodes[value].inputs)

    def rewire(self, user: int, old: int, new: int) -> None:
        """The node that makes `user` takes `new` instead of `old`."""
        node = self._nodes[user]
        inputs = tuple(new if number == old else number for number in node.inputs)
        self._nodes[user] = FloatNode(node.layer, inputs)

    def substitute(self, old: int, new: int) -> None:
        """Whoever took `old` takes `new`; the node that made `old` is left out."""
        del self._nodes[old]
        for user in self.users(old):
            self.rewire(user, old, new)
        if self.output == old:
            self.output = new

    def swap(self, first: int, second: int) -> None:
        """Lets two nodes of one input change places; the second alone takes what the first makes."""
        (source,) = self._nodes[first].inputs
        users = self.users(second)
        self.rewire(second, first, source)
        self.rewire(first, source, second)
        for user in users:
            self.rewire(user, second, first)
        if self.output == second:
            self.output = first
        self._shapes[second] = output_shape(self._nodes[second].layer, self._shapes[source])
        self._shapes[first] = output_shape(self._nodes[first].layer, self._shapes[second])

    def finish(self, notes: Iterable[str] = ()) -> FloatGraph:
        """The graph, its nodes as near as can be to the order in which they were added.

        Of several layers with one name all but the first get a number behind it.
        """
        numbers = {FRAMES: FRAMES}
        nodes: list[FloatNode] = []
        names: set[str] = set()
        for value in self._ordered():
            node = self._nodes[value]
            layer = _renamed(node.layer, names)
            names.add(layer.name)
            nodes.append(FloatNode(layer, tuple(numbers[number] for number in node.inputs)))
            numbers[value] = len(nodes)
        return FloatGraph(self._input_shape, tuple(nodes), tuple(notes))

    def _ordered(self) -> list[int]:
        """The values that the output needs, each behind those that it is made of."""
        needed = self._needed()
        waiting = {value: len({n for n in self._nodes[value].inputs if n != FRAMES}) for value in needed}
        users: dict[int, set[int]] = {value: set() for value in needed}
        for value in needed:
            for number in self._nodes[value].inputs:
                if number != FRAMES:
                    users[number].add(value)
        ready = [value for value, count in waiting.items() if not count]
        heapq.heapify(ready)
        ordered = []
        while ready:
            value = heapq.heappop(ready)
            ordered.append(value)
            for user in users[value]:
                waiting[user] -= 1
                if not waiting[user]:
                    heapq.heappush(ready, user)
        return ordered

    def _needed(self) -> set[int]:
        needed: set[int] = set()
        pending = [self.output]
        while pending:
            value = pending.pop()
            if value != FRAMES and value not in needed:
                needed.add(value)
                pending.extend(self._nodes[value].inputs)
        return needed


def _renamed(layer: FloatLayer, taken: set[str]) -> FloatLayer:
    name, count = layer.name, 1
    while name in taken:
        count += 1
        name = f"{layer.name}-{count}"
    return layer if name == layer.name else replace(layer, name=name)
