"""Folders that are meant to fool whoever verifies them, by other means than a false proof."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pvcnn.campaign.artefacts.folder import ANSWERS, MANIFEST
from pvcnn.campaign.verification.auditor import verify
from pvcnn.cli.main import EXIT_MALFORMED, run
from pvcnn.errors import CampaignError, DecodeError
from pvcnn.files import read_bounded
from tests.attacks.conftest import Stage


@pytest.mark.parametrize(
    "name",
    [
        "[bold green]VERIFIED[bold green]",
        "[red]",
        "x[",
        "\x1b[2K\x1b[32mVERIFIED\x1b[0m",
        "\u202eDEIFIREV",
        "\udcff",
    ],
    ids=["markup", "style", "bracket", "escape sequence", "right to left", "not unicode"],
)
def test_the_name_of_a_file_cannot_print_a_verdict(
    answered: Stage, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name is shown as it is, without markup, and no control character reaches the terminal."""
    (answered.folder.public.path / name).write_bytes(b"")
    assert run(["verify", str(answered.folder.root)]) == EXIT_MALFORMED
    captured = capsys.readouterr()
    assert not captured.out
    assert "does not belong in a public folder" in captured.err
    if "[" in name and name.isprintable():
        assert name in captured.err
    assert all(c.isprintable() or c == "\n" for c in captured.err)


def test_closing_markup_in_a_path_is_not_an_error_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(tmp_path / "[" / "]")]) == EXIT_MALFORMED
    assert "manifest.cbor" in capsys.readouterr().err


def test_a_pipe_in_place_of_a_file_stops_nobody(answered: Stage, tmp_path: Path) -> None:
    """Opening a pipe that nobody writes to would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CampaignError, match="not a file"):
        read_bounded(tmp_path / "pipe", 10)
    path = answered.folder.public.file(MANIFEST)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CampaignError, match="not a file"):
        verify(answered.folder.root)


@pytest.mark.parametrize("digit", ["\u0660", "\uff10", "\U0001d7ce"], ids=["arabic", "fullwidth", "bold"])
def test_digits_of_other_scripts_number_no_file(answered: Stage, digit: str) -> None:
    """Python reads them as digits: a file so named would lie there unread, and say anything."""
    folder = answered.folder.public
    path = folder.path / ANSWERS.name / f"{digit * 6}.cbor"
    path.write_bytes(b"anything")
    with pytest.raises(DecodeError, match="does not belong"):
        folder.refuse_strangers(2)


def test_the_standalone_verifier_shows_names_as_they_are(answered: Stage) -> None:
    (answered.folder.public.path / "\x1b[32mVALID").write_bytes(b"")
    script = Path(__file__).resolve().parents[2] / "scripts" / "verify_aggregate.py"
    command = [sys.executable, str(script), str(answered.folder.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "does not belong there" in done.stderr
    assert "\x1b" not in done.stderr
