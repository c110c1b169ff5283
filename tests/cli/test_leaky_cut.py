"""What features give away, from `split` to `encrypt`: refused, accepted, measured, shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pvcnn.cli.main import run
from pvcnn.cli.roles import PRIVATE_BLOCKS
from pvcnn.data.frames import demo_frames, prepare
from pvcnn.models import deepfake
from tests.campaign.figures import FIGURES
from tests.cli.test_cli import MODEL, call

LINEAR = "tests.cli.tiny_model:linear_before_the_pool"
SUMMARY = replace(
    FIGURES, private="Conv2d 1-1 3x3, AveragePool 16x16", input_shape=(1, 64, 64), feature_shape=(1, 4, 4)
)


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    frames = [frame for frame, _, _ in demo_frames(1, 3, seed=1)[0]]
    np.save(tmp_path / "calibration.npy", prepare(np.stack(frames)))
    return tmp_path / "calibration.npy"


def test_a_leaky_cut_from_split_to_encrypt(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "campaign"
    split = ("split", folder, "--model", LINEAR, "--calibration", calibration)
    assert run(list(map(str, split))) == 2
    refusal = " ".join(capsys.readouterr().err.split())
    assert "rule (a), a nonlinearity before the cut" in refusal
    assert "--accept-leaky-cut" in refusal
    assert not folder.exists()
    status, made = call(capsys, *split, "--accept-leaky-cut")
    assert status == 0
    assert any(note.startswith("leaky cut, accepted: rule (a)") for note in made["report"]["notes"])
    status, card = call(capsys, "keygen", folder)
    assert status == 0

    (tmp_path / "other.cbor").write_bytes(replace(SUMMARY, feature_shape=(8, 4, 4)).to_bytes())
    (tmp_path / "nonsense.cbor").write_bytes(b"nonsense")
    (tmp_path / "leak.cbor").write_bytes(SUMMARY.to_bytes())
    setup = ("setup", folder, "--max-proofs", "2", "--cluster-fingerprint", card["cluster_fingerprint"])
    keys = ("setup", folder, "--only", "keys", "--leak", tmp_path / "leak.cbor")
    assert call(capsys, *keys)[0] == 2, "the setup party signs no manifest"
    assert call(capsys, *setup, "--leak", tmp_path / "nonsense.cbor")[0] == 2
    assert call(capsys, *setup, "--leak", tmp_path / "other.cbor")[0] == 1
    assert not list((folder / "keys").glob("proving*")), "keys were made for nothing"
    status, manifest = call(capsys, *setup, "--leak", tmp_path / "leak.cbor")
    assert status == 0
    assert manifest["cut"]["broken_rules"] == ["a"]

    encrypt = ("encrypt", folder, "--tester", "ann", "--demo-frame", "1", *setup[4:])
    assert run(list(map(str, encrypt))) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "Leaky cut, which the owner accepted" in told
    assert "by the owner's own measurements, of which nothing is proved" in told
    assert "more than 50.0%; this cut does not hide identity from the cluster" in told
    shown: dict[str, Any] = manifest["cut"]
    assert (
        call(capsys, "encrypt", folder, "--tester", "bob", "--demo-frame", "2", *setup[4:])[1]["cut"] == shown
    )
    assert call(capsys, "status", folder)[1]["cut"] == shown
    assert run(["status", str(folder)]) == 0
    assert "Leaky cut, which the owner accepted" in capsys.readouterr().out


def test_no_figures_are_said_to_be_none(
    tmp_path: Path, calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "campaign"
    status, made = call(capsys, "split", folder, "--model", MODEL, "--calibration", calibration)
    assert status == 0
    assert not any("leaky" in note for note in made["report"]["notes"])
    assert call(capsys, "keygen", folder)[0] == 0
    assert run(["setup", str(folder), "--max-proofs", "2"]) == 0
    assert "the owner gives no figures of attacks" in " ".join(capsys.readouterr().err.split())


def test_the_default_cut_is_the_detectors() -> None:
    assert PRIVATE_BLOCKS == deepfake.PRIVATE_BLOCKS
