"""`pvcnn stream` with the shipped detector, and what Ctrl-C leaves of a stream."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pvcnn.cli.main import run
from pvcnn.data.frames import demo_frames
from tests.house.test_imports import ROOT
from tests.stream.pictures import encoded, fill

TINY = """
import sys
from pathlib import Path
from pvcnn.cli import stream
from pvcnn.stream import base
from tests.stream.pictures import tiny_model
base.shipped_model = tiny_model
from pvcnn.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def test_the_shipped_detector_decides_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    inbox.mkdir()
    ((real, _, _), (other, _, _)), *_ = demo_frames(1, 2, 0)
    (inbox / "a.png").write_bytes(encoded(real))
    (inbox / "b.png").write_bytes(encoded(np.pad(other, ((0, 0), (20, 20)))))
    command = [sys.executable, "-m", "pvcnn", "stream", str(inbox), "--out", str(out), "--every", "2"]
    options = ["--max-frames", "2", "--workers", "1", "--json"]
    result = subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    *events, summary = [json.loads(line) for line in result.stdout.splitlines()]
    frames = [event for event in events if event["event"] == "frame"]
    assert {event["name"] for event in frames} == {"a.png", "b.png"}
    assert all(event["proved"] and event["decision"] in (0, 1) for event in frames)
    assert all((out / event["statement"]).exists() and (out / event["proof"]).exists() for event in frames)
    assert summary["event"] == "summary"
    assert summary["complete"]
    assert (summary["segments_verified"], summary["proved"]) == (1, 2)
    assert (out / "review.jsonl").read_bytes() == b""
    assert run(["verify", str(out / "segments" / "000000"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proved"] == 2


def test_an_interruption_finishes_what_is_in_flight(tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the terminal; the workers go on."""
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    inbox.mkdir()
    fill(inbox, 5)
    command = [sys.executable, "-c", TINY, "stream", str(inbox), "--out", str(out), "--every", "2"]
    with subprocess.Popen(
        [*command, "--workers", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(json.loads(line))
            if len([each for each in lines if each["event"] == "frame"]) == 1:
                os.killpg(process.pid, signal.SIGINT)
                lines += [json.loads(rest) for rest in process.stdout]
        assert process.stderr is not None
        assert process.wait(60) == 0, process.stderr.read()
    summary = lines[-1]
    assert summary["ended"] == "stopped"
    assert summary["frames"] == summary["proved"] == 5, "the fifth was in a segment that was open still"
    assert summary["complete"]
    assert not list(out.rglob(".partial-*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent", "--out", "out"], "neither a folder nor a video"),
        (["."], "--out"),
        ([".", "--out", "out", "--crop", "1,2,3"], "X,Y,W,H"),
        ([".", "--out", "out", "--every", "0"], "--every"),
        ([".", "--out", "."], "not an empty directory"),
    ],
)
def test_what_cannot_be_is_said_at_once(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").touch()
    assert run(["stream", *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
