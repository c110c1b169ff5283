"""Splitting whole models, the detector above all."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import pvcnn
from pvcnn.errors import CutRefused
from pvcnn.models.deepfake import OneBlockDetector
from pvcnn.partition.split import Split, split
from pvcnn.program.layers import Argmax, Logits, Requantise, Sign
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
    return trained(OneBlockDetector(), frames[:48])


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


def test_published_weights() -> None:
    model, frames = small_network(), smooth_frames(4)
    published, committed = split(model, frames, weights="published"), split(model, frames)
    assert published.public.published
    assert not committed.public.published
    assert published.public.program.digest() == committed.public.program.digest()
    with pytest.raises(ValueError, match='choose "committed"'):
        split(model, frames, weights="secret")


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


def test_nothing_private() -> None:
    """cut=0: features are pixels, rounded; there is nothing to encrypt for."""
    model, frames = small_network(), smooth_frames(32)
    part = split(model, frames, cut=0, pixel_bound=12.0)
    assert part.private_part is None
    with pytest.raises(CutRefused, match="cut=0: nothing is private"):
        _ = part.private
    assert part.public.program.input_shape == (1, 16, 16)
    assert part.feature_scale.step == pytest.approx(12 / 2047)
    assert np.abs(part.features(frames) * part.feature_scale.step - frames.double().numpy()).max() < 6 / 2047
    assert part.report.agreement >= 0.9
    assert "privacy against the cluster: none, the features are the frames" in str(part.report)


def test_features_of_frames(part: Split, frames: torch.Tensor) -> None:
    expected = private_evaluate(part.private, frames[:3].double().numpy()) / part.private.feature_step
    assert np.array_equal(part.features(frames[:3]), np.rint(expected).astype(np.int64))


def test_what_is_revealed() -> None:
    """Of one logit its sign, of several the largest one's place; or all, whose scale is known."""
    frames = smooth_frames(24)
    model = chain(*stem(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    expected = model(frames).detach().numpy()
    classes = split(model, frames)
    assert isinstance(classes.public.program.output, Argmax)
    assert (classes.public(classes.features(frames)) == expected.argmax(axis=1)).mean() > 0.9
    logits = split(model, frames, reveal="logits")
    assert isinstance(logits.public.program.output, Logits)
    found = logits.public(logits.features(frames)) * logits.logit_scale
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()
    assert logits.report.agreement == classes.report.agreement
    count = split(model, frames, reveal="correct")
    assert count.report.agreement == classes.report.agreement
    decided = classes.public(classes.features(frames))
    assert count.public(count.features(frames), decided).tolist() == [24]
    assert isinstance(split(small_network(), frames).public.program.output, Sign)
    assert split(small_network(), frames, reveal="logits").public(
        split(small_network(), frames).features(frames)
    ).shape == (24, 1)
    with pytest.raises(ValueError, match="choose 'decisions' or 'logits' or 'correct'"):
        split(model, frames, reveal="everything")


def test_accuracy_lost() -> None:
    frames = smooth_frames(24)
    model = chain(*stem(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    labels = model(frames).argmax(dim=1).numpy()
    report = split(model, frames, labels=labels).report
    assert report.accuracy is not None
    assert report.accuracy.float_model == 1.0
    assert report.accuracy.integer_model == report.agreement
    wrong = split(model, frames, labels=(labels + 1) % 3).report
    assert wrong.accuracy is not None
    assert wrong.accuracy.float_model == 0.0
    assert "accuracy on them: 100.0% by the float model" in str(report)
    fields = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert fields["accuracy"]["float_model"] == 1.0
    assert fields["layers"][-1]["kind"] == "Linear"
    assert fields["feature_scale"]["high"] == 4095
    for bad in (labels[:-1], labels.astype(float), labels[None]):
        with pytest.raises(ValueError, match="labels must be 24 integers"):
            split(model, frames, labels=bad)


def test_reports_of_nothing_are_json() -> None:
    """Without any noise, or any signal, there is no ratio."""
    report = split(small_network(), torch.zeros(2, 1, 16, 16)).report
    assert json.dumps(report.to_dict(), allow_nan=False)


def test_notes_reach_the_report() -> None:
    model = chain(*stem(), nn.Flatten(), nn.Linear(64, 3), nn.Softmax(dim=1))
    part = split(model, smooth_frames(4))
    assert part.report.notes
    assert part.report.notes[0] in str(part.report)


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
