"""Submissions over workers: one at each, whatever dies, hangs or lies.

A worker is a Ray actor that opens keys once and then works submission after submission. What it delivers
is believed only when `accept` has checked it. A submission whose worker is lost, overdue or false goes to
a fresh worker, a few times; a worker that reports a failure of its own is believed, the submission is
listed as failed, and the others go on. Memory does not grow with the queue: indices are drawn one by one,
and no more than one submission is at a worker.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from pvcnn.compute.events import Event, Kind, Listener, Outcome, Report, WorkerName
from pvcnn.errors import CampaignError, DecodeError, SubmissionRefused, VerificationError

_POLL_SECONDS = 0.5
#: After so many seconds without any worker, and again, the listener hears that there is none.
_WAITING_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """attempts: workers that one submission may cost. each, all: seconds; None for no limit."""

    attempts: int = 3
    each: float | None = None
    all: float | None = None


@dataclass
class _Running:
    index: int
    worker: Any
    name: WorkerName
    since: float


class Dispatcher:
    """Runs once.

    hire: makes an actor with the methods `identify() -> WorkerName` and `work(index) -> Report`.
    accept: records a report's result; raises VerificationError or DecodeError if it is false, and
    SubmissionRefused if it records that there is nothing to be had.
    """

    def __init__(
        self,
        hire: Callable[[], Any],
        accept: Callable[[int, Report], None],
        *,
        workers: int,
        limits: Limits,
        listener: Listener,
    ) -> None:
        self._hire_worker = hire
        self._accept = accept
        self._workers = workers
        self._limits = limits
        self._listener = listener
        self._again: deque[int] = deque()
        self._source: Iterator[int] = iter(())
        self._starting: dict[Any, Any] = {}
        self._running: dict[Any, _Running] = {}
        self._attempts: Counter[int] = Counter()
        self._outcomes: dict[int, Outcome] = {}
        self._failed_starts = 0

    def run(self, indices: Iterable[int]) -> dict[int, Outcome]:
        """What became of each index. Raises CampaignError if workers cannot start at all."""
        self._source = iter(indices)
        end = None if self._limits.all is None else time.monotonic() + self._limits.all
        last_heard = time.monotonic()
        try:
            for _ in range(self._workers):
                self._hire()
            while self._starting or self._running:
                done, _ = ray.wait([*self._starting, *self._running], num_returns=1, timeout=_POLL_SECONDS)
                for reference in done:
                    if reference in self._starting:
                        self._started(reference)
                    else:
                        self._collect(reference)
                if end is not None and time.monotonic() > end:
                    break
                self._end_overdue()
                if self._running:
                    last_heard = time.monotonic()
                elif time.monotonic() - last_heard > _WAITING_SECONDS:
                    last_heard = time.monotonic()
                    self._say(Kind.WAITING, -1, None, "no worker could be placed yet")
        finally:
            self._end_all()
        self._give_up_the_rest()
        return self._outcomes

    def _hire(self) -> None:
        worker = self._hire_worker()
        self._starting[worker.identify.remote()] = worker

    def _started(self, reference: Any) -> None:
        worker = self._starting.pop(reference)
        try:
            name = ray.get(reference)
        except RayError as error:
            if isinstance(error, RayActorError) and error.actor_init_failed:
                raise CampaignError(f"a worker cannot open the campaign: {_last_line(error)}") from error
            self._failed_starts += 1
            if self._failed_starts > self._limits.attempts * self._workers:
                raise CampaignError(f"workers die before they have opened the campaign: {error}") from error
            self._hire()
        else:
            self._give(worker, name)

    def _next(self) -> int | None:
        return self._again.popleft() if self._again else next(self._source, None)

    def _give(self, worker: Any, name: WorkerName) -> None:
        """Gives the next submission to `worker`, or lets it go if there is none."""
        index = self._next()
        if index is None:
            ray.kill(worker)
            return
        self._attempts[index] += 1
        self._running[worker.work.remote(index)] = _Running(index, worker, name, time.monotonic())
        self._say(Kind.STARTED, index, name)

    def _collect(self, reference: Any) -> None:
        running = self._running.pop(reference)
        try:
            report: Report = ray.get(reference)
        except RayError as error:
            ray.kill(running.worker)  # it may have raised what it should not, and be alive
            self._lost(running, Kind.LOST, type(error).__name__)
            return
        self._give(running.worker, running.name)  # first, so that it works while the result is checked
        if report.failure:
            self._finish(running, report, report.failure)
            return
        try:
            self._accept(running.index, report)
        except (VerificationError, DecodeError) as error:
            self._dismiss(running.worker)
            self._lost(running, Kind.FALSE, str(error))
        except SubmissionRefused as error:
            self._finish(running, report, str(error))
        else:
            self._finish(running, report, "")

    def _dismiss(self, worker: Any) -> None:
        """Ends a worker that was found false; what it is at now is nobody's fault and starts anew."""
        for reference, running in list(self._running.items()):
            if running.worker is worker:
                del self._running[reference]
                self._attempts[running.index] -= 1
                self._again.appendleft(running.index)
        ray.kill(worker)

    def _end_overdue(self) -> None:
        if self._limits.each is None:
            return
        latest = time.monotonic() - self._limits.each
        for reference, running in list(self._running.items()):
            if running.since < latest:
                del self._running[reference]
                ray.kill(running.worker)
                self._lost(running, Kind.OVERDUE, f"more than {self._limits.each:g} s")

    def _lost(self, running: _Running, kind: Kind, detail: str) -> None:
        """A fresh worker takes the place of one that is gone, and the submission is tried again."""
        self._say(kind, running.index, running.name, detail)
        if self._attempts[running.index] < self._limits.attempts:
            self._again.appendleft(running.index)
        else:
            self._finish(running, Report(), f"given up after {self._limits.attempts} workers: {_WHY[kind]}")
        self._hire()

    def _finish(self, running: _Running, report: Report, failure: str) -> None:
        index = running.index
        self._outcomes[index] = Outcome(index, self._attempts[index], report.seconds or {}, failure)
        self._say(Kind.FAILED if failure else Kind.DONE, index, running.name, failure, report.seconds)

    def _give_up_the_rest(self) -> None:
        """Past the deadline: what was not finished is listed."""
        for index in [*self._again, *self._source]:
            self._outcomes[index] = Outcome(index, self._attempts[index], {}, "the deadline came first")
            self._say(Kind.FAILED, index, None, "the deadline came first")

    def _end_all(self) -> None:
        for worker in [*self._starting.values(), *(running.worker for running in self._running.values())]:
            ray.kill(worker)
        self._again.extendleft(running.index for running in self._running.values())
        self._starting.clear()
        self._running.clear()

    def _say(
        self,
        kind: Kind,
        index: int,
        name: WorkerName | None,
        detail: str = "",
        seconds: dict[str, float] | None = None,
    ) -> None:
        self._listener(Event(kind, index, name, detail, self._attempts[index], seconds or {}))


_WHY = {
    Kind.LOST: "each died",
    Kind.OVERDUE: "each took too long",
    Kind.FALSE: "what each delivered does not verify",
}


def _last_line(error: Exception) -> str:
    """What was raised in the other process, without its trace."""
    return str(error).strip().rpartition("\n")[2]
