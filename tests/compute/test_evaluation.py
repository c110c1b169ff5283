"""Evaluating workers on a real local Ray: one answer for each submission, and no secret on the way."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pvcnn.campaign.aggregator import aggregate_campaign
from pvcnn.campaign.auditor import verify
from pvcnn.campaign.folder import CampaignFolder
from pvcnn.campaign.owner import OwnerRole
from pvcnn.campaign.owner_ledger import OwnerLedger
from pvcnn.compute import session
from pvcnn.compute.evaluation import infer_all
from pvcnn.compute.events import Event, Kind
from tests.campaign.tiny import prepare, prove_all, submit

COUNT = 4


@pytest.fixture(scope="module")
def _registered(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """A closed registry of four submissions, of which the third upload does not open. No answers yet."""
    folder, _, _, fingerprint = prepare(tmp_path_factory.mktemp("registered") / "campaign")
    submit(folder, fingerprint, testers=2, each=2, seed=5)
    OwnerRole.open(folder.root).close_registry()
    return folder


@pytest.fixture
def registered(_registered: CampaignFolder, tmp_path: Path) -> CampaignFolder:
    shutil.copytree(_registered.root, tmp_path / "campaign")
    return CampaignFolder(tmp_path / "campaign")


@pytest.fixture(scope="module", autouse=True)
def _ray_session() -> Iterator[None]:
    with session.local_session(2):
        yield


def letters(folder: CampaignFolder) -> set[str]:
    return {path.name for path in folder.mail("cluster").iterdir()} - {"weights.sealed"}


def test_a_killed_worker_costs_one_retry_and_the_campaign_verifies(registered: CampaignFolder) -> None:
    killed: list[int] = []
    events: list[Event] = []

    def kill_the_first(event: Event) -> None:
        events.append(event)
        if event.kind is Kind.STARTED and not killed:
            assert event.worker is not None
            os.kill(event.worker.process, signal.SIGKILL)
            killed.append(event.index)

    ledger = OwnerLedger.open(registered.root)
    outcomes = infer_all(ledger, registered.root, range(COUNT), 2, listener=kill_the_first)
    assert [outcome.failure for outcome in outcomes] == [""] * COUNT
    assert [outcome.attempts for outcome in outcomes] == [1 + (i in killed) for i in range(COUNT)]
    assert [event.index for event in events if event.kind is Kind.LOST] == killed
    assert len(letters(registered)) == COUNT, "one evaluation of each upload leaves the owner"
    assert not prove_all(registered, COUNT)
    aggregate_campaign(registered)
    assert verify(registered.root).proved == COUNT
