"""The networks, their shipped weights and the scripts that train them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from torch import fx, nn

from pvcnn.data.evaluation import area_under_curve, evaluation_frames
from pvcnn.data.fakes import Kind
from pvcnn.data.frames import CALIBRATION_FRAMES, PIXEL_BOUND, calibration_frames
from pvcnn.data.splits import split_people
from pvcnn.errors import DecodeError
from pvcnn.models.deepfake import PRIVATE_BLOCKS, DeepfakeDetector, OneBlockDetector
from pvcnn.models.layers import Square
from pvcnn.models.store import (
    ONE_BLOCK_WEIGHTS,
    WEIGHTS,
    load_detector,
    load_one_block_detector,
    recipe,
    save_detector,
    save_one_block_detector,
)
from pvcnn.partition.split import split
from pvcnn.program.private import PrivateConvolution
from pvcnn.program.private import Square as PrivateSquare

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
by_loader = pytest.mark.parametrize("load", [load_detector, load_one_block_detector])
Loader: TypeAlias = Callable[..., DeepfakeDetector | OneBlockDetector]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_shapes_of_the_cut_and_of_the_output() -> None:
    frames = torch.zeros(3, 1, 64, 64)
    one_block = OneBlockDetector().eval()
    assert one_block.block1(frames).shape == (3, 8, 16, 16)
    model = DeepfakeDetector().eval()
    assert model.block3(model.block2(model.block1(frames))).shape == (3, 8, 2, 2)
    assert model(frames).shape == one_block(frames).shape == (3, 1)


def test_square_is_one_leaf_of_a_traced_graph() -> None:
    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, Square) or super().is_leaf_module(m, module_qualified_name)

    def kinds(model: nn.Module) -> list[type[nn.Module]]:
        modules = dict(model.named_modules())
        nodes = Tracer().trace(model).nodes
        return [type(modules[str(node.target)]) for node in nodes if node.op == "call_module"]

    normed = [nn.Conv2d, nn.BatchNorm2d]
    private, head = [*normed, Square, nn.AvgPool2d], [nn.Flatten, nn.Dropout, nn.Linear]
    assert kinds(OneBlockDetector()) == [*private, *[*normed, nn.LeakyReLU, nn.MaxPool2d] * 3, *head]
    assert kinds(DeepfakeDetector()) == [
        *private * 2,
        *normed,
        nn.AvgPool2d,
        *normed,
        nn.LeakyReLU,
        *head,
    ]


@by_loader
def test_shipped_weights_are_small_and_finite(load: Loader) -> None:
    assert max(WEIGHTS.stat().st_size, ONE_BLOCK_WEIGHTS.stat().st_size) < 300_000
    model = load()
    assert not model.training
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())


@by_loader
def test_the_first_block_is_free_of_brightness_and_of_bias(load: Loader) -> None:
    """Zero-mean filters and no shift before the square (docs/threat-model.md on features)."""
    block = load().block1
    assert block.convolution.bias is None
    assert block.convolution.weight.sum((2, 3)).abs().max() < 1e-5
    assert block.normalisation.running_mean is not None
    assert not block.normalisation.bias.any()
    assert not block.normalisation.running_mean.any()


def test_the_first_block_is_that_of_the_other_detector() -> None:
    ours, others = load_detector().block1.state_dict(), load_one_block_detector().block1.state_dict()
    names = [name for name in ours if not name.endswith("num_batches_tracked")]
    assert all(torch.equal(ours[name], others[name]) for name in names)


def test_the_cut_leaves_few_features_and_the_decisions() -> None:
    """Nonlinear twice; integers decide as floats do, on people whom the ranges were not calibrated with."""
    detector, frames = load_detector(), evaluation_frames(split_people().validation, seed=2).prepared[::5]
    part = split(detector, calibration_frames(CALIBRATION_FRAMES), PRIVATE_BLOCKS, pixel_bound=PIXEL_BOUND)
    kinds = [type(layer) for layer in part.private.layers]
    assert (kinds.count(PrivateConvolution), kinds.count(PrivateSquare)) == (3, 2)
    assert part.private.output_shape == part.public.program.input_shape == (8, 2, 2)
    with torch.no_grad():
        decided = (detector(torch.from_numpy(frames).float())[:, 0] > 0).long().numpy()
    features = part.features(frames)
    program = part.public.program
    within = ((features >= program.input_low) & (features <= program.input_high)).all((1, 2, 3))
    assert within.mean() > 0.98
    assert (part.public(features[within]) == decided[within]).mean() > 0.98


@by_loader
def test_the_detector_finds_blends_of_people_it_was_not_trained_on(load: Loader) -> None:
    """On validation people: test people are for benchmarks/accuracy.py."""
    evaluation = evaluation_frames(split_people().validation, seed=1)
    with torch.no_grad():
        logits = load()(torch.from_numpy(evaluation.prepared).float())[:, 0].double().numpy()
    for kind in (Kind.SWAP, Kind.SELF_BLEND):
        chosen = evaluation.select(kind, degraded=False)
        assert area_under_curve(logits[chosen], evaluation.labels[chosen]) > 0.8
    # The threshold is part of the bias: errors of both kinds are equally frequent at 0.
    false_alarms = np.mean(logits[evaluation.labels == 0] > 0)
    misses = np.mean(logits[evaluation.labels == 1] <= 0)
    assert abs(false_alarms - misses) < 0.03


def test_weights_return_as_they_were_saved(tmp_path: Path) -> None:
    model = DeepfakeDetector()
    save_detector(model, tmp_path / "w.safetensors", {"steps": 3})
    loaded = load_detector(tmp_path / "w.safetensors").state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in model.state_dict().items())
    assert recipe(tmp_path / "w.safetensors") == {"steps": 3}


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    whole = WEIGHTS.read_bytes()
    generator = np.random.default_rng(0)
    for data in (b"", whole[:100], whole[:-1], whole + b"x", generator.bytes(5000)):
        path.write_bytes(data)
        with pytest.raises(DecodeError):
            load_detector(path)
    for position in generator.integers(0, 1500, 40):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        try:
            load_detector(path)
        except DecodeError:
            continue


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    model = DeepfakeDetector()
    model.decision = nn.Linear(256, 2)
    save_detector(model, tmp_path / "w.safetensors", {})
    with pytest.raises(DecodeError, match="not those of a DeepfakeDetector"):
        load_detector(tmp_path / "w.safetensors")
    save_one_block_detector(OneBlockDetector(), tmp_path / "w.safetensors", {})
    with pytest.raises(DecodeError, match="not weights of the format pvcnn-detector,"):
        load_detector(tmp_path / "w.safetensors")
    with pytest.raises(DecodeError, match="not weights of the format pvcnn-detector-one-block,"):
        load_one_block_detector(WEIGHTS)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    model = DeepfakeDetector()
    with torch.no_grad():
        model.decision.bias.fill_(float("nan"))
    save_detector(model, tmp_path / "w.safetensors", {})
    with pytest.raises(DecodeError, match="not finite"):
        load_detector(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("script", "options", "load"),
    [
        ("train_detector.py", ("--drawn", "2"), load_detector),
        ("train_one_block.py", (), load_one_block_detector),
    ],
)
def test_the_training_scripts_run_and_their_seed_decides(
    script: str, options: tuple[str, ...], load: Loader, tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for path in paths:
        command = [sys.executable, str(BENCHMARKS / script), "--steps", "2", "--out", str(path), *options]
        subprocess.run(command, check=True, capture_output=True, timeout=240)
    first, second = (load(path).state_dict() for path in paths)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_accuracy_table_compares_float_quantised_and_encrypted(tmp_path: Path) -> None:
    """On validation people: the script's default, test people, is for whoever publishes a table."""
    table = tmp_path / "table.md"
    begin = "<!-- benchmarks/accuracy.py --network one-block writes from here -->"
    table.write_text(f"before\n{begin}old<!-- to here -->\nafter\n<!-- to here -->\n")
    options = ["--network", "one-block", "--people", "validation", "--encrypted", "2", "--write", str(table)]
    command = [sys.executable, str(BENCHMARKS / "accuracy.py"), *options]
    done = subprocess.run(command, check=True, capture_output=True, timeout=240)
    report = json.loads(done.stdout)
    plain, quantised = (report["measured"][column][-1] for column in ("float", "quantised"))
    assert plain["count"] == quantised["count"] == 640
    low, high = plain["auc_interval"]
    assert 0.5 < low < plain["auc"] < high < 1
    assert abs(plain["auc"] - quantised["auc"]) < 0.01
    assert "2 of 2 decisions are those of the quantised model" in report["sentences"][1]
    text = table.read_text()
    assert text.startswith("before\n")
    assert text.endswith("<!-- to here -->\nafter\n<!-- to here -->\n")
    assert "| self-blends, degraded frames | 240 |" in text
    assert "old" not in text
