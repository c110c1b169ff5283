"""A campaign up to the owner's answers, and copies of it for attackers to tamper with."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.roles.owner import OwnerRole
from tests.campaign.tiny import prepare, submit


@dataclass(frozen=True)
class Stage:
    """A campaign that stands still at some step, and the cluster's fingerprint."""

    folder: CampaignFolder
    fingerprint: str

    def copied(self, root: Path) -> Stage:
        shutil.copytree(self.folder.root, root)
        return Stage(CampaignFolder(root), self.fingerprint)


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder, _, _, fingerprint = prepare(tmp_path_factory.mktemp("prepared") / "campaign")
    return Stage(folder, fingerprint)


@pytest.fixture(scope="session")
def _answered(_prepared: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    stage = _prepared.copied(tmp_path_factory.mktemp("answered") / "campaign")
    submit(stage.folder, stage.fingerprint, testers=1, each=2, seed=3)
    owner = OwnerRole.open(stage.folder.root)
    owner.close_registry()
    for index in range(2):
        owner.infer(index)
    return stage


@pytest.fixture
def prepared(_prepared: Stage, tmp_path: Path) -> Stage:
    """After `setup`: testers may enrol."""
    return _prepared.copied(tmp_path / "prepared")


@pytest.fixture
def answered(_answered: Stage, tmp_path: Path) -> Stage:
    """After `infer`, with two submissions of tester "0": the cluster may prove."""
    return _answered.copied(tmp_path / "answered")
