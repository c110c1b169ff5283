"""Campaigns that were played once for the whole session, and copies of them to tamper with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pvcnn.campaign.folder import CampaignFolder
from pvcnn.campaign.tester import TesterRole
from tests.campaign.siblings import play_sibling
from tests.campaign.tiny import Played, play, prepare


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Two testers with two submissions each, all of them proved, labels opened. Not to be changed."""
    return play(tmp_path_factory.mktemp("played") / "campaign")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Another campaign with another model, keys and testers. Not to be changed."""
    return play(tmp_path_factory.mktemp("other") / "campaign", testers=1, each=1, seed=2)


@pytest.fixture
def copy(played: Played, tmp_path: Path) -> CampaignFolder:
    """A copy of `played` to tamper with."""
    root = tmp_path / "copy"
    shutil.copytree(played.folder.root, root)
    return CampaignFolder(root)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[CampaignFolder, str]:
    """A campaign after `setup`, and the cluster's fingerprint. Not to be changed."""
    folder, _, _, fingerprint = prepare(tmp_path_factory.mktemp("prepared") / "campaign")
    return folder, fingerprint


@pytest.fixture
def fresh(prepared: tuple[CampaignFolder, str], tmp_path: Path) -> tuple[CampaignFolder, str]:
    """A copy of `prepared`, in which testers may enrol."""
    shutil.copytree(prepared[0].root, tmp_path / "fresh")
    return CampaignFolder(tmp_path / "fresh"), prepared[1]


@pytest.fixture(scope="session")
def several(
    other: Played, prepared: tuple[CampaignFolder, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, CampaignFolder]:
    """Campaigns to be joined, by name: alpha with one proof, and beta and gamma, with two and one, under
    another owner's model, keys and setup. Not to be changed.
    """
    root = tmp_path_factory.mktemp("several")
    shutil.copytree(prepared[0].root, root / "base")
    base = CampaignFolder(root / "base")
    TesterRole.create(base, "camera")
    beta, gamma = (play_sibling(base, prepared[1], root / name, n) for name, n in (("beta", 2), ("gamma", 1)))
    return {"alpha": other.folder, "beta": beta, "gamma": gamma}
