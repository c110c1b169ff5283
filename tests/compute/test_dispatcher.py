"""The dispatcher's own decisions, with workers that do nothing but what a test tells them."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pvcnn.compute import dispatcher
from pvcnn.compute.dispatcher import Dispatcher, Limits
from pvcnn.compute.events import Event, Kind, Listener, Outcome, Report, Unfit, WorkerName
from pvcnn.compute.proving_worker import this_worker
from pvcnn.errors import CampaignError, SubmissionRefused, VerificationError
from tests.compute.nodes import Nodes, gone, nodes, wait_for_processors

# isort: split
import ray

Deed = Callable[[int, WorkerName], Any]
GOOD = Report(b"good", seconds={"work": 0.1})


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    """Two nodes with a processor each."""
    with nodes() as started:
        started.add()
        yield started


@pytest.fixture(autouse=True)
def free(cluster: Nodes) -> None:
    wait_for_processors(2)


class Scripted:
    def __init__(self, deed: Deed, opening: Callable[[WorkerName], WorkerName | Unfit]) -> None:
        self._deed = deed
        self._name = opening(this_worker())

    def identify(self) -> WorkerName | Unfit:
        return self._name

    def work(self, index: int) -> Any:
        return self._deed(index, this_worker())


def good(index: int, name: WorkerName) -> Report:
    return GOOD


def accept_good(index: int, report: Report) -> None:
    if report.result != b"good":
        raise VerificationError("it is not good")


def run(
    deed: Deed,
    indices: Any,
    workers: int = 2,
    *,
    opening: Callable[[WorkerName], WorkerName | Unfit] = lambda name: name,
    accept: Callable[[int, Report], None] = accept_good,
    limits: Limits | None = None,
    listener: Listener = lambda event: None,
    take: Callable[[int], None] = lambda index: None,
) -> dict[int, Outcome]:
    actor = ray.remote(num_cpus=1)(Scripted)
    return Dispatcher(
        lambda **options: actor.options(**options).remote(deed, opening),
        accept,
        workers=workers,
        limits=limits or Limits(),
        listener=listener,
        take=take,
    ).run(indices)


def together(directory: Path) -> Callable[[WorkerName], WorkerName]:
    """Nobody begins before both machines have a worker."""

    def wait(name: WorkerName) -> WorkerName:
        (directory / name.node).touch()
        while len(list(directory.iterdir())) < 2:
            time.sleep(0.01)
        return name

    return wait


def failures(outcomes: dict[int, Outcome]) -> dict[int, str]:
    return {index: outcome.failure for index, outcome in outcomes.items() if outcome.failure}


@pytest.mark.parametrize(
    ("where", "error"), [("listener", RuntimeError), ("accept", KeyboardInterrupt), ("take", OSError)]
)
def test_whatever_is_raised_leaves_no_worker_behind(where: str, error: type[BaseException]) -> None:
    processes: set[int] = set()

    def note(event: Event) -> None:
        if event.worker:
            processes.add(event.worker.process)
        if where == "listener" and event.kind is Kind.DONE:
            raise error

    def raise_later(index: int, report: Report | None = None) -> None:
        if index == 2:
            raise error

    with pytest.raises(error):
        run(
            good,
            range(8),
            listener=note,
            accept=raise_later if where == "accept" else accept_good,
            take=raise_later if where == "take" else lambda index: None,
        )
    assert processes
    assert all(map(gone, processes))


def test_workers_without_a_place_delay_nothing() -> None:
    start = time.monotonic()
    assert not failures(run(good, range(4), workers=6))
    assert time.monotonic() - start < 20
    # Had the others been waited for, each would have been started when there was room for it.
    wait_for_processors(2)


def test_without_any_place_the_listener_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "_WAITING_SECONDS", 0.5)
    actor: Any = ray.remote(num_cpus=1)(Scripted)
    blockers = [actor.remote(good, lambda name: name) for _ in range(2)]
    ray.get([blocker.identify.remote() for blocker in blockers])
    kinds = []

    def make_room(event: Event) -> None:
        kinds.append(event.kind)
        if event.kind is Kind.WAITING and kinds.count(Kind.WAITING) == 2:
            ray.kill(blockers[0])

    assert not failures(run(good, range(1), listener=make_room))
    assert kinds[:2] == [Kind.WAITING] * 2
    ray.kill(blockers[1])


def test_what_has_come_in_is_not_overdue() -> None:
    """While one result takes long to check, the other workers' results come in and wait."""

    def slow_once(index: int, report: Report) -> None:
        if index == 0:
            time.sleep(2.5)

    outcomes = run(good, range(6), accept=slow_once, limits=Limits(each=1.5))
    assert not failures(outcomes)
    assert {outcome.attempts for outcome in outcomes.values()} == {1}


