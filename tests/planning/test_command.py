"""`pvcnn plan` and `pvcnn split --cut auto`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvcnn.campaign.artefacts.folder import PROGRAM, CampaignFolder
from pvcnn.cli import output
from pvcnn.cli import plan as plan_command
from pvcnn.cli.main import run
from pvcnn.leak import data as frames_of_attacks
from pvcnn.planning import picture
from pvcnn.planning.rows import CutPlan, CutRow, EncryptedCost, PublicCost
from pvcnn.program.program import Program
from tests.planning.networks import calibration

NETWORK = "tests.planning.networks:network"
PLAN = ["plan", "tests.planning.networks:single", "--shape", "1,16,16", "--no-measure", "--budget", "0"]


@pytest.fixture(autouse=True)
def few_random_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_of_attacks, "RANDOM_FRAMES", 128)
    monkeypatch.setattr(frames_of_attacks, "ATTACKED", 32)


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
    assert "No cut fits" in printed
    assert "--polynomials 2 plans as if" in printed
    assert "1 (ReLU): not supported before the cut" in printed


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["plan", "no.such:thing"], "no.such:thing"),
        ([*PLAN, "--shape", "1,16"], "three numbers"),
        ([*PLAN, "--polynomials", "7"], "7"),
        ([*PLAN, "--budget", "-1"], "budget"),
        ([*PLAN, "--budget", "inf"], "finite"),
        ([*PLAN[:4], "--data", "digits"], "frames to attack have the shape"),
        (["plan", "nosuch"], "nor one of deepfake, article, lenet5"),
        (["plan", "deepfake", "--data", "digits"], "deepfake takes (1, 64, 64)"),
        (["plan", "lenet5", "--shape", "1,64,64"], "lenet5 takes (1, 32, 32)"),
    ],
)
def test_mistakes_are_named(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert error in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ((0, 1, 64, 64), "has the shape (0, 1, 64, 64)"),
        ((4, 1, 0, 64), "has the shape (4, 1, 0, 64)"),
        ((4, 64), "has the shape (4, 64)"),
        ((4, 3, 64, 64), "frames have the shape (3, 64, 64), deepfake takes (1, 64, 64)"),
    ],
)
def test_calibration_frames_of_another_shape(
    tmp_path: Path, shape: tuple[int, ...], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = tmp_path / "frames.npy"
    np.save(frames, np.zeros(shape))
    assert run(["plan", "deepfake", "--budget", "0", "--calibration", str(frames)]) == 2
    assert error in " ".join(capsys.readouterr().err.split())


def test_a_folder_that_cannot_be_is_found_before_anything_is_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run([*PLAN, "--out", str(tmp_path / "file" / "plan")]) == 2
    printed = capsys.readouterr().err
    assert "is a file" in printed
    assert "cut 0" not in printed


def test_nothing_is_written_by_an_interrupted_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(plan: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(picture, "draw", interrupted)
    assert run([*PLAN, "--out", str(tmp_path / "plan")]) == 130
    assert not (tmp_path / "plan").exists()
    assert "interrupted" in capsys.readouterr().err


def test_names_of_cuts_are_never_cut_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cost = EncryptedCost(8192, 1.0, 10**8, 10**6, 10**6, 0.1, 0.125, 30, False, 8, 10**9)
    row = CutRow(
        1, "a.name.of.one.convolution.that.is.longer.than.most", "Conv2d", None, "", (1, 8, 8), (2, 8, 8)
    )
    row = replace(row, encrypted=cost, public=PublicCost(10**6, 1 << 20, 3.0))
    monkeypatch.setattr(output.results, "width", 70)
    plan_command.show(CutPlan("model", "committed", None, 0, 0.0, (row,)))
    printed = capsys.readouterr().out
    assert "\N{HORIZONTAL ELLIPSIS}" not in printed
    assert row.cut in "".join(line.split()[0] for line in printed.splitlines() if line.strip())


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
    printed = " ".join(capsys.readouterr().err.split())
    assert "encrypted" in printed
    assert "cheaper, but too much: 1: 32 features" in printed
    assert "features 32, at most 16 are allowed" in printed
    assert "next dearer: " in printed


def test_split_says_what_the_cut_leaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    auto = ["--cut", "auto", "--max-features", "16", "--max-frame-retrieval", "1", "--attack-budget", "0.02"]
    assert run(split_arguments(tmp_path, *auto)) == 0
    assert "right frame found for" in capsys.readouterr().err


def test_people_cannot_be_limited_where_nobody_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(split_arguments(tmp_path, "--cut", "auto", "--max-person-retrieval", "0.5")) == 2
    assert "nobody is shown by" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "campaign").exists()


def test_split_refuses_with_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(split_arguments(tmp_path, "--cut", "auto", "--max-features", "2")) == 2
    error = capsys.readouterr().err
    assert "no cut keeps to the limits" in error
    assert "1: features 32, at most 2 are allowed" in error
    assert not (tmp_path / "campaign").exists()


def test_limits_without_auto_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(split_arguments(tmp_path, "--cut", "1", "--max-features", "2")) == 2
    assert "--cut auto" in capsys.readouterr().err
