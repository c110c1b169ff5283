"""Proving workers on a real local Ray: the loss of one costs a retry, not the campaign."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pvcnn.campaign import auditor, pool
from pvcnn.campaign.aggregator import aggregate_campaign
from pvcnn.campaign.folder import CampaignFolder
from pvcnn.campaign.submission import Proceedings
from pvcnn.errors import CampaignError
from tests.campaign.tiny import Played

#: Processor seconds after which a worker that was just given a submission is in the middle of it.
_BUSY_SECONDS = 0.03


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with pool.local_ray(2):
        yield


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


def outcome_path(folder: CampaignFolder, index: int) -> Path:
    submission = Proceedings.read(folder.public).submission(folder.public, index)
    return folder.outcome(submission.context)


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_busy(process: int, start: float) -> None:
    deadline = time.monotonic() + 20
    while processor_seconds(process) - start < _BUSY_SECONDS:
        assert time.monotonic() < deadline, "the worker never began"
        time.sleep(0.001)


def test_a_killed_worker_costs_one_retry(unproved: CampaignFolder) -> None:
    killed: list[tuple[int, int]] = []
    events: list[pool.Event] = []

    def kill_the_first(event: pool.Event) -> None:
        events.append(event)
        if event.kind == "started" and not killed:
            wait_until_busy(event.worker, processor_seconds(event.worker))
            os.kill(event.worker, signal.SIGKILL)
            killed.append((event.index, event.worker))
            assert not outcome_path(unproved, event.index).exists(), "killed too late to show anything"

    outcomes = pool.prove_all(unproved.root, range(4), workers=2, on_event=kill_the_first)

    index, worker = killed[0]
    assert [outcome.failure for outcome in outcomes] == [""] * 4
    assert {outcome.index: outcome.attempts for outcome in outcomes} == {
        each: 2 if each == index else 1 for each in range(4)
    }
    lost = [event for event in events if event.kind == "lost"]
    assert [(event.index, event.worker) for event in lost] == [(index, worker)]
    aggregate_campaign(unproved)
    verdict = auditor.verify(unproved.root)
    assert verdict.verified
    assert verdict.proved == 4


def test_finished_proofs_are_not_made_again(unproved: CampaignFolder) -> None:
    pool.prove_all(unproved.root, range(2), workers=1)
    before = {path.name: path.read_bytes() for path in unproved.proofs.iterdir()}
    outcomes = pool.prove_all(unproved.root, range(2), workers=1)
    assert all(not outcome.failure and not outcome.seconds for outcome in outcomes)
    assert {path.name: path.read_bytes() for path in unproved.proofs.iterdir()} == before


def test_a_submission_that_kills_every_worker_is_given_up(unproved: CampaignFolder) -> None:
    def kill_index_0(event: pool.Event) -> None:
        if event.kind == "started" and event.index == 0:
            os.kill(event.worker, signal.SIGKILL)

    outcomes = pool.prove_all(unproved.root, range(2), workers=1, on_event=kill_index_0)
    assert outcomes[0].attempts == pool.MAX_ATTEMPTS
    assert "died" in outcomes[0].failure
    assert not outcomes[1].failure


def test_a_failure_is_reported_and_the_others_go_on(unproved: CampaignFolder) -> None:
    for blob in unproved.mail("cluster").iterdir():
        submission = Proceedings.read(unproved.public).submission(unproved.public, 1)
        if blob.name.startswith(submission.answer.answer_digest.hex()):
            blob.unlink()
    outcomes = pool.prove_all(unproved.root, range(3), workers=2)
    assert [bool(outcome.failure) for outcome in outcomes] == [False, True, False]


def test_workers_that_cannot_open_the_campaign_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="missing"):
        pool.prove_all(tmp_path, range(1), workers=1)


def test_asking_for_a_gpu_where_none_is_declared_fails_at_once(unproved: CampaignFolder) -> None:
    with pytest.raises(CampaignError, match="no GPU is declared"):
        pool.prove_all(unproved.root, range(1), workers=1, gpus_per_worker=0.5)
    assert not list(unproved.proofs.iterdir())


def test_everything_that_ray_starts_listens_on_loopback_only() -> None:
    """Found among the processes that share this session's token, which no others have."""
    token = f"RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}".encode()
    listening = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if token in (process / "environ").read_bytes().split(b"\0") or process.name == str(os.getpid()):
                inodes = {str(link.readlink()) for link in (process / "fd").iterdir()}
                listening += [address for address, inode in sockets() if f"socket:[{inode}]" in inodes]
    assert listening, "found nothing: the test shows nothing"
    assert all(address in LOOPBACK for address in listening), listening


#: 127.0.0.1 and the same mapped into IPv6, as the kernel prints them.
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}


def sockets() -> list[tuple[str, str]]:
    """Address and inode of every listening TCP socket."""
    rows = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                rows.append((fields[1].partition(":")[0], fields[9]))
    return rows


def test_one_session_a_process() -> None:
    with pytest.raises(CampaignError, match="open in this process already"), pool.local_ray(1):
        pass
