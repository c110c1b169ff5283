"""Workers that stay: actors that take task after task, for as long as the stream runs.

A thread for each actor hands it one task at a time. What an actor delivers counts once `accept` has
checked it. A task whose worker dies, hangs or lies goes to a fresh worker, a few times.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from pvcnn.compute.events import Report
from pvcnn.errors import CampaignError, DecodeError, SubmissionRefused, VerificationError

_POLL_SECONDS = 0.2


class TaskFailed(Exception):  # noqa: N818 - reads as a sentence
    """A task has no result; the message says why in public words."""


@dataclass
class Task:
    """Submission `index` of the segment in folder `segment`.

    accept     records a report's result; raises VerificationError or DecodeError if it is false, and
               SubmissionRefused if it records that there is nothing to be had
    deadline   in seconds of time.monotonic(), after which nobody waits for the result
    done       the report, or TaskFailed
    """

    segment: str
    index: int
    accept: Callable[[Report], None]
    deadline: float | None = None
    done: Future[Report] = field(default_factory=Future)


class WorkerPool:
    """hire: makes an actor with the methods `identify()` and `work(segment, index) -> Report`.

    attempts: workers that one task may cost. time_limit: seconds for one of them. note: is told of workers
    that were lost.
    """

    def __init__(
        self,
        hire: Callable[[], Any],
        workers: int,
        *,
        attempts: int = 3,
        time_limit: float | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._hire = hire
        self._attempts = attempts
        self._time_limit = time_limit
        self._note = note
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._abandoned = ""
        self._actors = [hire() for _ in range(workers)]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Waits until all workers have opened their keys. Raises CampaignError if one cannot."""
        try:
            ray.get([actor.identify.remote() for actor in self._actors])
        except RayError as error:
            last_line = str(error).strip().rpartition("\n")[2]
            raise CampaignError(f"a worker cannot open its keys: {last_line}") from error
        for actor in self._actors:
            thread = threading.Thread(target=self._serve, args=(actor,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def submit(self, task: Task) -> Future[Report]:
        """Queues a task. Its `done` is set from one of the pool's threads."""
        self._tasks.put(task)
        return task.done

    def abandon(self, reason: str) -> None:
        """All tasks fail from now on, those that are being worked at too."""
        self._abandoned = reason

    def close(self) -> None:
        """Ends the workers. Tasks that are still queued fail."""
        self._abandoned = self._abandoned or "the stream has ended"
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        for actor in [] if self._threads else self._actors:
            ray.kill(actor)

    def _serve(self, actor: Any) -> None:
        while (task := self._tasks.get()) is not None:
            actor = self._settle(task, actor)
        if actor is not None:
            ray.kill(actor)

    def _settle(self, task: Task, actor: Any) -> Any:
        """Works a task to its end and returns the actor for the next one, None if it has to be hired."""
        why = ""
        for _ in range(self._attempts):
            try:
                if actor is None:
                    actor = self._hire()
                    self._wait(actor.identify.remote(), task, None)  # opening keys is not its work
                work = actor.work.remote(task.segment, task.index)
                report: Report = self._wait(work, task, self._time_limit)
                if report.failure:
                    raise TaskFailed(report.failure)
                task.accept(report)
            except TaskFailed as failure:
                if self._abandoned or _overdue(task):
                    ray.kill(actor)  # it is at work still
                    actor = None
                task.done.set_exception(failure)
                return actor
            except SubmissionRefused as refusal:
                task.done.set_exception(TaskFailed(str(refusal)))
                return actor
            except (RayError, TimeoutError, VerificationError, DecodeError) as error:
                why = _why(error)
                self._note(f"a worker was lost, {task.segment} {task.index}: {why}")
                ray.kill(actor)
                actor = None
            except Exception as error:  # a full disc, say: the frame is flagged, and the stream goes on
                task.done.set_exception(TaskFailed(f"{type(error).__name__}: {error}"))
                return actor
            else:
                task.done.set_result(report)
                return actor
        task.done.set_exception(
            TaskFailed(f"given up after {self._attempts} workers, the last because {why}")
        )
        return actor

    def _wait(self, reference: Any, task: Task, time_limit: float | None) -> Any:
        """What the worker returns. TimeoutError past the time limit, TaskFailed where nobody waits."""
        start = time.monotonic()
        while True:
            if self._abandoned:
                raise TaskFailed(self._abandoned)
            if _overdue(task):
                raise TaskFailed("the deadline came first")
            done, _ = ray.wait([reference], timeout=_POLL_SECONDS)
            if done:
                return ray.get(reference)
            if time_limit is not None and time.monotonic() - start > time_limit:
                raise TimeoutError


def _overdue(task: Task) -> bool:
    return task.deadline is not None and time.monotonic() > task.deadline


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, RayError):
        return "it died"
    return "what it delivered does not verify"
