"""Transposes of linear maps of published weights, applied to points.

Every product of a weight and an input is an entry of a matrix here, a few million of them at a time: points
have no matrix product. An entry with a weight of eight bits costs about three additions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.point_columns import columns_times_points
from pvcnn.algebra.point_pairs import sums_and_differences
from pvcnn.program.linear_maps import LinearMap

Integers = NDArray[np.int64]

#: Entries that are worked on at a time; each takes about a hundred bytes.
_BLOCK: Final = 1 << 21


def transposed_map_points(linear_map: LinearMap, points: PointVector) -> PointVector:
    """M^T points: a point for each input, frame by frame, given one for each output, frame by frame."""
    frames = len(points) // math.prod(linear_map.outputs)
    inputs = frames * math.prod(linear_map.inputs)
    total = np.zeros((inputs, points.shape[1]), np.uint64)
    for outputs, met, weights in _entries(linear_map, frames):
        part = columns_times_points(outputs, met.astype(np.int32), weights, inputs, points)
        total = sums_and_differences(total, part)[0] if total.any() else part
    return total


def _entries(linear_map: LinearMap, frames: int) -> Iterator[tuple[Integers, Integers, Integers]]:
    """(output, input, weight) of every product that is not 0, block by block."""
    gathered: list[tuple[Integers, Integers, Integers]] = []
    count = 0
    for block in _blocks(linear_map, frames):
        if count and count + len(block[0]) > _BLOCK:
            yield _joined(gathered)
            gathered, count = [], 0
        gathered.append(block)
        count += len(block[0])
    if count:
        yield _joined(gathered)


def _joined(blocks: list[tuple[Integers, Integers, Integers]]) -> tuple[Integers, Integers, Integers]:
    outputs, inputs, weights = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return outputs, inputs, weights


def _blocks(linear_map: LinearMap, frames: int) -> Iterator[tuple[Integers, Integers, Integers]]:
    """The entries of one kernel position and some output channels of one group at a time."""
    windows, groups = linear_map.windows, linear_map.groups
    (channels, height, width), (outputs, rows, columns) = linear_map.inputs, linear_map.outputs
    per_output = frames * (channels // groups) * rows * columns
    at_once = max(1, _BLOCK // max(1, per_output))
    frame = np.arange(frames)[:, None, None, None, None]
    inner = np.arange(channels // groups)[None, None, :, None, None]
    for d, e in np.ndindex(*windows.kernel):
        i, p = _met(rows, windows.stride[0], windows.dilation[0] * d - windows.padding[0], height)
        j, q = _met(columns, windows.stride[1], windows.dilation[1] * e - windows.padding[2], width)
        i, p, j, q = i[:, None], p[:, None], j[None, :], q[None, :]
        for group in range(groups):
            first = group * (outputs // groups)
            for start in range(first, first + outputs // groups, at_once):
                stop = min(start + at_once, first + outputs // groups)
                made = np.arange(start, stop)[None, :, None, None, None]
                read = group * (channels // groups) + inner
                kernel = linear_map.kernels[start:stop, :, d, e][None, :, :, None, None]
                places = ((frame * outputs + made) * rows + i) * columns + j
                met = ((frame * channels + read) * height + p) * width + q
                arrays = np.broadcast_arrays(places, met, kernel)
                chosen = arrays[2] != 0
                out, into, weight = (array[chosen] for array in arrays)
                yield out, into, weight


def _met(count: int, stride: int, offset: int, size: int) -> tuple[Integers, Integers]:
    """The outputs that meet a row of the input at this place of their window, and the rows they meet."""
    places = np.arange(count, dtype=np.int64)
    rows = stride * places + offset
    inside = (rows >= 0) & (rows < size)
    return places[inside], rows[inside]
