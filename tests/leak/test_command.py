"""`pvcnn leak`, and the picture."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pvcnn.cli import leak
from pvcnn.cli.main import run
from pvcnn.leak import budget, picture
from pvcnn.leak import data as frames
from pvcnn.leak.measure import measure
from pvcnn.leak.picture import COLUMNS, draw
from pvcnn.leak.private import of_function
from pvcnn.leak.summary import LeakSummary
from pvcnn.models.layers import Square
from tests.leak.synthetic import data


def stem() -> nn.Module:
    """A network of one private and one public block."""
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), Square(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(2 * 8 * 8, 2)
    ).eval()


@pytest.fixture(autouse=True)
def few_random_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "RANDOM_FRAMES", 128)
    monkeypatch.setattr(frames, "ATTACKED", 32)


MODEL = ["leak", f"{__name__}:stem", "--data", "random", "--shape", "1,32,32", "--budget", "0.1"]


def test_cuts_are_attacked_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "leak"
    assert run([*MODEL, "--cut", "1", "--cut", "whole", "--out", str(folder), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [report["cut"] for report in printed["cuts"]] == ["1", "whole"]
    assert [report["feature_shape"] for report in printed["cuts"]] == [[2, 8, 8], [2]]
    assert json.loads((folder / "leak.json").read_text()) == printed["cuts"]
    assert (folder / "leak.png").read_bytes().startswith(b"\x89PNG")
    summary = LeakSummary.from_bytes((folder / "leak-0.cbor").read_bytes())
    assert (summary.cut, summary.feature_shape) == ("1", (2, 8, 8))
    assert summary.weights_method == "quadratic system"


def test_people_read_a_table_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(MODEL) == 0
    printed = capsys.readouterr().out
    assert "privacy against the cluster: not proved" in printed
    assert "blind identification not applicable: features are not linear" in printed


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["leak", "no.such:thing"], "no.such:thing"),
        (["leak", "neither"], "neither"),
        ([*MODEL, "--shape", "1,32"], "three numbers"),
        ([*MODEL, "--cut", "7"], "cut=7"),
        ([*MODEL, "--cut", "nowhere"], "nowhere"),
        ([*MODEL, "--budget", "0"], "budget"),
        ([*MODEL, "--budget", "nan"], "finite"),
        (["leak", "lenet5", "--data", "random", "--shape", "1,64,64"], "lenet5 takes (1, 32, 32)"),
    ],
)
def test_mistakes_are_named(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert error in " ".join(capsys.readouterr().err.split())


def test_a_folder_that_cannot_be_is_found_before_anything_is_attacked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run([*MODEL, "--out", str(tmp_path / "file" / "leak")]) == 2
    printed = capsys.readouterr().err
    assert "is a file" in printed
    assert "cut 1" not in printed


def test_nothing_is_written_without_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(reports: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(picture, "draw", interrupted)
    assert run([*MODEL, "--out", str(tmp_path / "leak")]) == 130
    assert not (tmp_path / "leak").exists()


def test_frames_of_another_shape_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*MODEL, "--shape", "3,32,32"]) == 2
    assert "channels" in capsys.readouterr().err


def test_the_default_budget_is_that_of_the_attacks() -> None:
    assert leak.DEFAULT_BUDGET == budget.DEFAULT_SECONDS


def test_the_picture_shows_worst_median_and_best() -> None:
    from PIL import Image

    report = measure(of_function(lambda x: x[:, :, ::2, ::2]), data(), 0.1, cut="half")
    once = Image.open(io.BytesIO(draw([report])))
    twice = Image.open(io.BytesIO(draw([report, report])))
    assert twice.width == once.width > 96 * sum(COLUMNS.values())
    assert twice.height > 1.4 * once.height
    assert len(set(once.tobytes())) > 100


def test_the_picture_shows_different_people() -> None:
    report = measure(of_function(lambda x: x[:, :, ::2, ::2]), data(), 0.1)
    for name, chosen in picture._chosen(report).items():
        assert len(set(report.identities[chosen].tolist())) == len(chosen) == COLUMNS[name]
    alone = replace(report, identities=torch.zeros_like(report.identities))
    order = report.decoder.decibels.argsort(stable=True).tolist()
    assert picture._chosen(alone)["worst"] == order[: COLUMNS["worst"]]


def test_pictures_of_different_frames_are_not_mixed() -> None:
    first = measure(of_function(lambda x: x), data(), 0.05)
    other = data()
    other.attacked.pictures.mul_(0.5)
    with pytest.raises(ValueError, match="different frames"):
        draw([first, measure(of_function(lambda x: x), other, 0.05)])
