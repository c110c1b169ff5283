"""Convolutions with known integer kernels, and their transposes, applied to batches: never a matrix.

A linear layer is a convolution of maps of one pixel. Products go through float64 and BLAS; whoever calls
must see to it that every partial sum is below 2^53 in magnitude, hence exact (`forward_gain` and
`backward_gain` bound them), or pass int64, which is slower and wraps around at 2^63.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.layers import Affine, Convolution, Shape
from pvcnn.program.windows import Windows

Integers = NDArray[np.int64]
#: float64 of integers, or int64.
Numbers = NDArray[Any]

#: Integers below this in magnitude are exact in float64.
FLOAT64_EXACT = 1 << 53


@dataclass(frozen=True, eq=False, repr=False)
class LinearMap:
    """y[o,i,j] = sum_{c,d,e} kernels[o,c,d,e] x[g C/G + c, rows(i,d), columns(j,e)], zero outside x.

    kernels: (O, C/G, Kh, Kw) int64; o lies in group g of G `groups`; x has the shape `inputs` (C, H, W)
    and y `outputs` (O, Ho, Wo), which `windows` says.
    """

    kernels: Integers
    windows: Windows
    groups: int
    inputs: Shape
    outputs: Shape

    @classmethod
    def of_layer(cls, layer: Affine, weights: Integers, inputs: Shape) -> LinearMap:
        """What `layer` does to a tensor of shape `inputs` before it adds its bias."""
        if isinstance(layer, Convolution):
            outputs = (layer.out_channels, *layer.windows.outputs(*inputs[1:]))
            return cls(weights, layer.windows, layer.groups, inputs, outputs)
        kernels = weights[:, :, None, None]
        return cls(kernels, Windows.square(1), 1, (*inputs, 1, 1), (layer.out_features, 1, 1))

    @cached_property
    def forward_gain(self) -> int:
        """The largest sum of magnitudes of the kernels of one output: |y| <= forward_gain max |x|."""
        return int(np.abs(self.kernels).sum(axis=(1, 2, 3)).max(initial=0))

    @cached_property
    def backward_gain(self) -> int:
        """The same for the transpose: of all weights that one input channel meets."""
        of_group = np.abs(self.kernels).reshape(self.groups, -1, *self.kernels.shape[1:])
        return int(of_group.sum(axis=(1, 3, 4)).max(initial=0))

    def bounds(self, low: int, high: int) -> tuple[Integers, Integers]:
        """Of each output channel (O,) the least and largest value for x in [low, high], padding included."""
        if self.windows.is_padded:
            low, high = min(low, 0), max(high, 0)
        positive = np.maximum(self.kernels, 0).sum(axis=(1, 2, 3))
        negative = np.minimum(self.kernels, 0).sum(axis=(1, 2, 3))
        least: Integers = positive * low + negative * high
        largest: Integers = positive * high + negative * low
        return least, largest

    def times(self, x: Numbers) -> Numbers:
        """M x: (N, O, Ho, Wo) for x (N, C, H, W), float64 or int64."""
        frames, groups, (outputs, height, width) = len(x), self.groups, self.outputs
        padded = np.zeros((self.inputs[0], frames, *self._padded_sides), x.dtype)
        self._inside(padded)[...] = x.transpose(1, 0, 2, 3)
        sums = np.zeros((groups, outputs // groups, frames * height * width), x.dtype)
        for kernel, met in self._positions(padded):
            sums += kernel @ met.reshape(groups, self.inputs[0] // groups, frames * height * width)
        return np.ascontiguousarray(sums.reshape(outputs, frames, height, width).transpose(1, 0, 2, 3))

    def transposed_times(self, y: Numbers) -> Numbers:
        """M^T y: (N, C, H, W) for y (N, O, Ho, Wo), float64 or int64.

        Buffers are overwritten before it returns: setup applies it to secrets.
        """
        frames, groups, (outputs, height, width) = len(y), self.groups, self.outputs
        pixels = frames * height * width
        padded = np.zeros((self.inputs[0], frames, *self._padded_sides), y.dtype)
        given = y.transpose(1, 0, 2, 3).copy().reshape(groups, outputs // groups, pixels)
        made = np.empty((groups, self.inputs[0] // groups, pixels), y.dtype)
        for kernel, met in self._positions(padded):
            np.matmul(kernel.transpose(0, 2, 1), given, out=made)
            met += made.reshape(met.shape)
        result = self._inside(padded).transpose(1, 0, 2, 3).copy()
        for buffer in (padded, given, made):
            buffer.fill(0)
        return result

    def times_integers(self, x: Integers) -> Integers:
        """M x for int64, through float64 where that is exact; wraps around at 2^63."""
        exact = self.forward_gain * max(int(x.max(initial=0)), -int(x.min(initial=0))) < FLOAT64_EXACT
        return self.times(x.astype(np.float64) if exact else x).astype(np.int64)

    def _positions(self, padded: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
        """For each kernel position its weights (G, O/G, C/G), and the entries (C, N, Ho, Wo) they meet."""
        (rows, columns), windows = self.outputs[1:], self.windows
        shape = (self.groups, self.kernels.shape[0] // self.groups, -1)
        for d, e in np.ndindex(*windows.kernel):
            top, left = windows.dilation[0] * d, windows.dilation[1] * e
            bottom = top + windows.stride[0] * (rows - 1) + 1
            right = left + windows.stride[1] * (columns - 1) + 1
            met = padded[:, :, top : bottom : windows.stride[0], left : right : windows.stride[1]]
            yield self._by_position[d, e].astype(padded.dtype).reshape(shape), met

    @cached_property
    def _by_position(self) -> NDArray[Any]:
        """(Kh, Kw, O, C/G): the kernels in the narrowest type, so that a batch reads little."""
        low, high = int(self.kernels.min(initial=0)), int(self.kernels.max(initial=0))
        narrowest = np.promote_types(np.min_scalar_type(low), np.min_scalar_type(-high - 1))
        return self.kernels.transpose(2, 3, 0, 1).astype(narrowest, order="C")

    @property
    def _padded_sides(self) -> tuple[int, int]:
        top, bottom, left, right = self.windows.padding
        return self.inputs[1] + top + bottom, self.inputs[2] + left + right

    def _inside(self, padded: Numbers) -> Numbers:
        """The part of the padded entries (C, N, rows, columns) that is no padding."""
        top, _, left, _ = self.windows.padding
        inside: Numbers = padded[:, :, top : top + self.inputs[1], left : left + self.inputs[2]]
        return inside
