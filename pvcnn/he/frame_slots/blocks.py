"""The private layers, grouped as frames in slots evaluate them: sums of squares of weighted sums.

With one ciphertext per pixel, a block of layers leaves for each of its outputs

    sum over the positions of a pooling window of (weight . pixels + bias)^2,  or the same without the square,

and neither relinearises nor rescales before the sum is complete: once per output, not per position.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import ParameterError
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivatePart,
    Square,
)
from pvcnn.program.windows import Windows

Shape3 = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Block:
    """weight: (out, in, rows, columns); bias: (out,); the mean is over disjoint size x size windows.

    A block that has no convolution has the 1x1 identity for a weight and `is_exact`.
    """

    name: str
    weight: NDArray[np.float64] = field(repr=False)
    bias: NDArray[np.float64] = field(repr=False)
    padding: int
    squares: bool
    size: int
    is_exact: bool
    input_shape: Shape3

    @property
    def output_shape(self) -> Shape3:
        _, rows, columns = self.input_shape
        lost = self.weight.shape[2] - 1 - 2 * self.padding
        return len(self.weight), (rows - lost) // self.size, (columns - lost) // self.size

    @property
    def window(self) -> int:
        """Positions in a pooling window."""
        return self.size**2


@dataclass
class _Open:
    """A block that the next layer may still join."""

    name: str
    convolution: PrivateConvolution | None = None
    squares: bool = False
    size: int = 1

    def closed(self, shape: Shape3) -> Block:
        identity = np.eye(shape[0])[:, :, None, None], np.zeros(shape[0])
        found = self.convolution
        weight, bias = identity if found is None else (found.weight, found.bias)
        padding = 0 if found is None else found.windows.padding[0]
        return Block(self.name, weight, bias, padding, self.squares, self.size, found is None, shape)


def blocks(private: PrivatePart) -> tuple[Block, ...]:
    """The private part's blocks. Raises ParameterError, naming the layer, for what has none."""
    if not any(isinstance(layer, PrivateConvolution) for layer in private.layers):
        raise ParameterError("the private part has no convolution: nothing in it would be private")
    grouped: list[_Open] = []
    for layer in private.layers:
        if not (grouped and _joins(layer, grouped[-1])):
            grouped.append(_Open(layer.name))
        match layer:
            case PrivateConvolution():
                grouped[-1].convolution = _checked(layer)
            case Square():
                grouped[-1].squares = True
            case PrivateAveragePool():
                grouped[-1].size *= _pooled(layer)
            case _:
                raise ParameterError(f"{layer.name}: frames in slots have no layer of this kind")
    channels, rows, columns = private.input_shape
    shape = channels, rows, columns
    closed = []
    for block in grouped:
        closed.append(block.closed(shape))
        shape = closed[-1].output_shape
    return tuple(closed)


def _joins(layer: PrivateLayer, block: _Open) -> bool:
    """Whether the layer is the block's next: it is a convolution, then a square, then pools."""
    match layer:
        case PrivateAveragePool():
            return True
        case Square():
            return not block.squares and block.size == 1
        case _:
            return False


def _checked(layer: PrivateConvolution) -> PrivateConvolution:
    """Raises ParameterError for strides, dilations, groups and uneven sides."""
    windows = layer.windows
    plain = windows.stride == windows.dilation == (1, 1) and layer.groups == 1
    if not plain or len(set(windows.kernel)) > 1 or len(set(windows.padding)) > 1:
        raise ParameterError(
            f"{layer.name}: frames in slots take convolutions of one group, with square kernels, equal"
            " padding on all sides, stride 1 and dilation 1"
        )
    if windows.padding[0] >= windows.kernel[0]:
        raise ParameterError(f"{layer.name}: frames in slots have no outputs that meet nothing but padding")
    return layer


def _pooled(layer: PrivateAveragePool) -> int:
    """The side of the windows. Raises ParameterError for means over others than disjoint squares."""
    size = layer.windows.kernel[0]
    if layer.windows != Windows.disjoint(size) or layer.divisor != size**2:
        raise ParameterError(f"{layer.name}: frames in slots take means over disjoint squares only")
    return size
