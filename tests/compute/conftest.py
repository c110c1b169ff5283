"""Campaigns that wait to be proved."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pvcnn.campaign.artefacts.folder import CampaignFolder
from tests.campaign.tiny import Played, play, play_to_answers
from tests.compute.ray_head import RayHead


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


@pytest.fixture
def answered(tmp_path: Path) -> CampaignFolder:
    """A campaign of its own with sixteen submissions of four testers, answered and not proved."""
    return play_to_answers(tmp_path / "campaign", 4, 4, max_proofs=16)


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    """A Ray head with a job server, and one machine for workers, on loopback."""
    with RayHead.started() as head:
        yield head
