"""Linear layers as functions of batches: against matrices of one entry for each product."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.program.layers import Convolution, Linear
from pvcnn.program.linear_maps import FLOAT64_EXACT, LinearMap
from pvcnn.program.windows import Windows

Integers = NDArray[np.int64]

GEOMETRIES = [
    (Windows.square(1), 1),
    (Windows.square(3, 1, 1), 1),
    (Windows((1, 3), (2, 1), (0, 0, 2, 1)), 1),
    (Windows((2, 3), (1, 2), (1, 0, 0, 2), (3, 1)), 1),
    (Windows.square(3, 2, 2, 2), 2),
    (Windows((3, 2), (2, 3), (0, 1, 2, 0), (2, 3)), 2),
    (Windows.square(3, 1, 1), 4),
    (Windows((6, 7)), 2),
    (Windows((2, 2), (5, 4), (3, 0, 0, 5)), 4),
]
each_geometry = pytest.mark.parametrize(("windows", "groups"), GEOMETRIES)


def example(windows: Windows, groups: int, peak: int = 9) -> LinearMap:
    """Of 4 channels of 6 x 7 entries to 8 channels."""
    layer = Convolution("conv", 4, 8, windows, 16, 0, groups)
    kernels = np.random.default_rng(groups).integers(-peak, peak + 1, layer.weight_shape)
    return LinearMap.of_layer(layer, kernels, (4, 6, 7))


def dense(linear_map: LinearMap) -> Integers:
    """(outputs, inputs), flat: entry by entry as the layer's docstring says."""
    channels, height, width = linear_map.inputs
    outputs, rows, columns = linear_map.outputs
    windows, kernels = linear_map.windows, linear_map.kernels
    matrix = np.zeros((*linear_map.outputs, *linear_map.inputs), np.int64)
    for o, i, j, c, d, e in np.ndindex(outputs, rows, columns, *kernels.shape[1:]):
        channel = o // (outputs // linear_map.groups) * (channels // linear_map.groups) + c
        row = windows.stride[0] * i + windows.dilation[0] * d - windows.padding[0]
        column = windows.stride[1] * j + windows.dilation[1] * e - windows.padding[2]
        if 0 <= row < height and 0 <= column < width:
            matrix[o, i, j, channel, row, column] += kernels[o, c, d, e]
    return matrix.reshape(outputs * rows * columns, -1)


@each_geometry
def test_products_are_those_of_the_matrix(windows: Windows, groups: int) -> None:
    linear_map = example(windows, groups)
    matrix = dense(linear_map)
    rng = np.random.default_rng(1)
    x, y = (rng.integers(-99, 100, (3, *shape)) for shape in (linear_map.inputs, linear_map.outputs))
    forwards, backwards = x.reshape(3, -1) @ matrix.T, y.reshape(3, -1) @ matrix
    for kind in (np.int64, np.float64):
        assert (linear_map.times(x.astype(kind)).reshape(3, -1) == forwards).all()
        assert (linear_map.transposed_times(y.astype(kind)).reshape(3, -1) == backwards).all()
    assert linear_map.times(x).dtype == np.int64
    assert (linear_map.times_integers(x).reshape(3, -1) == forwards).all()


@each_geometry
def test_transposes_of_one_another(windows: Windows, groups: int) -> None:
    """<M x, y> = <x, M^T y>."""
    linear_map = example(windows, groups)
    rng = np.random.default_rng(2)
    x, y = (rng.integers(-99, 100, (1, *shape)) for shape in (linear_map.inputs, linear_map.outputs))
    assert (linear_map.times(x) * y).sum() == (x * linear_map.transposed_times(y)).sum()


@each_geometry
def test_gains_and_bounds_hold_and_are_reached(windows: Windows, groups: int) -> None:
    linear_map = example(windows, groups)
    matrix = dense(linear_map)
    assert linear_map.forward_gain >= np.abs(matrix).sum(axis=1).max()
    assert linear_map.backward_gain >= np.abs(matrix).sum(axis=0).max()
    for low, high in ((-3, 8), (2, 5), (-9, -4)):
        least, largest = linear_map.bounds(low, high)
        extremes = np.where(matrix > 0, low, high), np.where(matrix > 0, high, low)
        lowest, highest = ((matrix * x).sum(axis=1).reshape(linear_map.outputs) for x in extremes)
        assert (least <= lowest.min(axis=(1, 2))).all()
        assert (largest >= highest.max(axis=(1, 2))).all()
        if not windows.is_padded:
            assert (least == lowest.min(axis=(1, 2))).all()
            assert (largest == highest.max(axis=(1, 2))).all()


def test_linear_layers() -> None:
    weights = np.random.default_rng(3).integers(-9, 9, (5, 7))
    linear_map = LinearMap.of_layer(Linear("fc", 7, 5, 8, 0), weights, (7,))
    x = np.arange(14).reshape(2, 7, 1, 1)
    assert (linear_map.times(x)[:, :, 0, 0] == x[:, :, 0, 0] @ weights.T).all()
    assert linear_map.outputs == (5, 1, 1)


def test_integers_beyond_float64_are_exact() -> None:
    linear_map = LinearMap.of_layer(Linear("fc", 2, 1, 8, 0), np.array([[3, 1]]), (2,))
    x = np.array([FLOAT64_EXACT // 2, 1]).reshape(1, 2, 1, 1)
    expected = 3 * (FLOAT64_EXACT // 2) + 1
    assert int(float(expected)) != expected
    assert int(linear_map.times_integers(x)[0, 0, 0, 0]) == expected
