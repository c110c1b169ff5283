"""`pvcnn plan` and `pvcnn split --cut auto`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pvcnn.campaign.folder import PROGRAM, CampaignFolder
from pvcnn.cli.main import run
from pvcnn.program.program import Program
from tests.planning.networks import calibration

NETWORK = "tests.planning.networks:network"
PLAN = ["plan", "tests.planning.networks:single", "--shape", "1,16,16", "--no-measure", "--budget", "0"]


def test_json_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "plan"
    assert run([*PLAN, "--out", str(folder), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((folder / "plan.json").read_text()) == printed
    assert [cut["cut"] for cut in printed["cuts"] if cut["fits"]] == ["1"]
    picture = (folder / "plan.svg").read_bytes()
    assert run([*PLAN, "--out", str(folder), "--json"]) == 0
    assert (folder / "plan.svg").read_bytes() == picture
    assert b"<svg" in picture


def test_people_read_tables_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(PLAN) == 0
    printed = capsys.readouterr()
    assert "Private parts of" in printed.out
    assert "Cut '1': rule (b)" in printed.out
    assert "cut 1 (4 of 4)" in printed.err


def test_a_plan_in_which_nothing_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "tests.planning.networks:unfit", *PLAN[2:]]) == 0
    printed = capsys.readouterr().out
    assert "Private parts of" not in printed
    assert "1 (ReLU): not supported before the cut" in printed


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["plan", "no.such:thing"], "no.such:thing"),
        ([*PLAN, "--shape", "1,16"], "three numbers"),
        ([*PLAN, "--polynomials", "7"], "7"),
        ([*PLAN, "--budget", "-1"], "budget"),
        ([*PLAN[:4], "--data", "digits"], "frames to attack have the shape"),
    ],
)
def test_mistakes_are_named(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert error in capsys.readouterr().err


def split_arguments(folder: Path, *more: str) -> list[str]:
    frames = folder / "frames.npy"
    np.save(frames, calibration().numpy())
    campaign = str(folder / "campaign")
    return ["split", campaign, "--model", NETWORK, "--calibration", str(frames), *more]


def test_split_takes_the_cheapest_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(split_arguments(tmp_path, "--cut", "auto", "--max-features", "16")) == 0
    public = CampaignFolder(tmp_path / "campaign").public
    program = Program.from_bytes(public.read(PROGRAM))
    assert np.prod(program.input_shape) <= 16
    assert "predicted" in capsys.readouterr().err


def test_split_refuses_with_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(split_arguments(tmp_path, "--cut", "auto", "--max-features", "2")) == 2
    error = capsys.readouterr().err
    assert "no cut keeps to the limits" in error
    assert "1: features 32, at most 2 are allowed" in error
    assert not (tmp_path / "campaign").exists()


def test_limits_without_auto_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(split_arguments(tmp_path, "--cut", "1", "--max-features", "2")) == 2
    assert "--cut auto" in capsys.readouterr().err