class Malicious:
    def __reduce__(self) -> Any:
        return (int, ("not a number",))


def junk() -> list[Any]:
    """As whoever has taken over a worker may deliver it."""
    return [
        None,
        "good",
        Report(result="good"),  # type: ignore[arg-type]
        Report(b"good", details=7),  # type: ignore[arg-type]
        Report(b"good", seconds={"work": "long"}),  # type: ignore[dict-item]
        Report(b"good", seconds=[1.0]),  # type: ignore[arg-type]
        Report(failure=b"bytes"),  # type: ignore[arg-type]
        Malicious(),
    ]


def test_what_is_no_report_costs_a_worker(tmp_path: Path) -> None:
    def once(index: int, name: WorkerName) -> Any:
        mark = tmp_path / str(index)
        if index < len(junk()) and not mark.exists():
            mark.touch()
            return junk()[index]
        return GOOD

    events: list[Event] = []
    count = len(junk())
    outcomes = run(once, range(count + 2), listener=events.append)
    assert not failures(outcomes)
    assert [outcomes[index].attempts for index in range(count + 2)] == [2] * count + [1, 1]
    bad = [event.index for event in events if event.kind in (Kind.FALSE, Kind.LOST)]
    assert sorted(bad) == list(range(count))


def test_what_a_worker_raises_stays_with_it(tmp_path: Path) -> None:
    """No PvcnnError: the worker is replaced, and what was raised, which may hold features, is not told."""

    def stumble(index: int, name: WorkerName) -> Report:
        raise OSError("pixel 7 is 0.25")

    events: list[Event] = []
    outcomes = run(stumble, range(1), listener=events.append)
    assert outcomes[0].attempts == 3
    assert "OSError" in outcomes[0].failure
    assert not any("pixel" in str(event) for event in events)


def test_a_machine_that_fails_at_everything_takes_nothing_away(cluster: Nodes, tmp_path: Path) -> None:
    """It is the fastest of all, so it would soon have failed at the whole queue."""
    head = cluster.head

    def sick(index: int, name: WorkerName) -> Report:
        if name.node == head:
            return Report(failure="the disk is gone")
        time.sleep(0.1)
        return GOOD

    outcomes = run(sick, range(8), opening=together(tmp_path))
    assert not failures(outcomes)
    assert any(outcome.attempts == 2 for outcome in outcomes.values())


def test_what_fails_on_every_machine_has_failed(tmp_path: Path) -> None:
    def fail_at_2(index: int, name: WorkerName) -> Report:
        time.sleep(0.1)
        return Report(failure=f"no answer to {index}") if index == 2 else GOOD

    events: list[Event] = []
    outcomes = run(fail_at_2, range(8), opening=together(tmp_path), listener=events.append)
    assert failures(outcomes) == {2: "no answer to 2"}
    tried_on = [event.worker.node for event in events if event.kind is Kind.UNABLE and event.worker]
    assert len(tried_on) == len(set(tried_on)) == outcomes[2].attempts == 2


def test_the_honest_machine_ends_what_a_liar_began(cluster: Nodes, tmp_path: Path) -> None:
    head = cluster.head

    def lie(index: int, name: WorkerName) -> Report:
        time.sleep(0.1)
        return Report(b"lie") if name.node == head else GOOD

    events: list[Event] = []
    outcomes = run(lie, range(8), opening=together(tmp_path), listener=events.append)
    assert not failures(outcomes)
    assert head not in {event.worker.node for event in events if event.kind is Kind.DONE and event.worker}
    assert [event.worker.node for event in events if event.kind is Kind.FALSE and event.worker] == [head]


