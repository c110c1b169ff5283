"""Campaigns that were played once for the whole session, and copies of them to tamper with."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pvcnn.campaign.aggregator import aggregate_campaign
from pvcnn.campaign.folder import CampaignFolder
from pvcnn.campaign.owner import OwnerRole
from pvcnn.campaign.tester import TesterRole
from tests.campaign.siblings import play_sibling
from tests.campaign.slots import PLACES, Slots
from tests.campaign.tiny import Played, play, prepare, prove_all, surely_decided


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


@pytest.fixture(scope="session")
def slots_waiting(tmp_path_factory: pytest.TempPathFactory) -> tuple[CampaignFolder, str]:
    """A campaign of frames in slots after `setup`, and the cluster's fingerprint. Not to be changed."""
    root = tmp_path_factory.mktemp("slots-waiting") / "campaign"
    folder, _, _, fingerprint = prepare(root, frames_in_slots=PLACES)
    return folder, fingerprint


@pytest.fixture
def open_slots(slots_waiting: tuple[CampaignFolder, str], tmp_path: Path) -> tuple[CampaignFolder, str]:
    shutil.copytree(slots_waiting[0].root, tmp_path / "open")
    return CampaignFolder(tmp_path / "open"), slots_waiting[1]


@pytest.fixture(scope="session")
def slots_played(
    slots_waiting: tuple[CampaignFolder, str], tmp_path_factory: pytest.TempPathFactory
) -> Slots:
    """All steps, labels opened. Not to be changed."""
    root = tmp_path_factory.mktemp("slots") / "campaign"
    shutil.copytree(slots_waiting[0].root, root)
    folder, fingerprint = CampaignFolder(root), slots_waiting[1]
    decided = surely_decided(3)
    decisions = {"ann": [1, 0, 0, 1], "bob": [1]}
    for name, wanted in decisions.items():
        left = {decision: iter(given) for decision, given in decided.items()}
        given = [next(left[decision]) for decision in wanted]
        TesterRole.create(folder, name).encrypt_frames(given, wanted, fingerprint, processes=1)
    owner = OwnerRole.open(root)
    _, turned_away = owner.close_registry()
    assert not turned_away
    slots = Slots(folder, fingerprint, decisions)
    for index in range(slots.count):
        assert not owner.infer(index).refused
    assert not prove_all(folder, slots.count)
    aggregate_campaign(folder)
    for name in decisions:
        TesterRole.open(folder, name).open_labels()
    return slots


@pytest.fixture
def slots_tampered(slots_played: Slots, tmp_path: Path) -> Slots:
    shutil.copytree(slots_played.folder.root, tmp_path / "copy")
    return replace(slots_played, folder=CampaignFolder(tmp_path / "copy"))
