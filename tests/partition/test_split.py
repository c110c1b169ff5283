"""Splitting whole models, the detector above all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import pvcnn
from pvcnn.models.deepfake import DeepfakeDetector
from pvcnn.partition.split import Split, split
from pvcnn.program.layers import Requantise
from pvcnn.program.private import private_evaluate
from pvcnn.program.program import Program
from pvcnn.program.weights import Weights
from tests.partition.networks import chain, decides_alike, small_network, smooth_frames, stem, trained


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    return smooth_frames(96, side=64)


@pytest.fixture(scope="module")
def detector(frames: torch.Tensor) -> nn.Module:
    torch.manual_seed(0)
    return trained(DeepfakeDetector(), frames[:48])


@pytest.fixture(scope="module")
def part(detector: nn.Module, frames: torch.Tensor) -> Split:
    return split(detector, frames[:48], pixel_bound=20.0)


def test_the_detector_is_cut_behind_its_first_block(part: Split) -> None:
    assert part.private.input_shape == (1, 64, 64)
    assert part.private.output_shape == (8, 16, 16)
    assert [layer.name for layer in part.private.layers] == [
        "block1.convolution",
        "block1.square",
        "block1.pooling",
    ]
    assert part.private.pixel_bound == 20.0
    program = part.public.program
    assert (program.input_shape, program.input_low, program.input_high) == ((8, 16, 16), 0, 4095)
    assert len({layer.table for layer in program.layers if isinstance(layer, Requantise)}) == 1
    assert all(layer.weight_bits == 8 for layer in program.affine_layers)


def test_unseen_frames_are_decided_as_by_the_float_model(
    part: Split, detector: nn.Module, frames: torch.Tensor
) -> None:
    assert decides_alike(part, detector, frames[48:])


def test_the_report(part: Split, frames: torch.Tensor) -> None:
    report = part.report
    assert (report.frames, report.pixels, report.features) == (48, 4096, 2048)
    assert report.agreement >= 0.9
    names = [layer.name for layer in report.layers]
    assert names[0] == "block1.convolution"
    assert names[-1] == "decision"
    by_name = {layer.name: layer for layer in report.layers}
    pooling = by_name["block1.pooling"]
    expected = private_evaluate(part.private, frames[:48].double().numpy())
    assert np.isclose(pooling.low, expected.min())
    assert np.isclose(pooling.high, expected.max())
    for name in ("block1.pooling", "block2.activation", "block4.activation", "decision"):
        noise = by_name[name].signal_to_noise
        assert noise is not None
        assert noise > 25
    text = str(report)
    assert "privacy against the cluster: not proved" in text
    assert "ratio 0.500" in text
    assert "block3.activation" in text


def test_artefacts_survive_their_encoding(part: Split) -> None:
    program = Program.from_bytes(part.public.program.to_bytes())
    assert program == part.public.program
    weights = Weights.from_bytes(program, part.public.weights.to_bytes())
    assert np.array_equal(weights.flat(), part.public.weights.flat())
    assert weights.blinding == part.public.weights.blinding


def test_the_program_is_a_function_of_model_and_frames_and_the_blinding_is_not() -> None:
    model, frames = small_network(), smooth_frames(16)
    first, second = split(model, frames), split(model, frames.double().numpy())
    assert first.public.program.digest() == second.public.program.digest()
    assert np.array_equal(first.public.weights.flat(), second.public.weights.flat())
    assert first.private.to_bytes() == second.private.to_bytes()
    assert first.public.weights.blinding != second.public.weights.blinding


def test_the_mode_of_the_model_does_not_matter() -> None:
    model, frames = small_network(), smooth_frames(16)
    expected = split(model, frames).public.program.digest()
    model.train()
    assert split(model, frames).public.program.digest() == expected
    assert model.training


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_small_networks(seed: int) -> None:
    frames = smooth_frames(64, seed=seed + 100)
    model = small_network(seed)
    part = split(model, frames[:32])
    assert part.report.agreement >= 0.9
    assert decides_alike(part, model, frames)


def test_top_level_name() -> None:
    assert pvcnn.split is split


def test_weights_are_committed_unless_published() -> None:
    model, frames = small_network(), smooth_frames(2)
    assert not split(model, frames).public.published
    assert split(model, frames, weights="published").public.published
    with pytest.raises(ValueError, match='choose "committed"'):
        split(small_network(), smooth_frames(2), weights="secret")


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros(0, 1, 16, 16), "must have the shape"),
        (torch.zeros(1, 16, 16), "must have the shape"),
        (np.full((1, 1, 16, 16), np.nan), "must be finite"),
        (torch.full((1, 1, 16, 16), torch.inf), "must be finite"),
    ],
)
def test_malformed_frames(frames: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split(small_network(), frames)


def test_pixels_beyond_the_bound() -> None:
    frames = smooth_frames(4)
    peak = float(frames.abs().max())
    assert split(small_network(), frames).private.pixel_bound == pytest.approx(2 * peak)
    for bound in (peak / 2, float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match="calibration frames reach"):
            split(small_network(), frames, pixel_bound=bound)


def test_weights_that_are_not_finite() -> None:
    linear = nn.Linear(64, 1)
    with torch.no_grad():
        linear.weight[0, 3] = torch.nan
    with pytest.raises(ValueError, match=r"layer5.weight: weights must be finite"):
        split(chain(*stem(), nn.Flatten(), linear), smooth_frames(2))
