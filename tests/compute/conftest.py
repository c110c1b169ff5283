"""Campaigns that wait to be proved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pvcnn.campaign.folder import CampaignFolder
from tests.campaign.tiny import Played, play


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Two testers with two submissions each, all of them proved. Not to be changed."""
    return play(tmp_path_factory.mktemp("played") / "campaign")


@pytest.fixture
def unproved(played: Played, tmp_path: Path) -> CampaignFolder:
    """The campaign as it is after `infer`: answers, and no outcome yet."""
    folder = CampaignFolder(tmp_path / "campaign")
    shutil.copytree(played.folder.root, folder.root)
    for path in [*folder.proofs.iterdir(), *(folder.public.path / "labels").iterdir()]:
        path.unlink()
    (folder.public.path / "aggregate.cbor").unlink()
    for path in (folder.public.path / "statements").iterdir():
        path.unlink()
    return folder
