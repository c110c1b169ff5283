"""The workers that a dispatcher has: who is at what, and where the next one had better not be."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from pvcnn.compute.events import Report, Unfit, WorkerName

#: For so long a worker that was asked for is expected to come.
_START_SECONDS = 30.0
_NODE_LABEL = "ray.io/node-id"


@dataclass(eq=False)
class Worker:
    """name: None until it has opened its keys. index: the submission that it is at. since: it began that."""

    actor: Any
    since: float
    name: WorkerName | None = None
    index: int | None = None


class Staff:
    """Every worker has one answer to give: to who it is, or with what became of its submission.

    hire: makes an actor with Ray's options as keywords.
    """

    def __init__(self, hire: Callable[..., Any]) -> None:
        self._make = hire
        self._members: set[Worker] = set()
        self._awaited: dict[Any, Worker] = {}
        self._good_nodes: set[str] = set()
        self._unfit_nodes: set[str] = set()
        self._false_nodes: set[str] = set()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def busy(self) -> bool:
        """Whether some worker is at a submission."""
        return any(worker.index is not None for worker in self._members)

    @property
    def started(self) -> bool:
        """Whether some worker has opened its keys."""
        return any(worker.name for worker in self._members)

    def someone_elsewhere(self, nodes: set[str]) -> bool:
        """Whether a worker has started on a node that is not among `nodes`, or may be about to."""
        recently = time.monotonic() - _START_SECONDS
        return any(
            worker.name.node not in nodes if worker.name else worker.since > recently
            for worker in self._members
        )

    def hire(self) -> None:
        """A worker away from nodes that cannot open the campaign, and from false ones if there are others."""
        avoided = self._avoided()
        options = {"label_selector": {_NODE_LABEL: f"!in({','.join(sorted(avoided))})"}} if avoided else {}
        worker = Worker(self._make(**options), time.monotonic())
        self._members.add(worker)
        self._awaited[worker.actor.identify.remote()] = worker

    def _avoided(self) -> set[str]:
        if not self._false_nodes:
            return self._unfit_nodes
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        others = (self._good_nodes & alive) - self._false_nodes
        return self._unfit_nodes | self._false_nodes if others else self._unfit_nodes

    def has_started(self, worker: Worker, name: WorkerName) -> None:
        worker.name = name
        self._good_nodes.add(name.node)

    def cannot_start(self, worker: Worker, unfit: Unfit) -> None:
        """Ends it; no other will be hired on its node."""
        self._unfit_nodes.add(unfit.name.node)
        self.end(worker)

    def was_false(self, name: WorkerName) -> None:
        """None will be hired on its node while there are others."""
        self._false_nodes.add(name.node)

    def give(self, worker: Worker, index: int) -> None:
        worker.index, worker.since = index, time.monotonic()
        self._awaited[worker.actor.work.remote(index)] = worker

    def ready(self, timeout: float) -> list[Any]:
        """Every answer that has come in, after at most `timeout` seconds: none waits for the others."""
        ready, pending = ray.wait(list(self._awaited), num_returns=1, timeout=timeout)
        if ready and pending:
            ready += ray.wait(pending, num_returns=len(pending), timeout=0)[0]
        return list(ready)

    def take_answer(self, reference: Any) -> Worker | None:
        """Whose answer it is; None if that worker was ended since."""
        return self._awaited.pop(reference, None)

    def overdue(self, seconds: float) -> list[Worker]:
        """Workers that are at their submission for longer and have not answered meanwhile."""
        latest = time.monotonic() - seconds
        return [
            worker
            for reference, worker in self._awaited.items()
            if worker.index is not None and worker.since < latest and not ray.wait([reference], timeout=0)[0]
        ]

    def end(self, worker: Worker) -> None:
        """Kills it, and forgets its answer."""
        self._members.discard(worker)
        self._awaited = {reference: each for reference, each in self._awaited.items() if each is not worker}
        with suppress(RayError):
            ray.kill(worker.actor)

    def end_all(self) -> list[int]:
        """Kills all; returns the submissions that they were at."""
        left = [worker.index for worker in self._members if worker.index is not None]
        for worker in list(self._members):
            self.end(worker)
        return left


def well_formed(report: Report) -> bool:
    """Whether it is a report at all: a worker may deliver anything."""
    return (
        isinstance(report, Report)
        and isinstance(report.result, bytes)
        and isinstance(report.details, bytes)
        and isinstance(report.failure, str)
        and isinstance(report.seconds, dict | None)
        and all(
            isinstance(step, str) and isinstance(value, float)
            for step, value in (report.seconds or {}).items()
        )
    )
