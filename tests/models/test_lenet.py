"""LeNet-5: its digits, its shipped weights and the script that trains them."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pvcnn.data.digits import load_digits, upscale
from pvcnn.errors import DecodeError, DependencyMissing
from pvcnn.models.catalogue import frames
from pvcnn.models.store import (
    DETECTOR_FORMAT,
    LENET_FORMAT,
    LENET_WEIGHTS,
    WEIGHTS,
    load_detector,
    load_lenet,
    recipe,
    save_weights,
)
from pvcnn.partition.split import split

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_digits_are_split_by_place() -> None:
    train, test = load_digits()
    assert train.frames.shape == (1437, 1, 32, 32)
    assert test.frames.shape == (360, 1, 32, 32)
    assert train.frames.min() == 0
    assert train.frames.max() == 1
    assert np.bincount(test.labels).min() > 30
    together = np.concatenate((train.frames, test.frames)).reshape(1797, -1)
    assert len(np.unique(together, axis=0)) == 1797


def test_upscaling_is_torchs_bilinear() -> None:
    images = np.random.default_rng(0).random((5, 8, 8))
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(images)[:, None], scale_factor=4, mode="bilinear"
    )
    assert np.allclose(upscale(images), wanted[:, 0].numpy())


def test_without_scikit_learn_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DependencyMissing, match=r"pvcnn\[demo\]"):
        load_digits()


def test_calibration_frames_are_training_digits() -> None:
    drawn = frames("lenet5", 40, seed=1).double().numpy()
    train, _ = load_digits()
    known = {frame.astype(np.float32).tobytes() for frame in train.frames}
    assert all(frame.astype(np.float32).tobytes() in known for frame in drawn)
    assert len(np.unique(drawn, axis=0)) == 40


def test_the_documented_shares_are_recognised() -> None:
    """By floats, and by the exact integer inference."""
    model = load_lenet()
    part = split(model, frames("lenet5", 256, seed=1), cut=0)
    found = []
    for digits in load_digits():
        with torch.no_grad():
            floats = model(torch.from_numpy(digits.frames).float()).argmax(1).numpy()
        integers = part.public(part.features(digits.frames)).reshape(-1)
        found.append([int((decided == digits.labels).sum()) for decided in (floats, integers)])
    assert min(found[1]) >= 350
    text = (ROOT / "docs" / "data-and-model.md").read_text()
    for name, rights, count in zip(("training", "test"), found, (1437, 360), strict=True):
        shares = " | ".join(f"{right} ({100 * right / count:.3g} %)" for right in rights)
        assert f"| {name} | {count} | {shares} |" in text


def test_the_training_script_runs_and_its_seed_decides(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "train_lenet.py"
    out = tmp_path / "w.safetensors"
    command = [sys.executable, str(script), "--epochs", "1", "--seed", "3", "--out", str(out)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=240)
    report = json.loads(done.stdout[done.stdout.index(b"{") :])
    assert report["test digits recognised"] > 180
    assert recipe(out, LENET_FORMAT)["epochs"] == 1
    names = runpy.run_path(str(script))
    again, other = (
        names["train"](load_digits()[0], names["Recipe"](seed=seed, epochs=1)).state_dict() for seed in (3, 4)
    )
    stored = load_lenet(out).state_dict()
    assert all(torch.equal(value, stored[key]) for key, value in again.items())
    assert not all(torch.equal(value, stored[key]) for key, value in other.items())


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    whole = LENET_WEIGHTS.read_bytes()
    generator = np.random.default_rng(0)
    for data in (b"", whole[:100], whole[:-1], whole + b"x", generator.bytes(5000)):
        path.write_bytes(data)
        with pytest.raises(DecodeError):
            load_lenet(path)
    for position in generator.integers(0, 1200, 40):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        try:
            load_lenet(path)
        except DecodeError:
            continue
    with pytest.raises(DecodeError, match="pvcnn-lenet"):
        load_lenet(WEIGHTS)
    with pytest.raises(DecodeError, match="pvcnn-detector"):
        load_detector(LENET_WEIGHTS)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(load_lenet(), path, DETECTOR_FORMAT, {})
    with pytest.raises(DecodeError, match="DeepfakeDetector"):
        load_detector(path)
