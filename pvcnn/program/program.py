"""A public part without its weights: layers and how they are joined. Public, and hashed into the key."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pvcnn.algebra.transcript import digest
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError
from pvcnn.program.bounds import Range, output_range, output_shape
from pvcnn.program.layer_encoding import decode_layer, encode_layer
from pvcnn.program.layers import (
    MAX_INPUTS,
    MAX_SIDE,
    Affine,
    Argmax,
    Convolution,
    Correct,
    Layer,
    Linear,
    Logits,
    Output,
    Shape,
    Sign,
    inputs_allowed,
)

FORMAT = "pvcnn-program"
VERSION = 2
MAX_BYTES = 16 << 20
MAX_NODES = 4096
#: Entries of one tensor, and of all weights together: a bound on what a hostile program can ask for.
MAX_ENTRIES = 1 << 24
MAX_WEIGHTS = 1 << 28
#: Features are looked up in their range by limbs.
FEATURE_LIMIT = 1 << 31
#: Every intermediate value must fit, so that integer inference in int64 is exact.
MAX_MAGNITUDE_BITS = 60
#: The number of the features among a program's values; node i makes the value i + 1.
FEATURES = 0


@dataclass(frozen=True)
class Node:
    """A layer and the values that it takes: 0 for the features, i + 1 for what node i makes."""

    layer: Layer
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """A directed acyclic graph of integer layers, from features to what is revealed.

    `input_shape` is that of one frame's features, (channels, height, width) or (features,);
    features are integers in [input_low, input_high]. Nodes take what earlier ones make; the last is
    an output layer, and no other is. Raises ValueError, naming the layer, for nodes that do not fit
    together, one whose value nobody uses, and broken limits.
    """

    input_shape: Shape
    input_low: int
    input_high: int
    nodes: tuple[Node, ...]

    @classmethod
    def chain(cls, input_shape: Shape, input_low: int, input_high: int, layers: Iterable[Layer]) -> Program:
        """Each layer takes what the one before it makes."""
        nodes = tuple(Node(layer, (number,)) for number, layer in enumerate(layers))
        return cls(input_shape, input_low, input_high, nodes)

    def __post_init__(self) -> None:
        if not 1 <= len(self.nodes) <= MAX_NODES or not isinstance(self.nodes[-1].layer, Output):
            raise ValueError(
                f"a program has at most {MAX_NODES} layers and ends with Sign, Argmax, Logits or Correct"
            )
        if len(self.input_shape) not in (1, 3) or not all(1 <= n <= MAX_SIDE for n in self.input_shape):
            raise ValueError(f"features cannot have the shape {self.input_shape}")
        if not -FEATURE_LIMIT <= self.input_low <= 0 <= self.input_high < FEATURE_LIMIT:
            raise ValueError("the range of the features must contain 0 and fit 32 bits")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError("layer names must differ")
        self._check_graph()
        self._check_sizes()
        _ = self.ranges  # which refuses magnitudes that are too large

    def _check_graph(self) -> None:
        for index, (layer, inputs) in enumerate((node.layer, node.inputs) for node in self.nodes):
            if isinstance(layer, Output) and index + 1 < len(self.nodes):
                raise ValueError(f"{layer.name}: {type(layer).__name__} may only come last")
            fewest, most = inputs_allowed(layer)
            if not fewest <= len(inputs) <= most:
                raise ValueError(f"{layer.name}: takes {fewest} to {most} inputs, not {len(inputs)}")
            if not all(FEATURES <= number <= index for number in inputs):
                raise ValueError(f"{layer.name}: takes the values {inputs}, which are not all made before it")
        for index, users in enumerate(self.consumers[1:-1]):
            if not users:
                raise ValueError(f"{self.layers[index].name}: no layer takes what this makes")

    def _check_sizes(self) -> None:
        for name, shape in zip(
            ["features", *(layer.name for layer in self.layers)], self.shapes, strict=True
        ):
            if math.prod(shape) > MAX_ENTRIES:
                raise ValueError(f"{name}: a tensor has more than {MAX_ENTRIES} entries")
        if sum(math.prod(layer.weight_shape) for layer in self.affine_layers) > MAX_WEIGHTS:
            raise ValueError(f"more than {MAX_WEIGHTS} weights")

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layer of each node."""
        return tuple(node.layer for node in self.nodes)

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Of each value: first the features, then what each node makes."""
        shapes = [self.input_shape]
        for node in self.nodes:
            shapes.append(output_shape(node.layer, *(shapes[number] for number in node.inputs)))
        return tuple(shapes)

    @cached_property
    def ranges(self) -> tuple[Range, ...]:
        """Inclusive bounds of each value, which follow from the layers alone.

        Raises ValueError, naming the layer, at the first that may need too many bits: products of products
        would else double them from layer to layer, without end.
        """
        ranges = [(self.input_low, self.input_high)]
        for node in self.nodes:
            shapes = [self.shapes[number] for number in node.inputs]
            bounds = output_range(node.layer, shapes, [ranges[number] for number in node.inputs])
            if max(map(abs, bounds)).bit_length() > MAX_MAGNITUDE_BITS:
                raise ValueError(f"{node.layer.name}: values may need more than {MAX_MAGNITUDE_BITS} bits")
            ranges.append(bounds)
        return tuple(ranges)

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """For each value the nodes that take it, in order; twice if a node takes it twice."""
        users: list[list[int]] = [[] for _ in range(len(self.nodes) + 1)]
        for index, node in enumerate(self.nodes):
            for number in node.inputs:
                users[number].append(index)
        return tuple(map(tuple, users))

    def sole_consumer(self, index: int) -> int | None:
        """The node that alone, and once, takes what node `index` makes; None if there are more."""
        users = self.consumers[index + 1]
        return users[0] if len(users) == 1 else None

    def last_uses(self, index: int) -> tuple[int, ...]:
        """The values that node `index` takes and no later node does."""
        return tuple({n for n in self.nodes[index].inputs if self.consumers[n][-1] == index})

    @property
    def output(self) -> Output:
        """The last layer, which says what is revealed."""
        last = self.nodes[-1].layer
        assert isinstance(last, Sign | Argmax | Logits | Correct)
        return last

    def outputs_of(self, frames: int) -> int:
        """How many integers are revealed of so many frames: one for Correct, else as many for each frame."""
        return 1 if isinstance(self.output, Correct) else frames * math.prod(self.shapes[-1])

    @property
    def label_classes(self) -> int | None:
        """A frame's label lies in [0, label_classes); None if the program takes no labels."""
        if not isinstance(self.output, Correct):
            return None
        (logits,) = self.nodes[-1].inputs
        return max(2, *self.shapes[logits])

    @property
    def affine_layers(self) -> tuple[Affine, ...]:
        """The layers that have weights, in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, Convolution | Linear))

    def digest(self) -> bytes:
        """32 bytes that name this program: keys and manifests refer to it by them."""
        return digest("pvcnn/program", self.to_bytes())

    def to_bytes(self) -> bytes:
        """The program's only encoding (docs/formats.md)."""
        return encode(
            FORMAT,
            VERSION,
            {
                "input_shape": list(self.input_shape),
                "input_low": self.input_low,
                "input_high": self.input_high,
                "nodes": [{**encode_layer(node.layer), "inputs": list(node.inputs)} for node in self.nodes],
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Program:
        """Raises DecodeError for anything but what `to_bytes` makes of a valid program."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        shape = tuple(fields.integer_sequence("input_shape", 3, 1, MAX_SIDE + 1))
        low = fields.integer("input_low", -FEATURE_LIMIT, 1)
        high = fields.integer("input_high", 0, FEATURE_LIMIT)
        items = fields.mappings("nodes", MAX_NODES)
        fields.finish()
        try:
            return cls(shape, low, high, tuple(map(_decode_node, items)))
        except DecodeError:
            raise
        except ValueError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error


def _decode_node(fields: Fields) -> Node:
    inputs = tuple(fields.integer_sequence("inputs", MAX_INPUTS, FEATURES, MAX_NODES))
    node = Node(decode_layer(fields), inputs)
    fields.finish()
    return node
