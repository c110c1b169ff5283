"""Tensors as a model handles them while it is translated: views of the values of a draft.

Reshaping and padding with zeros make no node at once. They stay with the tensor until a layer takes it:
a flattening becomes a Flatten, the step from (features,) to (features, 1, 1), as gates for channels take
it, turns the linear layers before it into convolutions, and padding becomes that of the layer itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from torch import fx

from pvcnn.partition.float_graph.draft import Draft
from pvcnn.partition.float_graph.graph import Activation, BatchNorm, Conv2d, Flatten, Linear
from pvcnn.partition.float_graph.place import NO_PADDING, refuse
from pvcnn.partition.torch_import.fx_nodes import kind, where
from pvcnn.program.layers import Shape
from pvcnn.program.windows import Sides, Windows


@dataclass(frozen=True)
class Traced:
    """The draft's value `number` in the shape of one frame `shape`, then padded with zeros.

    `reshaped_by` is the call that gave it another shape than the value's own, and `name` that call's.
    """

    number: int
    shape: Shape
    padding: Sides = NO_PADDING
    reshaped_by: fx.Node | None = field(default=None, repr=False)
    name: str = ""

    @property
    def full_shape(self) -> Shape:
        """With its padding."""
        top, bottom, left, right = self.padding
        if not any(self.padding):
            return self.shape
        return (self.shape[0], self.shape[1] + top + bottom, self.shape[2] + left + right)

    def reshaped(self, shape: Shape, node: fx.Node, name: str) -> Traced:
        """The same entries in row-major order in another shape."""
        if any(self.padding):
            raise refuse(
                where(node), kind(node), "reshapes a padded tensor; pad directly before a convolution"
            )
        return replace(self, shape=shape, reshaped_by=node, name=name)

    def padded(self, sides: Sides) -> Traced:
        """With more zeros around it: above, below, left and right."""
        above, below, left, right = (old + new for old, new in zip(self.padding, sides, strict=True))
        return replace(self, padding=(above, below, left, right))


def settle(draft: Draft, tensor: Traced) -> int:
    """The number of a value of the draft that has the tensor's shape, whatever its padding.

    Raises UnsupportedLayer naming the call that reshaped it, if no layer does that.
    """
    shape = draft.shape(tensor.number)
    if tensor.shape == shape:
        return tensor.number
    settled = None
    if len(tensor.shape) == 1:
        settled = draft.add(Flatten(tensor.name), tensor.number)
    elif tensor.shape == (*shape, 1, 1):
        settled = _as_map(draft, tensor.number)
    if settled is None:
        assert tensor.reshaped_by is not None
        raise refuse(
            where(tensor.reshaped_by),
            kind(tensor.reshaped_by),
            f"makes the shape {tensor.shape} of {shape}, which layers cannot take; supported is the shape "
            f"({math.prod(shape)},), as Flatten makes it, and behind a Linear layer (features, 1, 1)",
        )
    return settled


def _as_map(draft: Draft, value: int) -> int | None:
    """A value (features, 1, 1) with the entries of `value` (features,); None if there is no such layer.

    A linear layer of flattened maps is a convolution with one window, as large as the map.
    """
    node = draft.maker(value)
    if node is None:
        return None
    (source, *_) = node.inputs
    shape = draft.shape(source)
    match node.layer:
        case Flatten() if shape[1:] == (1, 1):
            return source
        case Linear(name, weight, bias):
            before = draft.maker(source)
            if before is not None and isinstance(before.layer, Flatten):
                source = before.inputs[0]
            else:
                mapped = _as_map(draft, source)
                if mapped is None:
                    return None
                source = mapped
            channels, height, width = draft.shape(source)
            kernel = weight.reshape(-1, channels, height, width)
            return draft.add(Conv2d(name, kernel, bias, Windows((height, width))), source)
        case Activation() | BatchNorm():
            mapped = _as_map(draft, source)
            return None if mapped is None else draft.add(node.layer, mapped)
    return None
