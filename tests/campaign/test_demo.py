"""The main job, whole: real faces, the shipped detector, Ray workers, one verified aggregate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder and the report of `pvcnn demo --testers 2 --json`."""
    directory = tmp_path_factory.mktemp("demo") / "campaign"
    result = subprocess.run(
        [sys.executable, "-m", "pvcnn", "demo", "--testers", "2", "--out", str(directory), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return directory, json.loads(result.stdout.splitlines()[-1])


def test_report_says_what_happened(demo: tuple[Path, dict[str, Any]]) -> None:
    _, report = demo
    assert report["verified"] is True
    assert (report["testers"], report["frames"], report["proved"]) == (2, 2, 2)
    assert 10_000 < report["constraints"] < 1 << 15
    steps = {"split", "setup", "keygen", "encrypt", "infer", "prove", "aggregate", "verify"}
    assert steps <= report["seconds"].keys()
    assert all(seconds > 0 for seconds in report["seconds"].values())
    sizes = {"proof", "statement", "aggregate", "vk", "pk", "upload", "download"}
    assert sizes <= report["bytes"].keys()
    assert report["bytes"]["proof"] == 240
    assert report["cut"]["broken_rules"] == []
    assert report["cut"]["leak_figures"]["feature_shape"] == [8, 2, 2]
    labels = {each["index"]: each["labels"] for each in report["submissions"]}
    assert labels == {int(index): truth for index, truth in report["truth"].items()}


def test_anyone_verifies_from_the_public_folder_alone(
    demo: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    directory, report = demo
    alone = tmp_path / "elsewhere" / "public"
    alone.parent.mkdir()
    (directory / "public").rename(alone)
    try:
        result = subprocess.run(
            [sys.executable, "-m", "pvcnn", "verify", str(alone), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        alone.rename(directory / "public")
    assert result.returncode == 0, result.stderr
    verdict = json.loads(result.stdout.splitlines()[-1])
    assert verdict["submissions"] == report["submissions"]


def test_a_folder_in_use_is_refused(demo: tuple[Path, dict[str, Any]]) -> None:
    directory, _ = demo
    result = subprocess.run(
        [sys.executable, "-m", "pvcnn", "demo", "--testers", "1", "--out", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "not an empty directory" in " ".join(result.stderr.split())
