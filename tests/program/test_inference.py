"""The exact integer inference against slow and obvious references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pvcnn.errors import RangeError
from pvcnn.program import linear_maps
from pvcnn.program.inference import trace
from pvcnn.program.layers import (
    AveragePool,
    Convolution,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Requantise,
    Sign,
)
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.table import Table
from pvcnn.program.weights import Weights
from pvcnn.program.windows import Windows
from tests.program.samples import sample_features, sample_program, sample_weights

PROGRAM = sample_program()
WEIGHTS = sample_weights(PROGRAM)


def slow_convolution(layer: Convolution, weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    """docs/protocol.md, "Programs", entry by entry in Python's integers."""
    rows, columns = layer.windows.outputs(*x.shape[2:])
    outputs, inputs = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    met = entries(layer.windows, x, 0)
    result = np.zeros((len(x), layer.out_channels, rows, columns), object)
    for o in range(layer.out_channels):
        channels = range(o // outputs * inputs, (o // outputs + 1) * inputs)
        for c, channel in enumerate(channels):
            result[:, o] += (met[:, channel] * weight[o, c].astype(object).reshape(-1)).sum(axis=-1)
        result[:, o] += int(bias[o]) if len(bias) else 0
    return result


def entries(windows: Windows, x: np.ndarray, padding: object) -> np.ndarray:
    """(N, C, Ho, Wo, kernel rows * columns) of Python's integers: what each window holds, one by one."""
    frames, channels, height, width = x.shape
    result = np.full((frames, channels, *windows.outputs(height, width), *windows.kernel), padding, object)
    for i, j, d, e in np.ndindex(*result.shape[2:]):
        row = windows.stride[0] * i + windows.dilation[0] * d - windows.padding[0]
        column = windows.stride[1] * j + windows.dilation[1] * e - windows.padding[2]
        if 0 <= row < height and 0 <= column < width:
            result[:, :, i, j, d, e] = x[:, :, row, column]
    return result.reshape(*result.shape[:4], windows.size)


@pytest.mark.parametrize("float64_exact", [0, 1 << 53], ids=["int64", "float64"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bits=st.integers(2, 16),
    high=st.sampled_from([0, 1, 255, 1 << 24]),
    frames=st.integers(0, 3),
    seed=st.integers(0, 1 << 30),
)
def test_convolution_is_exact(
    kernel: int,
    stride: int,
    padding: int,
    channels: tuple[int, int],
    bits: int,
    high: int,
    frames: int,
    seed: int,
    float64_exact: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both ways to multiply must be exact."""
    monkeypatch.setattr(linear_maps, "FLOAT64_EXACT", float64_exact)
    convolution = Convolution("c", *channels, Windows.square(kernel, stride, padding), bits, bits)
    tail = (Flatten("f"), Linear("l", _features(convolution, (6, 7)), 1, 2, 2), Sign("s"))
    program = Program.chain((channels[0], 6, 7), -high, high, (convolution, *tail))
    weights = sample_weights(program, seed)
    features = np.random.default_rng(seed).integers(-high, high + 1, (frames, *program.input_shape))
    expected = slow_convolution(convolution, weights.weight["c"], weights.bias["c"], features)
    assert np.array_equal(trace(program, weights, features).layers[0].output, expected)


def _features(layer: Convolution, sides: tuple[int, int]) -> int:
    height, width = layer.windows.outputs(*sides)
    return layer.out_channels * height * width


def test_extreme_values_are_exact() -> None:
    """Every product at its peak: sums of 2^57, where float64 would round."""
    linear = Linear("l", 4096, 1, 16, 48)
    program = Program.chain((4096,), -(1 << 31), (1 << 31) - 1, (linear, Sign("s")))
    weight = np.full((1, 4096), -(1 << 15))
    weights = Weights(program, {"l": weight}, {"l": np.array([-(1 << 47)])}, 0)
    features = np.full((1, 4096), (1 << 31) - 1)
    exact = -(1 << 15) * ((1 << 31) - 1) * 4096 - (1 << 47)
    assert int(trace(program, weights, features).layers[0].output[0, 0]) == exact


def test_every_layer_of_the_sample() -> None:
    features = sample_features(PROGRAM, 4)
    result = trace(PROGRAM, WEIGHTS, features)
    x = features
    for layer, values in zip(PROGRAM.layers, result.layers, strict=True):
        match layer:
            case Convolution():
                expected = slow_convolution(layer, WEIGHTS.weight[layer.name], WEIGHTS.bias[layer.name], x)
            case Linear():
                expected = x.astype(object) @ WEIGHTS.weight[layer.name].T + WEIGHTS.bias[layer.name]
            case Requantise():
                q = np.floor((x + 2 ** (layer.shift - 1)) / 2**layer.shift).astype(np.int64)
                expected = layer.table.values[q - layer.table.low]
                assert values.quotient is not None
                assert values.remainder is not None
                assert np.array_equal(values.quotient, q)
                assert np.array_equal(x, (q << layer.shift) + values.remainder - (1 << (layer.shift - 1)))
                assert values.remainder.min() >= 0
                assert values.remainder.max() < 1 << layer.shift
            case MaxPool():
                expected = entries(layer.windows, x, 0).max(axis=-1)
            case AveragePool():
                expected = entries(layer.windows, x, 0).sum(axis=-1)
            case Flatten():
                expected = x.reshape(len(x), -1)
            case Sign():
                expected = (x > 0).astype(np.int64)
        assert np.array_equal(values.output, expected), layer.name
        assert values.output.dtype == np.int64
        x = values.output
    assert np.array_equal(result.decisions, PublicPart(PROGRAM, WEIGHTS)(features))
    assert set(result.decisions.tolist()) <= {0, 1}


def test_values_stay_in_the_stated_ranges() -> None:
    result = trace(PROGRAM, WEIGHTS, sample_features(PROGRAM, 8))
    for values, (low, high) in zip(result.layers, PROGRAM.ranges[1:], strict=True):
        assert low <= values.output.min()
        assert values.output.max() <= high


def test_pools_drop_what_is_left_over() -> None:
    layers: tuple[Layer, ...] = (
        MaxPool("m", Windows.disjoint(2)),
        AveragePool("a", Windows.disjoint(2)),
        Flatten("f"),
        Sign("s"),
    )
    program = Program.chain((1, 5, 7), -100, 100, layers)
    weights = Weights(program, {}, {}, 0)
    features = np.full((1, 1, 5, 7), -3)
    features[0, 0, 4, :] = features[0, 0, :, 6] = 90
    assert trace(program, weights, features).layers[1].output.tolist() == [[[[-12]]]]


def test_shift_zero_leaves_no_remainder() -> None:
    table = Table(-2, np.array([5, 4, 3, 2, 1]))
    program = Program.chain((1,), -2, 2, (Requantise("r", 0, table), Sign("s")))
    result = trace(program, Weights(program, {}, {}, 0), np.array([[-2], [0], [2]])).layers[0]
    assert result.output.ravel().tolist() == [5, 3, 1]
    assert result.quotient is not None
    assert result.remainder is not None
    assert result.quotient.ravel().tolist() == [-2, 0, 2]
    assert result.remainder.ravel().tolist() == [0, 0, 0]


@pytest.mark.parametrize(("y", "decision"), [(-1, 0), (0, 0), (1, 1)])
def test_a_logit_of_zero_is_no_fake(y: int, decision: int) -> None:
    program = Program.chain((1,), -1, 1, (Sign("s"),))
    assert trace(program, Weights(program, {}, {}, 0), np.array([[y]])).decisions.tolist() == [decision]


@pytest.mark.parametrize("value", [-1, 4096])
def test_features_out_of_range(value: int) -> None:
    features = sample_features(PROGRAM, 3)
    features[2, 1, 4, 5] = value
    with pytest.raises(
        RangeError, match=rf"features, frame 2, position \(1, 4, 5\): {value} lies outside \[0, 4095\].*split"
    ):
        trace(PROGRAM, WEIGHTS, features)


def test_quotient_out_of_range_names_layer_position_value_and_remedy() -> None:
    table = Table(-8, np.zeros(16, np.int64))
    program = Program.chain(
        (3,), 0, 1000, (Linear("l", 3, 3, 8, 8), Requantise("bend", 2, table), *_to_sign(3))
    )
    weights = sample_weights(program)
    weight = {"l": np.diag([1, 1, 1]), "end": weights.weight["end"]}
    bias = {"l": np.zeros(3, np.int64), "end": weights.bias["end"]}
    weights = Weights(program, weight, bias, 0)
    assert trace(program, weights, np.array([[29, 0, 0]])).layers[1].quotient is not None
    with pytest.raises(
        RangeError,
        match=r"bend \(quotient\), frame 1, position \(2,\): 8 lies outside \[-8, 7\].*calibrate again",
    ):
        trace(program, weights, np.array([[0, 0, 0], [0, 0, 30]]))


def _to_sign(features: int) -> tuple[Layer, ...]:
    return (Linear("end", features, 1, 8, 8), Sign("s"))


def test_malformed_features() -> None:
    part = PublicPart(PROGRAM, WEIGHTS)
    features = sample_features(PROGRAM, 1)
    with pytest.raises(ValueError, match="must be integers"):
        part(features.astype(np.float64))
    with pytest.raises(ValueError, match="leading batch axis"):
        part(features[0])
    with pytest.raises(ValueError, match="leading batch axis"):
        part(features[:, :1])
    assert part(features.astype(np.int16)).shape == (1,)
    assert part(features.astype(np.uint64)).shape == (1,)


def test_weights_of_another_program() -> None:
    other = replace(PROGRAM, input_high=4094)
    with pytest.raises(ValueError, match="another program"):
        PublicPart(other, WEIGHTS)
    with pytest.raises(ValueError, match="another program"):
        trace(other, WEIGHTS, sample_features(PROGRAM, 1))


def test_no_frames_no_decisions() -> None:
    assert PublicPart(PROGRAM, WEIGHTS)(sample_features(PROGRAM, 0)).shape == (0,)


def test_features_are_not_changed() -> None:
    features = sample_features(PROGRAM, 2)
    before = features.copy()
    trace(PROGRAM, WEIGHTS, features)
    assert np.array_equal(features, before)
