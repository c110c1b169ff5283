"""The command line: every role by its own command, exit codes, JSON on the last line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pvcnn.cli.main import run
from pvcnn.data.frames import demo_frames, prepare

ROOT = Path(__file__).resolve().parents[2]
MODEL = "tests.cli.tiny_model:build"


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Exit status, and the JSON object on the last line of stdout (empty if there is none)."""
    capsys.readouterr()
    status = run([*map(str, arguments), "--json"])
    lines = capsys.readouterr().out.splitlines()
    return status, json.loads(lines[-1]) if lines else {}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign that was played command by command; the test below checks what each said."""
    return tmp_path_factory.mktemp("cli") / "campaign"


def test_every_role_has_its_command(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [frame for frame, _, _ in demo_frames(1, 3, seed=1)[0]]
    np.save(tmp_path / "calibration.npy", prepare(np.stack(frames)))
    np.save(tmp_path / "frame.npy", frames[0])

    calibration = tmp_path / "calibration.npy"
    status, _ = call(capsys, "split", finished, "--model", MODEL, "--calibration", calibration)
    assert status == 0
    status, card = call(capsys, "keygen", finished)
    assert status == 0
    named = ("--party", "a named party")
    status, keys = call(capsys, "setup", finished, "--only", "keys", *named, "--max-proofs", "4")
    assert status == 0
    assert "manifest" not in keys
    fingerprint = card["cluster_fingerprint"]
    status, manifest = call(
        capsys, "setup", finished, "--only", "manifest", *named, "--cluster-fingerprint", fingerprint
    )
    assert status == 0
    assert manifest["setup_party"] == "a named party"

    submit = ("encrypt", finished, "--cluster-fingerprint", fingerprint)
    given = ("--frame", tmp_path / "frame.npy", "--label", "real")
    assert call(capsys, *submit, "--tester", "ann", *given)[0] == 0
    assert call(capsys, *submit, "--tester", "ann", "--demo-frame", "1")[0] == 0
    assert call(capsys, *submit, "--tester", "bob", "--demo-frame", "2")[0] == 0

    status, inferred = call(capsys, "infer", finished)
    assert status == 0
    assert inferred["registered"] == 3
    assert not inferred["refused"]
    assert call(capsys, *submit, "--tester", "eve", "--demo-frame", "3")[0] == 2, "the registry is closed"

    status, proved = call(capsys, "prove", finished, "--workers", "1")
    assert status == 0
    assert proved == {"proved": 3, "failed": {}}
    status, aggregate = call(capsys, "aggregate", finished)
    assert status == 0
    assert aggregate["proved"] == [0, 1, 2]
    assert call(capsys, "open-labels", finished, "--tester", "ann") == (0, {"opened": 2})

    status, verdict = call(capsys, "verify", finished)
    assert status == 0
    assert verdict["verified"] is True
    assert verdict["setup_party"] == "a named party"
    assert verdict["labels"]["opened"] == 2


@pytest.mark.parametrize(
    ("scheme", "made"), [("snarkpack", "snarkpack"), ("packed", "packed"), ("auto", "packed")]
)
def test_schemes_of_aggregates(
    scheme: str, made: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is verified, and the sizes of both are reported."""
    status, told = call(capsys, "aggregate", finished, "--scheme", scheme)
    assert status == 0
    assert told["scheme"] == made
    file = finished / "public" / "aggregate.cbor"
    assert told["bytes"]["aggregate"] == told["bytes"][made] == file.stat().st_size
    assert told["bytes"]["packed"] < told["bytes"]["snarkpack"]
    assert told["bytes"]["proofs"] == 3 * 240
    assert 3 * 48 < told["bytes"]["statements"] < 3 * 48 + 120
    status, verdict = call(capsys, "verify", finished)
    assert (status, verdict["verified"]) == (0, True)
    assert run(["aggregate", str(finished), "--scheme", scheme]) == 0
    assert "3 proofs" in capsys.readouterr().err


