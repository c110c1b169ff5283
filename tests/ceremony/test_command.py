"""`pvcnn ceremony` from the first command to the last."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pvcnn.cli.main import run
from tests.ceremony.conftest import Folders, tiny_program

HEX, OTHER_HEX = "00112233445566778899aabbccddeeff", "ff112233445566778899aabbccddeeff"
FAST = ["--log2-iterations", "10"]


def ceremony(*arguments: str | Path) -> int:
    return run(["ceremony", *map(str, arguments)])


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return out


def test_a_ceremony(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, powers, circuit = tmp_path / "program.cbor", tmp_path / "powers", tmp_path / "circuit"
    program.write_bytes(tiny_program().to_bytes())
    assert ceremony("init", powers, "--program", program, "--max-proofs", "3") == 0
    assert ceremony("contribute", powers, "--name", "ann", "--entropy", program) == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"dice")))
    assert ceremony("contribute", powers, "--name", "bob", "--entropy", "-", "--json") == 0
    mine = report(capsys)
    assert mine["contribution"] == 2
    assert ceremony("init", circuit, "--program", program, "--powers", powers) == 1  # not closed yet
    assert ceremony("finalize", powers) == 2
    assert ceremony("finalize", powers, "--beacon", HEX, *FAST) == 0
    assert ceremony("init", circuit, "--program", program, "--powers", powers) == 0
    assert ceremony("contribute", circuit, "--name", "ann") == 0
    assert ceremony("finalize", circuit, "--beacon", HEX, *FAST) == 1
    capsys.readouterr()
    assert ceremony("finalize", circuit, "--beacon", OTHER_HEX, *FAST, "--json") == 0
    record = report(capsys)["record"]
    assert ceremony("verify", circuit, "--contribution", mine["digest"], "--json") == 0
    verified = report(capsys)
    assert verified["record"] == record
    alone = "ann alone for the circuit: do not rely on it against ann"
    assert verified["summary"] == f"setup: ceremony of 1 contributor ({alone}), transcript digest {record}"
    assert [[each["name"] for each in chain] for chain in verified["chains"]] == [
        ["ann", "bob", "beacon"],
        ["ann", "beacon"],
    ]
    assert ceremony("verify", circuit) == 0
    shown = capsys.readouterr().out
    assert mine["digest"] in shown.replace("\n", "")
    assert ceremony("verify", circuit, "--contribution", "00" * 32) == 1
    assert ceremony("contribute", circuit, "--name", "late") == 2
    assert ceremony("finalize", circuit) == 0


def test_files_that_a_coordinator_exchanged(folders: Folders) -> None:
    key = folders.circuit / "keys" / "bare_verification_key.cbor"
    data = key.read_bytes()
    key.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert ceremony("verify", folders.circuit) == 1
    key.write_bytes(data)
    assert ceremony("verify", folders.circuit) == 0
    record = folders.circuit / "record.cbor"
    encoded = bytearray(record.read_bytes())
    place = bytes(encoded).index(b"proving_key_digest") + 30
    encoded[place] ^= 1
    record.write_bytes(bytes(encoded))
    assert ceremony("verify", folders.circuit) == 1


def test_usage(tmp_path: Path, made: Folders) -> None:
    program = made.circuit / "program.cbor"
    assert ceremony("init", tmp_path / "x") == 2
    assert ceremony("init", tmp_path / "x", "--program", program, "--domain-log2", "3") == 2
    assert ceremony("init", tmp_path / "x", "--powers", made.powers, "--domain-log2", "3") == 2
    assert ceremony("init", tmp_path / "x", "--domain-log2", "3", "--max-proofs", "2") == 0
    assert ceremony("contribute", tmp_path / "x", "--name", "beacon") == 2
    for value in ("xyz", "00" * 15):
        assert ceremony("finalize", tmp_path / "x", "--beacon", value) == 2
    assert ceremony("verify", tmp_path / "nothing") == 2
