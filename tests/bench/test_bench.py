"""Benchmarks compare like with like, and say so in JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pvcnn.bench import field, measure, points
from pvcnn.cli.main import run


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["bench", *arguments, "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return report


def test_msm_reports_ours_reference_and_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    report = call(capsys, "msm", "--log-n", "5", "--repeat", "2")
    for name in ("g1_full", "g1_int8", "g2_full", "g2_int8", "g1_fixed_base", "g2_fixed_base"):
        ours, reference = report["ours"][name], report["reference"][name]
        assert report["ratio"][name] == pytest.approx(reference["cpu"] / ours["cpu"])
        assert ours["cpu_least"] <= ours["cpu"] <= ours["cpu_most"]
    assert report["kernels"] in ("ifma", "portable")


def test_ntt_reports_ours(capsys: pytest.CaptureFixture[str]) -> None:
    report = call(capsys, "ntt", "--log-n", "5", "--repeat", "1")
    assert {"ntt", "coset_ntt", "products"} <= report["ours"].keys()
    assert list(report["ratio"]) == ["products"]


def test_prove_reports_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    report = call(capsys, "prove", "--repeat", "1")
    assert report["verified"] is True
    assert report["bytes"]["proof"] == 240
    assert sum(report["counts"].values()) == report["constraints"]
    assert sum(report["steps"].values()) == pytest.approx(report["ours"]["wall"], rel=0.1)


@pytest.mark.parametrize(("weights", "frames"), [("published", 2), ("committed", 1)])
def test_a_network_of_the_catalogue(capsys: pytest.CaptureFixture[str], weights: str, frames: int) -> None:
    options = ["--weights", weights, "--frames", str(frames), "--repeat", "1"]
    report = call(capsys, "model", "lenet5", *options)
    assert report["verified"] is True
    assert (report["model"], report["weights"], report["frames"]) == ("lenet5", weights, frames)
    assert report["bytes"]["proof"] == 240
    assert sum(report["counts"].values()) == report["constraints"]
    assert report["agreement"] > 0.95
    assert {"split", "compile", "setup", "prove", "verify"} <= report["seconds"].keys()


def test_aggregates(capsys: pytest.CaptureFixture[str]) -> None:
    report = call(capsys, "aggregate", "--proofs", "3", "--repeat", "1")
    assert report["verified"] is True
    assert (report["proofs"], report["auto"]) == (3, "packed")
    assert 3 * 240 < report["bytes"]["packed"] < report["bytes"]["snarkpack"]
    assert report["bytes"]["statements"] > 3 * 49
    assert report["ratio"]["verify"] == pytest.approx(
        report["reference"]["verify"] / report["ours"]["verify"]
    )
    assert report["ours"]["verify"] == report["seconds"]["packed"]["verify"]
    for scheme in ("packed", "snarkpack"):
        assert report["seconds"][scheme]["aggregate"] > 0
    assert run(["bench", "aggregate", "--proofs", "1", "--repeat", "1"]) == 0
    assert "snarkpack" in capsys.readouterr().out


def test_tables_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "msm", "--log-n", "4", "--repeat", "1"]) == 0
    assert "ratio" in capsys.readouterr().out
    assert run(["warmup"]) == 0
    assert "ready" in capsys.readouterr().out


def test_ours_and_the_reference_do_the_same() -> None:
    """A benchmark of a cheaper thing would be worthless."""
    for case in points.cases(5):
        assert case.reference is not None
        ours, reference = case.ours(), case.reference()
        if not isinstance(reference, list):
            assert ours == reference
        else:
            assert case.share * len(reference) == 32
    for case in field.cases(5):
        case.ours()


def test_a_part_of_the_reference_is_scaled_up() -> None:
    calls: list[str] = []
    cases = [measure.Case("x", lambda: calls.append("ours"), lambda: calls.append("reference"), 4.0)]
    report = measure.compare(cases, 3, least=0.0)
    assert calls == ["ours", "ours", "reference", "ours", "reference", "ours", "reference"]
    assert set(report) == {"ours", "reference", "ratio"}
    timing = measure.Timing((1.0, 3.0, 2.0), (1.0, 1.0, 5.0)).to_json(4.0)
    assert timing == {"cpu": 8.0, "cpu_least": 4.0, "cpu_most": 12.0, "wall": 4.0}


def test_a_turn_lasts_and_counts_the_mean() -> None:
    calls: list[float] = []
    report = measure.compare([measure.Case("x", lambda: calls.append(time.perf_counter()))], 1, least=0.05)
    assert calls[-1] - calls[1] > 0.04
    assert report["ours"]["x"]["wall"] == pytest.approx(0.05 / (len(calls) - 1), rel=0.5)


def test_threads_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("PVCNN_THREADS", "3")
    with measure.threads(1):
        assert os.environ["PVCNN_THREADS"] == "1"
    assert os.environ["PVCNN_THREADS"] == "3"
    monkeypatch.delenv("PVCNN_THREADS")
    with measure.threads(1):
        pass
    assert "PVCNN_THREADS" not in os.environ


def test_machine_names_no_host() -> None:
    assert Path("/etc/hostname").read_text().strip() not in measure.machine()


def test_private_reports_what_was_planned_and_measured(capsys: pytest.CaptureFixture[str]) -> None:
    report = call(capsys, "private", "one", "--frames", "1")
    for side in ("ours", "reference"):
        assert {"keygen", "encrypt", "evaluate", "decrypt"} <= report[side]["processor_seconds"].keys()
        assert report[side]["error_in_steps"]["flooded"] < 0.25
    times = [report[side]["processor_seconds"]["evaluate"] for side in ("reference", "ours")]
    assert report["ratio"]["evaluate"] == pytest.approx(times[0] / times[1])


def test_an_unknown_private_part_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "private", "four"]) == 2
    assert "choose one of one, two, three, detector" in capsys.readouterr().err
