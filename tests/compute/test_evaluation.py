"""Evaluating workers on a real local Ray: one answer for each submission, and no secret on the way."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pvcnn.campaign.artefacts.folder import ANSWERS, CampaignFolder
from pvcnn.campaign.artefacts.identity import LOG_NAME
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.owner_ledger import OwnerLedger
from pvcnn.campaign.verification.auditor import verify
from pvcnn.compute import session
from pvcnn.compute.dispatcher import Limits
from pvcnn.compute.evaluation import infer_all
from pvcnn.compute.events import Event, Kind, Listener, Outcome
from pvcnn.compute.in_process import infer_here
from pvcnn.errors import CampaignError
from tests.campaign.dishonest import FRAME, encrypted, smuggle
from tests.campaign.tiny import prepare, prove_all, submit
from tests.compute import leaks

HONEST, HOSTILE = 4, 1
COUNT = HONEST + HOSTILE
BATCH = 2


@pytest.fixture(scope="module")
def _registered(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    folder, _, _, fingerprint = prepare(tmp_path_factory.mktemp("registered") / "campaign", batch=BATCH)
    submit(folder, fingerprint, testers=2, each=2, seed=5, batch=BATCH)
    smuggle(folder, "hostile", encrypted(folder, FRAME), b"\xa1\x61")
    OwnerRole.open(folder.root).close_registry()
    return folder


@pytest.fixture
def registered(_registered: CampaignFolder, tmp_path: Path) -> CampaignFolder:
    """A closed registry of five submissions; the second frame of one is no ciphertext. No answers yet."""
    shutil.copytree(_registered.root, tmp_path / "campaign")
    return CampaignFolder(tmp_path / "campaign")


@pytest.fixture(scope="module", autouse=True)
def _ray_session() -> Iterator[None]:
    with session.local_session(2):
        yield


def infer(
    folder: CampaignFolder, workers: int, listener: Listener = lambda event: None, **limits: float
) -> list[Outcome]:
    ledger = OwnerLedger.open(folder.root)
    return infer_all(ledger, folder.root, range(COUNT), workers, limits=Limits(**limits), listener=listener)  # type: ignore[arg-type]


def letters(folder: CampaignFolder) -> set[str]:
    return {path.name for path in folder.mail("cluster").iterdir()} - {"weights.sealed"}


def reasons(folder: CampaignFolder) -> dict[int, str]:
    answers = {index: OwnerLedger.open(folder.root).answered(index) for index in range(COUNT)}
    return {index: answer.reason for index, answer in answers.items() if answer and answer.refused}


def test_a_killed_worker_costs_one_retry_and_the_campaign_verifies(registered: CampaignFolder) -> None:
    killed: list[int] = []
    events: list[Event] = []

    def kill_the_first(event: Event) -> None:
        events.append(event)
        if event.kind is Kind.STARTED and not killed:
            assert event.worker is not None
            os.kill(event.worker.process, signal.SIGKILL)
            killed.append(event.index)

    outcomes = infer(registered, 2, kill_the_first)
    assert [outcome.failure for outcome in outcomes] == [""] * COUNT
    assert [outcome.attempts for outcome in outcomes] == [1 + (i in killed) for i in range(COUNT)]
    assert [event.index for event in events if event.kind is Kind.LOST] == killed
    assert len(letters(registered)) == HONEST, "one evaluation of each upload leaves the owner"
    prove_all(registered, COUNT)
    aggregate_campaign(registered)
    verdict = verify(registered.root)
    assert (verdict.proved, verdict.refused) == (HONEST, HOSTILE)


def digests(folder: CampaignFolder) -> list[bytes]:
    proceedings = Proceedings.read(folder.public)
    return [proceedings.submission(folder.public, index).answer.features_digest for index in range(COUNT)]


def test_workers_and_one_process_answer_alike(registered: CampaignFolder, tmp_path: Path) -> None:
    shutil.copytree(registered.root, tmp_path / "serial")
    serial = CampaignFolder(tmp_path / "serial")
    one = infer_here(OwnerRole.open(serial.root), range(COUNT))
    many = infer(registered, 2)
    assert [(each.index, each.attempts, each.failure) for each in one] == [
        (each.index, each.attempts, each.failure) for each in many
    ]
    assert reasons(serial) == reasons(registered)
    assert len(reasons(serial)) == HOSTILE, "a refusal is an answer, and no failure"
    logs = [folder.private("owner") / LOG_NAME for folder in (serial, registered)]
    assert logs[0].read_text() == logs[1].read_text()
    assert "frame 1: " in logs[1].read_text(), "which frame it was, the owner's own log says"
    assert not letters(serial) & letters(registered), "each is sealed afresh"
    assert digests(serial) == digests(registered), "what is sealed is the same: an audit can repeat it"
    assert [each.seconds.keys() for each in many] == [{"evaluate"}] * COUNT


@pytest.mark.parametrize("how", ["here", "workers"])
def test_what_was_not_delivered_fails_alone_and_can_be_made_up_for(
    registered: CampaignFolder, how: str
) -> None:
    def all_of_them() -> list[Outcome]:
        here = how == "here"
        return infer_here(OwnerRole.open(registered.root), range(COUNT)) if here else infer(registered, 2)

    upload = OwnerLedger.open(registered.root).proceedings.registry.registrations[1].upload_digest
    path = registered.mail("owner") / f"{upload.hex()}.sealed"
    blob = path.read_bytes()
    path.unlink()
    outcomes = all_of_them()
    assert [bool(outcome.failure) for outcome in outcomes] == [False, True, False, False, False]
    assert path.name in outcomes[1].failure
    assert registered.public.indices(ANSWERS) == {0, 2, 3, 4}
    before = {index: registered.public.read_indexed(ANSWERS, index) for index in (0, 2, 3, 4)}
    path.write_bytes(blob)
    assert [outcome.attempts for outcome in all_of_them()] == [0, 1, 0, 0, 0]
    assert before == {index: registered.public.read_indexed(ANSWERS, index) for index in before}


def test_past_the_deadline_the_rest_is_listed(registered: CampaignFolder) -> None:
    outcomes = infer_here(OwnerRole.open(registered.root), range(COUNT), end=0.0)
    assert {outcome.failure for outcome in outcomes} == {"the deadline came first"}
    assert {outcome.failure for outcome in infer(registered, 1, all=0.0)} == {"the deadline came first"}
    assert not registered.public.indices(ANSWERS)


def test_a_machine_without_the_owners_folder_evaluates_nothing(
    registered: CampaignFolder, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(registered.root, elsewhere, ignore=shutil.ignore_patterns("private"))
    with pytest.raises(CampaignError, match="private/owner: the owner's folder must be on storage"):
        infer_all(OwnerLedger.open(registered.root), elsewhere, range(COUNT), 1)
    assert not letters(registered)
    assert not (elsewhere / "private").exists()


def test_ray_never_gets_a_secret_of_the_owners(registered: CampaignFolder) -> None:
    """Neither what it writes for a session, nor the processes that hand out work and keep arguments."""
    import ray  # after pvcnn.compute, which settles what Ray reads at its import

    node = ray.nodes()[0]
    directory = Path(node["RayletSocketName"]).parents[1]
    carriers = leaks.processes("gcs_server", directory.name) + leaks.processes("/raylet", directory.name)
    wanted = leaks.owners(registered)
    seen: dict[int, set[bytes]] = {}

    def look(event: Event) -> None:
        if event.kind is Kind.STARTED and len(seen) < len(carriers):  # while arguments are on their way
            for process in carriers:
                seen[process] = leaks.in_memory(process, wanted)

    infer(registered, 2, look)
    assert len(seen) >= 2, "no process was found: the test shows nothing"
    assert set().union(*seen.values()) == set()
    assert leaks.in_files(directory, wanted) == {}

    planted = secrets.token_bytes(64)

    class Careless:
        def __init__(self, secret: bytes) -> None:
            self.secret = secret

        def tell(self) -> None:
            print(self.secret.hex(), flush=True)

    actor: Any = ray.remote(num_cpus=0)(Careless).remote(planted)
    ray.get(actor.tell.remote())
    pieces = leaks.needles(planted)
    assert leaks.in_files(directory, pieces), "a secret that is printed would go unnoticed"
    assert any(leaks.in_memory(process, pieces) for process in carriers), "an argument would go unnoticed"


def test_nobody_without_its_token_gets_into_the_owners_session() -> None:
    """The cluster's commands, in processes of their own, draw tokens of their own."""
    import ray

    address = ray.get_runtime_context().gcs_address
    code = """
import sys, pvcnn.compute
from pvcnn.compute.session import cluster_session
with cluster_session(sys.argv[1]):
    print("in")
"""
    foreign = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    foreign["RAY_NUM_REDIS_GET_RETRIES"] = "2"  # it asks again for 20 s otherwise

    def enter(environment: dict[str, str]) -> str:
        command = [sys.executable, "-c", code, address]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout

    assert "in" not in enter(foreign)
    assert "in" in enter(dict(os.environ)), "with the token it is let in: the test shows something"
