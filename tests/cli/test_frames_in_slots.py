"""Frames in slots, command by command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pvcnn.cli.main import run
from pvcnn.data.frames import demo_frames, prepare
from tests.cli.test_cli import MODEL, call


def test_from_split_to_infer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = np.stack([frame for frame, _, _ in demo_frames(1, 3, seed=1)[0]])
    np.save(tmp_path / "calibration.npy", prepare(frames))
    np.save(tmp_path / "frames.npy", frames)
    (tmp_path / "labels.txt").write_text("real\nfake\nreal\n")
    directory = tmp_path / "campaign"
    split = ("split", directory, "--model", MODEL, "--calibration", tmp_path / "calibration.npy")
    assert run([*map(str, split), "--frames-in-slots", "2", "--cut", "auto"]) == 2
    assert "name a cut" in " ".join(capsys.readouterr().err.split())
    assert not directory.exists()
    assert call(capsys, *split, "--frames-in-slots", "2")[0] == 0
    status, card = call(capsys, "keygen", directory)
    assert status == 0
    assert run(["setup", str(directory), "--batch", "3"]) == 2
    assert "1 to 2 frames, not 3" in " ".join(capsys.readouterr().err.split())
    assert call(capsys, "setup", directory, "--max-proofs", "4")[0] == 0

    submit = ["encrypt", str(directory), "--tester", "ann"]
    submit += ["--cluster-fingerprint", card["cluster_fingerprint"]]
    given = ["--frames-from", str(tmp_path / "frames.npy")]
    for missing, complaint in (
        ([], "give either"),
        ([*given, "--demo-frame", "1"], "give either"),
        (given, "go together"),
    ):
        assert run([*submit, *missing]) == 2
        assert complaint in " ".join(capsys.readouterr().err.split())
    given += ["--labels-from", str(tmp_path / "labels.txt"), "--workers", "1"]
    status, made = call(capsys, *submit, *given)
    assert (status, made["submissions"], len(set(made["uploads"]))) == (0, 3, 3)
    assert len(list((directory / "mail" / "owner").glob("*.rows"))) == 2

    assert run(["infer", str(directory), "--time-limit", "9"]) == 2
    assert "on this machine" in " ".join(capsys.readouterr().err.split())
    status, inferred = call(capsys, "infer", directory)
    assert (status, inferred["registered"], inferred["refused"]) == (0, 3, {})
