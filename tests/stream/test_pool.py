"""Workers that stay, on a real local Ray: whatever one does costs its task a retry, not the stream."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pvcnn.compute.events import Report
from pvcnn.compute.session import local_session
from pvcnn.errors import CampaignError, SubmissionRefused, VerificationError
from pvcnn.stream.pool import Task, TaskFailed, WorkerPool


class Worker:
    """Does what the segment's name says; with 'once', only if nobody did before."""

    def __init__(self, marks: str = "") -> None:
        self._marks = Path(marks)
        if marks == "broken":
            raise CampaignError("no keys here")
        if (self._marks / "slow").exists():
            time.sleep(2)

    def identify(self) -> int:
        return os.getpid()

    def work(self, segment: str, index: int) -> Report:
        deed, _, once = segment.partition(" ")
        if once:
            try:
                (self._marks / f"{deed}-{index}").touch(exist_ok=False)
            except FileExistsError:
                deed = "good"
        if deed == "die":
            os._exit(1)
        if deed == "hang":
            time.sleep(600)
        if deed == "fail":
            return Report(failure="DecodeError")
        return Report(f"{deed} {os.getpid()}".encode())


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with local_session(2):
        yield


@pytest.fixture
def pool_of(tmp_path: Path) -> Iterator[Callable[..., WorkerPool]]:
    """Makes pools, all of which are closed at the end."""
    import ray

    pools = []

    def make(workers: int = 1, marks: Path | str = tmp_path, **limits: Any) -> WorkerPool:
        pools.append(WorkerPool(lambda: ray.remote(num_cpus=1)(Worker).remote(str(marks)), workers, **limits))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def accept(report: Report) -> None:
    """What ledgers do."""
    if report.result.startswith(b"lie"):
        raise VerificationError("a proof does not verify")
    if report.result.startswith(b"refuse"):
        raise SubmissionRefused("the cluster could not prove it")
    if report.result.startswith(b"disc"):
        raise OSError("no space left on device")


def test_whatever_a_worker_does_the_others_tasks_are_done(pool_of: Callable[..., WorkerPool]) -> None:
    lost: list[str] = []
    pool = pool_of(time_limit=3.0, note=lost.append)
    pool.start()
    deeds = [
        "good",
        "die once",
        "good",
        "hang once",
        "lie once",
        "fail",
        "refuse",
        "disc",
        "die",
        "lie",
        "good",
    ]
    done = [pool.submit(Task(deed, index, accept)) for index, deed in enumerate(deeds)]
    failures = {deeds[index]: str(each.exception(60) or "") for index, each in enumerate(done)}
    assert failures == {
        "good": "",
        "die once": "",
        "hang once": "",
        "lie once": "",
        "fail": "DecodeError",
        "refuse": "the cluster could not prove it",
        "disc": "OSError: no space left on device",
        "die": "given up after 3 workers, the last because it died",
        "lie": "given up after 3 workers, the last because what it delivered does not verify",
    }
    assert len(lost) == 9
    assert all(isinstance(each.exception(), TaskFailed | None) for each in done)
    first, last = (done[index].result().result for index in (0, 2))
    assert first != last, "the worker died in between"


def test_one_worker_serves_task_after_task(pool_of: Callable[..., WorkerPool]) -> None:
    pool = pool_of()
    pool.start()
    results = {pool.submit(Task("good", index, accept)).result(30).result for index in range(5)}
    assert len(results) == 1


def test_opening_keys_does_not_count_as_work(pool_of: Callable[..., WorkerPool], tmp_path: Path) -> None:
    pool = pool_of(time_limit=1.0)
    pool.start()
    (tmp_path / "slow").touch()
    assert pool.submit(Task("die once", 0, accept)).result(30).result


def test_nobody_waits_beyond_the_deadline(pool_of: Callable[..., WorkerPool]) -> None:
    pool = pool_of()
    pool.start()
    now = time.monotonic()
    hanging = pool.submit(Task("hang", 0, accept, now + 0.5))
    queued = pool.submit(Task("good", 1, accept, now + 0.5))
    unhurried = pool.submit(Task("good", 2, accept))
    assert str(hanging.exception(10)) == str(queued.exception(10)) == "the deadline came first"
    assert unhurried.result(30).result


def test_an_abandoned_pool_fails_what_it_has(pool_of: Callable[..., WorkerPool]) -> None:
    pool = pool_of()
    pool.start()
    done = [pool.submit(Task("hang", index, accept)) for index in range(3)]
    time.sleep(0.3)
    pool.abandon("interrupted")
    assert [str(each.exception(10)) for each in done] == ["interrupted"] * 3


def test_workers_without_keys_are_an_error_at_the_start(pool_of: Callable[..., WorkerPool]) -> None:
    with pytest.raises(CampaignError, match="no keys here"):
        pool_of(1, "broken").start()
