"""ONNX files where modules may stand: the same parts, the same decisions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pvcnn.errors import UnsupportedLayer
from pvcnn.models.catalogue import create, frames
from pvcnn.partition.split import split
from tests.partition.onnx_models import save, single
from tests.partition.test_onnx_networks import exported


@pytest.mark.parametrize(("name", "cut"), [("deepfake", 1), ("lenet5", 0), ("inception", 0)])
def test_a_file_decides_as_its_module(name: str, cut: int, tmp_path: Path) -> None:
    model, calibrating = create(name, seed=1), frames(name, 16, seed=1)
    path = tmp_path / "model.onnx"
    exported(model, calibrating[:1], path)
    others = frames(name, 12, seed=2)
    decisions = []
    for source in (model, path, str(path)):
        part = split(source, calibrating, cut=cut)
        decisions.append(part.public(part.features(others)))
    assert (decisions[0] == decisions[1]).mean() >= 11 / 12  # weights of the file are of single precision
    assert (decisions[1] == decisions[2]).all()


def test_frames_must_be_what_the_file_takes(tmp_path: Path) -> None:
    path = save(single("Relu"), tmp_path)
    with pytest.raises(ValueError, match=r"the model takes \(4, 7, 6\)"):
        split(path, torch.zeros(1, 4, 7, 7))


def test_what_a_file_cannot_express_is_named(tmp_path: Path) -> None:
    path = save(single("LSTM"), tmp_path)
    with pytest.raises(UnsupportedLayer, match=r"node \(LSTM\)"):
        split(path, torch.zeros(1, 4, 7, 6))
