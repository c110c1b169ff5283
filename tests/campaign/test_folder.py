"""The folder: who may have what, what may lie in public/, and what is said when a file is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pvcnn.campaign.artefacts.folder import (
    ANSWERS,
    MANIFEST,
    PUBLIC_DIRECTORIES,
    PUBLIC_FILES,
    STATEMENTS,
    CampaignFolder,
    PublicFolder,
)
from pvcnn.errors import CampaignError, DecodeError, VerificationError
from pvcnn.files import write_once


@pytest.fixture
def folder(tmp_path: Path) -> CampaignFolder:
    return CampaignFolder.create(tmp_path / "campaign")


def test_private_directories_are_private(folder: CampaignFolder) -> None:
    for path in (folder.private("owner"), folder.private("cluster"), folder.private_of_tester("alice-2")):
        assert path.stat().st_mode & 0o777 == 0o700
        assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", "a-", "A", "a" * 33, "a\n"])
def test_names_that_are_no_file_names(folder: CampaignFolder, name: str) -> None:
    with pytest.raises(CampaignError, match="cannot name a tester"):
        folder.private_of_tester(name)


def test_a_campaign_needs_a_directory_of_its_own(folder: CampaignFolder, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="not an empty directory"):
        CampaignFolder.create(folder.root)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CampaignError, match="not an empty directory"):
        CampaignFolder.create(tmp_path / "file")


def test_missing_files_are_named_with_the_step_that_writes_them(folder: CampaignFolder) -> None:
    for which in PUBLIC_FILES:
        with pytest.raises(CampaignError, match=rf"{which.name} is missing: .*`pvcnn {which.step}`"):
            folder.public.read(which)
    with pytest.raises(CampaignError, match=r"000003\.cbor is missing: .*`pvcnn infer`"):
        folder.public.read_indexed(ANSWERS, 3)


def test_files_are_bounded(folder: CampaignFolder) -> None:
    folder.public.file(MANIFEST).write_bytes(bytes(MANIFEST.max_bytes + 1))
    with pytest.raises(DecodeError, match="more than"):
        folder.public.read(MANIFEST)


def test_strangers_in_public_are_refused(folder: CampaignFolder) -> None:
    public = folder.public
    for which in PUBLIC_FILES:
        public.file(which).write_bytes(b"x")
    for directory in PUBLIC_DIRECTORIES:
        public.indexed(directory, 1).write_bytes(b"x")
    public.refuse_strangers(2)
    with pytest.raises(VerificationError, match="submission 1 is not in the registry"):
        public.refuse_strangers(1)
    for name in ("notes.txt", ".hidden", "answers/1.cbor", "answers/000001.cbor.bak", "labels/x"):
        path = public.path / name
        path.write_bytes(b"")
        with pytest.raises(DecodeError, match="does not belong"):
            public.refuse_strangers(2)
        path.unlink()
    public.refuse_strangers(2)


def test_links_and_misplaced_directories_in_public_are_refused(folder: CampaignFolder) -> None:
    target = folder.root / "elsewhere"
    target.write_bytes(b"x")
    for path in (folder.public.file(MANIFEST), folder.public.indexed(STATEMENTS, 0)):
        path.symlink_to(target)
        with pytest.raises(DecodeError, match="does not belong"):
            folder.public.refuse_strangers(1)
        path.unlink()
        path.mkdir()
        with pytest.raises(DecodeError, match="does not belong"):
            folder.public.refuse_strangers(1)
        path.rmdir()
    folder.public.refuse_strangers(1)


def test_a_public_folder_is_found_at_either_path(folder: CampaignFolder, tmp_path: Path) -> None:
    assert PublicFolder.find(folder.root).path == folder.public.path
    assert PublicFolder.find(folder.public.path).path == folder.public.path
    with pytest.raises(CampaignError, match=r"manifest\.cbor is missing"):
        PublicFolder.find(tmp_path / "nothing")


def test_the_first_complete_file_wins(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_once(path, b"first", 0o600)
    assert not write_once(path, b"second")
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