def test_liars_alone_are_tried_a_few_times() -> None:
    outcomes = run(lambda index, name: Report(b"lie"), range(2))
    assert {outcome.attempts for outcome in outcomes.values()} == {3}
    assert all("does not verify (it is not good)" in failure for failure in failures(outcomes).values())


def test_an_unfit_machine_is_left_out(cluster: Nodes, tmp_path: Path) -> None:
    head = cluster.head
    wait = together(tmp_path)

    def open_elsewhere(name: WorkerName) -> WorkerName | Unfit:
        wait(name)
        return Unfit(name, "no folder here") if name.node == head else name

    def slow(index: int, name: WorkerName) -> Report:
        time.sleep(0.5)
        return GOOD

    events: list[Event] = []
    assert not failures(run(slow, range(3), opening=open_elsewhere, listener=events.append))
    unfit = [event for event in events if event.kind is Kind.UNFIT]
    assert [(event.worker and event.worker.node, event.detail) for event in unfit] == [
        (head, "no folder here")
    ]


def test_where_all_are_unfit_it_is_an_error_at_once() -> None:
    with pytest.raises(CampaignError, match="no worker can open the campaign: no folder here"):
        run(good, range(3), opening=lambda name: Unfit(name, "no folder here"))


def test_a_worker_that_cannot_be_made_is_an_error_at_once() -> None:
    def without_package(name: WorkerName) -> WorkerName:
        raise ModuleNotFoundError("No module named 'pvcnn'")

    with pytest.raises(CampaignError, match="No module named 'pvcnn'"):
        run(good, range(3), opening=without_package)


def test_dying_before_the_first_word_is_forgiven_a_few_times(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def die_once(name: WorkerName) -> WorkerName:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return name

    assert not failures(run(good, range(3), workers=1, opening=die_once))

    def die(name: WorkerName) -> WorkerName:
        os.kill(os.getpid(), signal.SIGKILL)
        return name

    with pytest.raises(CampaignError, match="workers die before they have opened the campaign"):
        run(good, range(3), workers=1, opening=die)


def test_what_cannot_be_taken_fails_alone() -> None:
    def take(index: int) -> None:
        if index == 1:
            raise VerificationError("another answer was taken before")

    outcomes = run(good, range(3), take=take)
    assert failures(outcomes) == {1: "another answer was taken before"}
    assert [outcomes[index].attempts for index in range(3)] == [1, 0, 1]


def test_what_is_refused_is_listed_and_not_tried_again() -> None:
    def refuse(index: int, report: Report) -> None:
        raise SubmissionRefused("the cluster refused it")

    outcomes = run(good, range(2), accept=refuse)
    assert failures(outcomes) == dict.fromkeys(range(2), "the cluster refused it")
    assert {outcome.attempts for outcome in outcomes.values()} == {1}


def test_indices_are_drawn_as_workers_come_free() -> None:
    drawn = itertools.count()
    settled = 0
    ahead = []

    def draw() -> Iterator[int]:
        for _ in range(20):
            index = next(drawn)
            ahead.append(index + 1 - settled)
            yield index

    def count(event: Event) -> None:
        nonlocal settled
        settled += event.kind is Kind.DONE

    assert not failures(run(good, draw(), listener=count))
    assert max(ahead) <= 2 + 2  # at each of two workers, one just delivered, and one looked at


def test_past_the_deadline_nothing_more_is_taken() -> None:
    taken: list[int] = []

    def slow(index: int, name: WorkerName) -> Report:
        time.sleep(60)
        return GOOD

    outcomes = run(slow, range(50), take=taken.append, limits=Limits(all=3.0))
    assert failures(outcomes) == dict.fromkeys(range(50), "the deadline came first")
    assert len(taken) <= 2
