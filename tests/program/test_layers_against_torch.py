"""Convolutions and pools of every geometry against torch, in double precision, where sums are exact."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from pvcnn.program.inference import trace
from pvcnn.program.layers import AveragePool, Convolution, Flatten, Layer, Logits, MaxPool
from pvcnn.program.program import Program
from pvcnn.program.windows import Windows
from tests.program.samples import sample_weights

SIDES = (7, 6)


@st.composite
def windows(draw: st.DrawFn) -> Windows:
    """Some that fit a map of SIDES."""

    def pair(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    made = Windows(pair(1, 4), pair(1, 3), (*pair(0, 3), *pair(0, 3)), pair(1, 3))
    assume(min(made.outputs(*SIDES)) >= 1)
    return made


def run(layer: Layer, channels: int, seed: int) -> tuple[np.ndarray, np.ndarray, Program]:
    """Features, and what the layer makes of them."""
    program = Program.chain((channels, *SIDES), -40, 30, (layer, Flatten("flatten"), Logits("logits")))
    features = np.random.default_rng(seed).integers(-40, 31, (2, channels, *SIDES))
    return features, trace(program, sample_weights(program, seed), features).layers[0].output, program


def padded(features: np.ndarray, shape: Windows, value: float) -> torch.Tensor:
    top, bottom, left, right = shape.padding
    return functional.pad(torch.from_numpy(features).double(), (left, right, top, bottom), value=value)


@settings(max_examples=60, deadline=None)
@given(
    windows(),
    st.sampled_from([(1, 3, 1), (4, 6, 2), (3, 3, 3), (2, 6, 2)]),
    st.booleans(),
    st.integers(0, 999),
)
def test_convolutions(shape: Windows, channels: tuple[int, int, int], biased: bool, seed: int) -> None:
    inputs, outputs, groups = channels
    layer = Convolution("conv", inputs, outputs, shape, 8, 6 if biased else 0, groups)
    features, made, program = run(layer, inputs, seed)
    weights = sample_weights(program, seed)
    expected = functional.conv2d(
        padded(features, shape, 0),
        torch.from_numpy(weights.weight["conv"].astype(np.float64)),
        torch.from_numpy(weights.bias["conv"].astype(np.float64)) if biased else None,
        stride=shape.stride,
        dilation=shape.dilation,
        groups=groups,
    )
    assert np.array_equal(made, expected.numpy())


@settings(max_examples=60, deadline=None)
@given(windows(), st.integers(0, 999))
def test_maxima(shape: Windows, seed: int) -> None:
    rows, columns = (shape.met(axis, shape.outputs(*SIDES)[axis], SIDES[axis]) for axis in (0, 1))
    assume((rows >= 0).any(axis=1).all() and (columns >= 0).any(axis=1).all())
    features, made, _ = run(MaxPool("pool", shape), 2, seed)
    expected = functional.max_pool2d(
        padded(features, shape, -torch.inf), shape.kernel, shape.stride, dilation=shape.dilation
    )
    assert np.array_equal(made, expected.numpy())


@settings(max_examples=60, deadline=None)
@given(windows(), st.integers(0, 999))
def test_sums(shape: Windows, seed: int) -> None:
    features, made, _ = run(AveragePool("pool", shape), 2, seed)
    ones = torch.ones(2, 1, *shape.kernel, dtype=torch.float64)
    expected = functional.conv2d(
        padded(features, shape, 0), ones, stride=shape.stride, dilation=shape.dilation, groups=2
    )
    assert np.array_equal(made, expected.numpy())
