"""Submissions over workers: one at each, whatever dies, hangs or lies.

A worker is a Ray actor that opens keys once and then works submission after submission. What it delivers
is believed only when `accept` has checked it. A submission whose worker is lost, overdue or false goes to
another worker, a few times; one whose worker reports a failure goes to a worker on another node, and is
listed as failed if there is none or it fails there too. Memory does not grow with the queue: indices are
drawn one by one, and no more than one submission is at a worker.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from pvcnn.compute.events import Event, Kind, Listener, Outcome, Report, Unfit, WorkerName
from pvcnn.compute.staff import Staff, Worker, well_formed
from pvcnn.compute.worklist import Worklist
from pvcnn.errors import CampaignError, DecodeError, PvcnnError, SubmissionRefused, VerificationError

_POLL_SECONDS = 0.5
#: After so many seconds without any worker, and again, the listener hears that there is none.
_WAITING_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """attempts: workers that one submission may cost. each, all: seconds; None for no limit."""

    attempts: int = 3
    each: float | None = None
    all: float | None = None


class Dispatcher:
    """Runs once.

    hire: makes an actor with the methods `identify() -> WorkerName | Unfit` and `work(index) -> Report`;
    takes Ray's options as keywords.
    accept: records a report's result; raises VerificationError or DecodeError if it is false, and
    SubmissionRefused if it records that there is nothing to be had.
    take: called before an index is given to a worker; if it raises a PvcnnError, that index has failed.
    """

    def __init__(
        self,
        hire: Callable[..., Any],
        accept: Callable[[int, Report], None],
        *,
        workers: int,
        limits: Limits,
        listener: Listener,
        take: Callable[[int], None] = lambda index: None,
    ) -> None:
        self._accept = accept
        self._take = take
        self._workers = workers
        self._limits = limits
        self._listener = listener
        self._staff = Staff(hire)
        self._work = Worklist(())
        self._attempts: Counter[int] = Counter()
        self._failures: dict[int, str] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._failed_starts = 0
        self._ever_started = False

    def run(self, indices: Iterable[int]) -> dict[int, Outcome]:
        """What became of each index. Raises CampaignError if workers cannot start at all.

        Whatever it raises, and whatever `accept`, `take` or the listener raise, no worker is left behind.
        """
        self._work = Worklist(indices)
        end = None if self._limits.all is None else time.monotonic() + self._limits.all
        last_heard = time.monotonic()
        try:
            for _ in range(self._workers):
                self._staff.hire()
            while self._staff.busy or not self._work.empty:
                if not len(self._staff):
                    self._staff.hire()
                for reference in self._staff.ready(_POLL_SECONDS):
                    self._hear(reference)
                if end is not None and time.monotonic() > end:
                    break
                self._end_overdue()
                self._settle_hopeless()
                if self._staff.started:
                    last_heard = time.monotonic()
                elif time.monotonic() - last_heard > _WAITING_SECONDS:
                    last_heard = time.monotonic()
                    self._say(Kind.WAITING, -1, None, "no worker could be placed yet")
        finally:
            for index in self._staff.end_all():
                self._work.put_back(index)
        for index in self._work.rest():
            self._finish(index, None, Report(), "the deadline came first")
        return self._outcomes

    # What comes in.

    def _hear(self, reference: Any) -> None:
        worker = self._staff.take_answer(reference)
        if worker is None:
            return
        try:
            answer = ray.get(reference)
        except RayError as error:
            self._staff.end(worker)  # it may have raised what it should not, and be alive
            if worker.name is None:
                self._did_not_start(None, _last_line(error), died=not _raised(error))
            else:
                self._lost(worker, Kind.LOST, type(error).__name__)
            return
        if worker.name is not None:
            self._reported(worker, answer)
        elif isinstance(answer, Unfit):
            self._staff.cannot_start(worker, answer)
            self._did_not_start(answer.name, answer.reason, died=False)
        else:
            self._staff.has_started(worker, answer)
            self._ever_started, self._failed_starts = True, 0
            self._give(worker)

    def _give(self, worker: Worker) -> None:
        """Gives the next submission to `worker`, or lets it go if there is none for it."""
        assert worker.name is not None
        worker.index = None
        self._settle_hopeless()
        while (index := self._work.draw(worker.name.node)) is not None:
            try:
                self._take(index)
            except PvcnnError as error:
                self._finish(index, worker.name, Report(), str(error))
                continue
            self._attempts[index] += 1
            self._staff.give(worker, index)
            self._say(Kind.STARTED, index, worker.name)
            return
        self._staff.end(worker)

    def _reported(self, worker: Worker, report: Report) -> None:
        index, name = worker.index, worker.name
        assert index is not None
        assert name is not None
        if not well_formed(report):
            self._staff.end(worker)
            self._false(index, name, "it is no report")
            return
        if report.failure:
            self._unable(index, name, report.failure)
            self._give(worker)
            return
        self._give(worker)  # first, so that it works while the result is checked
        try:
            self._accept(index, report)
        except (VerificationError, DecodeError) as error:
            self._dismiss(worker)
            self._false(index, name, str(error))
        except SubmissionRefused as error:
            self._finish(index, name, report, str(error))
        else:
            self._finish(index, name, report)

    # What goes wrong.

    def _did_not_start(self, name: WorkerName | None, reason: str, died: bool) -> None:
        """One that died is replaced. Where one cannot open the campaign there is no point in another; it
        is an error at once if none was ever better placed."""
        self._failed_starts += 1
        too_often = self._failed_starts > self._limits.attempts * self._workers
        if died:
            if too_often:
                raise CampaignError(f"workers die before they have opened the campaign: {reason}")
            self._staff.hire()
            return
        if not len(self._staff) and (too_often or not self._ever_started):
            raise CampaignError(f"no worker can open the campaign: {reason}")
        self._say(Kind.UNFIT, -1, name, reason)

    def _dismiss(self, worker: Worker) -> None:
        """Ends a worker that was found false; what it is at now is nobody's fault and starts anew."""
        if worker.index is not None:
            self._attempts[worker.index] -= 1
            self._work.put_back(worker.index)
        self._staff.end(worker)

    def _end_overdue(self) -> None:
        if self._limits.each is None:
            return
        for worker in self._staff.overdue(self._limits.each):
            self._staff.end(worker)
            self._lost(worker, Kind.OVERDUE, f"more than {self._limits.each:g} s")

    def _unable(self, index: int, name: WorkerName, failure: str) -> None:
        """The worker's machine may be at fault, so one on another node is asked, if there is one."""
        self._failures[index] = failure
        if self._attempts[index] < self._limits.attempts:
            self._say(Kind.UNABLE, index, name, failure)
            self._work.put_back(index, shun=name.node)
        else:
            self._finish(index, name, Report(), failure)

    def _false(self, index: int, name: WorkerName, detail: str) -> None:
        self._staff.was_false(name)
        self._again(index, name, Kind.FALSE, detail, shun=name.node)

    def _lost(self, worker: Worker, kind: Kind, detail: str) -> None:
        assert worker.index is not None
        self._again(worker.index, worker.name, kind, detail)

    def _again(
        self, index: int, name: WorkerName | None, kind: Kind, detail: str, shun: str | None = None
    ) -> None:
        """A fresh worker takes the place of one that is gone, and the submission is tried again."""
        self._failures.pop(index, None)
        self._say(kind, index, name, detail)
        if self._attempts[index] < self._limits.attempts:
            self._work.put_back(index, shun)
        else:
            failure = f"given up after {self._limits.attempts} workers: {_WHY[kind]} ({detail})"
            self._finish(index, name, Report(), failure)
        if not self._work.empty:
            self._staff.hire()

    def _settle_hopeless(self) -> None:
        """Where all nodes did badly: a reported failure stands, anything else is tried again."""
        for index in self._work.reconsider(self._staff.someone_elsewhere):
            if index in self._failures:
                self._work.remove(index)
                self._finish(index, None, Report(), self._failures[index])

    def _finish(self, index: int, name: WorkerName | None, report: Report, failure: str = "") -> None:
        self._failures.pop(index, None)
        self._outcomes[index] = Outcome(index, self._attempts[index], report.seconds or {}, failure)
        self._say(Kind.FAILED if failure else Kind.DONE, index, name, failure, report.seconds)

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


def _raised(error: RayError) -> bool:
    """Whether the worker's own code raised something, rather than its process having died."""
    return not isinstance(error, RayActorError) or error.actor_init_failed


def _last_line(error: Exception) -> str:
    """What was raised in the other process, without its trace."""
    return str(error).strip().rpartition("\n")[2]