def test_audits(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The record, the choice, both openings, and what auditors say of them."""
    status, noted = call(capsys, "audit", "record", finished / "public")
    assert (status, noted["missing"]) == (0, [])
    choice = ("--beacon", "00" * 16, "--count", "2", "--record", noted["record"])
    status, chosen = call(capsys, "audit", "choose", finished, *choice)
    assert status == 0
    assert len(chosen["indices"]) == 2
    assert chosen["chances"] == {"1": 2 / 3, "2": 1.0, "3": 1.0}
    openings = {role: tmp_path / f"{role}.cbor" for role in ("owner", "cluster")}
    shutil.copytree(finished, tmp_path / "auditor", ignore=shutil.ignore_patterns("private"))
    for role, opening in openings.items():
        assert call(capsys, "audit", "open", role, finished, *choice, "--to", opening)[0] == 0
        assert opening.stat().st_mode & 0o777 == 0o600
        assert call(capsys, "audit", "open", role, finished, *choice, "--to", opening)[0] == 2, "not replaced"
        status, report = call(capsys, "audit", role, tmp_path / "auditor", opening, *choice)
        assert status == 0
        assert [each["index"] for each in report["findings"]] == chosen["indices"]
        told = (
            report["record_demanded"],
            report["auditable"],
            report["missing"],
            report["chance_of_one_lie"],
        )
        assert told == (True, 3, [], 2 / 3)
        assert run(["audit", role, str(finished), str(opening), *choice]) == 0
        said = capsys.readouterr()
        assert "HONEST" in said.out
        assert "one lie among 3 is caught with probability 0.6667" in said.out
        assert "written down before" not in said.err
        assert run(["audit", role, str(finished), str(opening), *choice[:4]]) == 0
        assert "written down before the beacon was known?" in capsys.readouterr().err

    other = ("--beacon", "11" * 16, *choice[2:])
    assert call(capsys, "audit", "owner", finished, openings["owner"], *other)[0] == 1
    assert call(capsys, "audit", "owner", finished, openings["cluster"], *choice)[0] == 2
    assert call(capsys, "audit", "choose", finished, *choice[:4], "--record", "00" * 32)[0] == 1
    assert call(capsys, "audit", "choose", finished, "--beacon", "xyz", "--count", "2")[0] == 2
    assert call(capsys, "audit", "choose", finished, "--beacon", "00", "--count", "2")[0] == 2


def test_verify_prints_what_is_and_is_not_proved(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(finished)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for sentence in (
        "3 submissions registered, 3 proved: for each of these, the decisions are the outputs of the "
        "committed public part on the committed features.",
        "Not proved: that those features are the honest decryption of the honest private part",
        "key matches program: trusted to a named party",
        "privacy against the cluster: not proved",
        "VERIFIED",
    ):
        assert sentence in printed


def test_inspect_lists_and_shows(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, listed = call(capsys, "inspect", finished)
    assert status == 0
    assert {"manifest.cbor", "aggregate.cbor", "statements/000002.cbor"} <= {
        each["file"] for each in listed["files"]
    }
    status, manifest = call(capsys, "inspect", finished / "public" / "manifest.cbor")
    assert status == 0
    assert manifest["body"]["setup_party"] == "a named party"
    assert run(["inspect", str(finished)]) == 0
    assert "registry (signed)" in capsys.readouterr().out


def test_inspect_a_header_that_is_nested_without_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes((100_000).to_bytes(8, "little") + b"[" * 100_000)
    assert run(["inspect", str(path)]) == 2
    assert "not a safetensors file" in capsys.readouterr().err


def test_changed_byte_is_exit_status_1_or_2(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = finished / "public" / "statements" / "000001.cbor"
    data = path.read_bytes()
    try:
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert run(["verify", str(finished)]) in (1, 2)
    finally:
        path.write_bytes(data)
    assert run(["verify", str(finished)]) == 0


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["bench", "model", "lenet"], "choose one of deepfake"),
        (["demo", "--device", "cuda"], "--device cpu"),
    ],
)
def test_what_is_not_built_exits_2_and_names_the_remedy(
    arguments: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert remedy in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["verify", "NOWHERE"], "manifest.cbor"),
        (["keygen", "NOWHERE"], "encryption_plan.cbor"),
        (["prove", "NOWHERE"], "manifest.cbor"),
        (["inspect", "NOWHERE"], "NOWHERE"),
        (["demo", "--testers", "40", "--frames", "3"], "80 images"),
        (["split", "DIR", "--model", "nonsense"], "MODULE:FUNCTION"),
        (["setup", "NOWHERE", "--party", "cluster"], "cluster must not run the setup"),
    ],
)
def test_errors_name_the_file_or_the_option(
    arguments: list[str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    assert named in " ".join(capsys.readouterr().err.split())


def test_frames_that_cannot_be(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "text.npy").write_text("not an array")
    np.save(tmp_path / "small.npy", np.zeros((8, 8), np.uint8))
    submit = ["encrypt", str(finished), "--tester", "x", "--cluster-fingerprint", "0" * 64]
    for extra in (
        [],
        ["--frame", str(tmp_path / "small.npy")],
        ["--frame", str(tmp_path / "text.png"), "--label", "real"],
        ["--frame", str(tmp_path / "text.npy"), "--label", "real"],
        ["--frame", str(tmp_path / "small.npy"), "--label", "real"],
    ):
        assert run([*submit, *extra]) == 2
    capsys.readouterr()


def test_a_model_that_does_not_fit_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((2, 64)))
    np.save(tmp_path / "calibration.npy", np.zeros((2, 1, 64, 64)))
    split = ["split", str(tmp_path / "new"), "--model"]
    assert run([*split, MODEL, "--calibration", str(tmp_path / "flat.npy")]) == 2
    deep = "tests.cli.tiny_model:too_deep"
    assert run([*split, deep, "--calibration", str(tmp_path / "calibration.npy")]) == 2
    assert "ParameterError: 0: loses the precision" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", [["-m", "pvcnn"], ["-c", "from pvcnn.cli.main import main; main()"]])
def test_it_runs_as_a_program(command: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, *command, "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert result.returncode == 0
    for name in ("demo", "split", "keygen", "setup", "encrypt", "infer", "prove", "aggregate", "verify"):
        assert name in result.stdout
