"""Files are whole or absent."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pvcnn import files
from pvcnn.errors import CampaignError, DecodeError


def test_write_and_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    files.write_atomically(path, b"abc", mode=0o600)
    assert files.read_bounded(path, 3) == b"abc"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(DecodeError, match="more than 2 bytes"):
        files.read_bounded(path, 2)
    with pytest.raises(CampaignError, match="missing"):
        files.read_bounded(tmp_path / "missing", 2)


def test_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(tmp_path / "x", b"abc")
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_named(tmp_path: Path) -> None:
    for write in (files.write_atomically, files.write_once):
        with pytest.raises(CampaignError, match="nowhere"):
            write(tmp_path / "nowhere" / "x", b"abc")


def test_the_first_complete_file_wins(tmp_path: Path) -> None:
    assert files.write_once(tmp_path / "x", b"first")
    assert not files.write_once(tmp_path / "x", b"second")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


@pytest.mark.parametrize("read", [lambda path: files.read_bounded(path, 10), files.digest_of])
@pytest.mark.parametrize("kind", ["directory", "pipe", "link to itself"])
def test_what_is_no_file(tmp_path: Path, kind: str, read: Callable[[Path], bytes]) -> None:
    """A pipe that nobody writes to would be opened for ever."""
    path = tmp_path / "x"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path)
    with pytest.raises(CampaignError, match="cannot read"):
        read(path)


def test_a_digest(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert files.digest_of(tmp_path / "x") == hashlib.sha256(b"abc").digest()
