"""Values of an ONNX graph while it is translated, and how operators get and make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvcnn.errors import DecodeError, UnsupportedLayer
from pvcnn.partition.float_graph.draft import Draft
from pvcnn.partition.float_graph.graph import BatchNorm, Conv2d, FloatLayer, Linear
from pvcnn.partition.onnx_import.model import MAX_LIST, Node, OnnxModel, check_size
from pvcnn.partition.onnx_import.tensors import MAX_ENTRIES, TensorReader
from pvcnn.program.layers import Shape
from pvcnn.program.windows import Sides

NO_PADDING: Sides = (0, 0, 0, 0)
#: Stands for the number of frames among the sizes of a shape, where the model leaves it open.
BATCH = -(1 << 62)


@dataclass(frozen=True)
class Signal:
    """What depends on the frame: a value of the draft, with zeros around it: above, below, left, right."""

    number: int
    padding: Sides = NO_PADDING


Constant: TypeAlias = NDArray[np.generic]
Value: TypeAlias = "Signal | Constant"
#: What a node's first output is. Raises UnsupportedLayer or DecodeError naming the node.
Convert: TypeAlias = "Callable[[Translation, Node], Value]"


@dataclass
class Translation:
    """The graph so far. `entries_left` bounds the numbers in layers that are not those of the file."""

    model: OnnxModel
    reader: TensorReader
    draft: Draft
    values: dict[str, Value]
    notes: list[str] = field(default_factory=list)
    entries_left: int = MAX_ENTRIES

    def has(self, node: Node, place: int) -> bool:
        """Whether the node has an input there; optional ones may be left out."""
        return place < len(node.inputs) and bool(node.inputs[place])

    def value(self, node: Node, place: int) -> Value:
        """Raises UnsupportedLayer for what translation does not keep: second outputs such as masks."""
        if not self.has(node, place):
            raise node.malformed(f"input {place} is missing")
        name = node.inputs[place]
        if name not in self.values and name in self.model.constants:
            self.values[name] = self.reader.read(self.model.constants[name], f"{node.name}, input {place}")
        if name not in self.values:
            raise node.refuse(f"input {place} is not the first output of a node; leave masks and indices out")
        return self.values[name]

    def padded_signal(self, node: Node, place: int = 0) -> Signal:
        value = self.value(node, place)
        if not isinstance(value, Signal):
            raise node.refuse(f"input {place} does not depend on the frame; export with constant folding")
        return value

    def signal(self, node: Node, place: int = 0) -> int:
        """The draft's value, which must not be padded."""
        signal = self.padded_signal(node, place)
        if signal.padding != NO_PADDING:
            raise node.refuse("follows a Pad; zeros can be padded before Conv and AveragePool alone")
        return signal.number

    def constant(self, node: Node, place: int) -> Constant:
        value = self.value(node, place)
        if isinstance(value, Signal):
            raise node.refuse(f"input {place} depends on the frame; it must be a constant")
        return value

    def floats(self, node: Node, place: int) -> Tensor:
        """A constant in float64, of any shape without a 0."""
        constant = self.constant(node, place)
        if constant.dtype != np.float64 or not constant.size:
            raise node.malformed(f"input {place} holds no floats")
        return torch.from_numpy(constant)

    def weights(self, node: Node, place: int, rank: int) -> Tensor:
        """A constant of so many dimensions in float64."""
        weights = self.floats(node, place)
        if weights.ndim != rank:
            raise node.refuse(
                f"weights of the shape {tuple(weights.shape)} are not supported; they need {rank} axes"
            )
        return weights

    def number(self, node: Node, place: int) -> float:
        """A constant that is one number."""
        constant = self.constant(node, place)
        if constant.size != 1 or constant.dtype == np.bool_:
            raise node.malformed(f"input {place} must be one number")
        return float(constant.reshape(()))

    def flag(self, node: Node, place: int) -> bool:
        """A constant that is one truth value."""
        constant = self.constant(node, place)
        if constant.size != 1 or constant.dtype != np.bool_:
            raise node.malformed(f"input {place} must be true or false")
        return bool(constant.reshape(()))

    def integers(self, node: Node, place: int) -> tuple[int, ...]:
        """A constant list of whole numbers, a short one."""
        constant = self.constant(node, place)
        if constant.dtype != np.int64 or constant.ndim > 1 or constant.size > MAX_LIST:
            raise node.malformed(f"input {place} must be a short list of whole numbers")
        return tuple(int(entry) for entry in constant.reshape(-1))

    def shape(self, signal: int) -> Shape:
        return self.draft.shape(signal)

    def map_shape(self, node: Node, signal: Signal) -> tuple[int, int]:
        """Rows and columns, padding included."""
        shape = self.draft.shape(signal.number)
        if len(shape) != 3:
            raise node.refuse(f"takes values of shape {shape}; it needs channels, height and width")
        top, bottom, left, right = signal.padding
        return shape[1] + top + bottom, shape[2] + left + right

    def add(self, layer: FloatLayer, *inputs: int) -> Signal:
        """What the layer makes. Raises UnsupportedLayer for shapes that do not fit or are too large."""
        return self.checked(self.draft.add(layer, *inputs))

    def checked(self, number: int) -> Signal:
        """A value of the draft. Raises as `add` does, and DecodeError for weights that became infinite."""
        made = self.draft.maker(number)
        if made is not None:
            check_size(made.layer.name, self.draft.shape(number))
            parameters = _parameters(made.layer)
            self.entries_left -= sum(tensor.numel() for tensor in parameters)
            if self.entries_left < 0:
                raise UnsupportedLayer(f"{made.layer.name}: layers have more than {MAX_ENTRIES} weights")
            if not all(bool(torch.isfinite(tensor).all()) for tensor in parameters):
                raise DecodeError(f"{made.layer.name}: its weights are so large that they are not finite")
        return Signal(number)


def _parameters(layer: FloatLayer) -> tuple[Tensor, ...]:
    match layer:
        case Conv2d() | Linear():
            return layer.weight, layer.bias
        case BatchNorm():
            return layer.scale, layer.shift
        case _:
            return ()
