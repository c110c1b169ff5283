"""Submissions of several frames, command by command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pvcnn.cli.main import run
from pvcnn.data.frames import demo_frames, prepare
from tests.cli.test_cli import MODEL, call


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three frames as files."""
    directory = tmp_path_factory.mktemp("pictures")
    frames = [frame for frame, _, _ in demo_frames(1, 3, seed=1)[0]]
    np.save(directory / "calibration.npy", prepare(np.stack(frames)))
    paths = [directory / f"{number}.npy" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        np.save(path, frame)
    return paths


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, pictures: list[Path]) -> Path:
    """A campaign after `keygen`."""
    directory = tmp_path_factory.mktemp("batches") / "campaign"
    calibration = pictures[0].parent / "calibration.npy"
    assert run(["split", str(directory), "--model", MODEL, "--calibration", str(calibration)]) == 0
    assert run(["keygen", str(directory)]) == 0
    return directory


def test_two_frames_a_submission(
    keys: Path, pictures: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    directory = keys
    assert run(["setup", str(directory), "--batch", "1000000"]) == 2
    assert "1 to " in " ".join(capsys.readouterr().err.split())
    party = ("--party", "Carol", "--max-proofs", "2")
    assert call(capsys, "setup", directory, *party, "--batch", "2", "--only", "keys")[0] == 0
    assert run(["setup", str(directory), "--party", "Carol", "--only", "manifest"]) == 1
    assert "submissions of 2 frames, not 1" in " ".join(capsys.readouterr().err.split())
    status, made = call(capsys, "setup", directory, *party, "--batch", "2", "--only", "manifest")
    assert (status, made["frames_per_submission"]) == (0, 2)
    status, manifest = call(capsys, "inspect", directory / "public" / "manifest.cbor")
    assert (status, manifest["body"]["frames"]) == (0, 2)

    status, card = call(capsys, "inspect", directory)
    fingerprint = next(each["sha256"] for each in card["files"] if each["file"] == "cluster.cbor")
    submit = ["encrypt", str(directory), "--tester", "ann", "--cluster-fingerprint", fingerprint]
    frame = [["--frame", str(path)] for path in pictures]
    real, fake = ["--label", "real"], ["--label", "fake"]
    for given, complaint in (
        ([*frame[0], *real], "1 given, 1 missing"),
        ([*frame[0], *frame[1], *frame[2], *real, *real, *fake], "3 given, 1 too many"),
        ([*frame[0], *frame[1], *real], "2 frames and 1 labels"),
        ([*frame[0], *frame[0], *real, *real], "there twice"),
        (["--demo-frame", "3"], "1 missing"),
    ):
        assert run([*submit, *given]) == 2
        assert complaint in " ".join(capsys.readouterr().err.split())
    assert call(capsys, *submit, *frame[0], *real, *frame[1], *fake)[0] == 0
    assert call(capsys, *submit, "--demo-frame", "3", "--demo-frame", "5")[0] == 0

    status, report = call(capsys, "status", directory)
    assert report["frames_per_submission"] == 2
    assert "2 delivered with 2 frames each" in str(report["steps"])
    status, inferred = call(capsys, "infer", directory)
    assert (status, inferred["registered"], inferred["frames"]) == (0, 2, 4)
    status, proved = call(capsys, "prove", directory, "--workers", "1")
    assert (status, proved["proved"]) == (0, 2)
    assert call(capsys, "aggregate", directory)[0] == 0
    assert call(capsys, "open-labels", directory, "--tester", "ann") == (0, {"opened": 4})
    status, verdict = call(capsys, "verify", directory)
    assert (status, verdict["verified"]) == (0, True)
    assert (verdict["registered"], verdict["frames"], verdict["labels"]["opened"]) == (2, 4, 4)
    assert all(len(each["decisions"]) == len(each["labels"]) == 2 for each in verdict["submissions"])
    assert run(["verify", str(directory)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "A submission has 2 frames with one proof: 4 frames registered, 4 proved." in printed


def test_the_demo_deals_whole_submissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["demo", "--frames", "3", "--batch", "2"]) == 2
    assert "3 frames a tester cannot be dealt out to submissions of 2" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_count_under_published_weights(
    pictures: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From `split` to `verify` without a decision: labels by the names that the owner gives the classes."""
    directory = tmp_path / "campaign"
    model = ("--model", MODEL, "--calibration", pictures[0].parent / "calibration.npy")
    assert call(capsys, "split", directory, *model, "--weights", "published", "--reveal", "correct")[0] == 0
    assert call(capsys, "keygen", directory)[0] == 0
    setup = ("setup", directory, "--batch", "2", "--max-proofs", "2")
    assert call(capsys, *setup, "--only", "keys")[0] == 0
    assert run([*map(str, setup), "--only", "manifest", "--classes", "good"]) == 2
    assert "names 1 classes of 2" in " ".join(capsys.readouterr().err.split())
    assert call(capsys, *setup, "--only", "manifest", "--classes", "good,bad")[0] == 0
    _, listed = call(capsys, "inspect", directory)
    files = {each["file"]: each for each in listed["files"]}
    assert {"weights.safetensors", "label_key.cbor"} <= files.keys()
    submit = ["encrypt", str(directory), "--tester", "ann"]
    submit += ["--cluster-fingerprint", files["cluster.cbor"]["sha256"]]
    submit += ["--frame", str(pictures[0]), "--frame", str(pictures[1]), "--label", "bad"]
    assert run([*submit, "--label", "fake"]) == 2
    assert "'fake' is no class of this campaign: good, bad" in " ".join(capsys.readouterr().err.split())
    assert run([*submit, "--label", "0"]) == 0
    assert call(capsys, "infer", directory)[0] == 0
    assert call(capsys, "prove", directory, "--workers", "1")[0] == 0
    assert call(capsys, "aggregate", directory)[0] == 0
    assert run(["open-labels", str(directory), "--tester", "ann"]) == 2
    status, verdict = call(capsys, "verify", directory)
    assert (status, verdict["verified"], verdict["weights"], verdict["reveals"]) == (
        0,
        True,
        "published",
        "correct",
    )
    assert verdict["labels"] == {"opened": 2, "correct": verdict["submissions"][0]["correct"]}
    assert verdict["submissions"][0]["decisions"] == []
    assert run(["verify", str(directory)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"{verdict['labels']['correct']} of 2 correct" in printed
    assert "good" not in printed
