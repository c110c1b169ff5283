"""Proving workers as Ray actors, and a loop that survives the loss of any of them.

An actor opens the cluster's keys once and then proves submission after submission. Proving is
idempotent (a finished proof is found by its context digest), so a submission whose worker died is
simply given to a fresh one. A worker that reports a failure of its own is believed: the submission
is listed as failed, and the others go on.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvcnn.errors import CampaignError, DependencyMissing, PvcnnError

# Ray reads these settings once, when it is imported: a token of this process's own, passed to its
# children in the environment, keeps others on this machine out and leaves no file behind; without
# clusters (the name mentions other systems, but it holds for all) Ray listens on loopback only.
if "ray" not in sys.modules:
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)

try:
    import ray
    from ray.exceptions import RayActorError
except ImportError as error:
    raise DependencyMissing("proving needs ray: pip install 'pvcnn[prover]'") from error

#: A submission whose worker died this often is given up and listed as failed.
MAX_ATTEMPTS = 3
#: Bytes of shared memory for Ray: tasks carry an index and a small report, keys are memory-mapped.
OBJECT_STORE_BYTES = 128 << 20
_POLL_SECONDS = 0.5
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class WorkerReport:
    """What a worker says of one submission. `failure` is public: it holds no value of anything secret."""

    seconds: dict[str, float]
    failure: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one submission: attempts counts the workers that it was given to."""

    index: int
    attempts: int
    seconds: dict[str, float]
    failure: str = ""


@dataclass(frozen=True)
class Event:
    """Something to show while proofs are made. kind: 'started', 'lost', 'proved' or 'failed'."""

    kind: str
    index: int
    worker: int
    detail: str = ""


class ProvingWorker:
    """The body of an actor: the cluster's role, opened once in a process of its own."""

    def __init__(self, directory: str, threads: int) -> None:
        os.environ["PVCNN_THREADS"] = str(threads)
        from pvcnn.campaign.cluster import ClusterRole

        self._role = ClusterRole.open(Path(directory))

    def process(self) -> int:
        """The worker's process id."""
        return os.getpid()

    def prove(self, index: int) -> WorkerReport:
        """Proves one submission, or says in public words why there is no proof."""
        try:
            return WorkerReport(self._role.prove(index))
        except PvcnnError as error:
            # Whatever may hold features is in the cluster's own log: only the kind of failure leaves.
            return WorkerReport({}, type(error).__name__)


@contextmanager
def local_ray(workers: int, gpus: int = 0) -> Iterator[None]:
    """A Ray head of our own on the loopback interface, stopped at the end."""
    if ray.is_initialized():
        raise CampaignError("a Ray session is open in this process already: ray.shutdown() first")
    try:
        ray.init(
            address="local",
            num_cpus=workers,
            num_gpus=gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address=_LOOPBACK,
        )
        if ray.util.get_node_ip_address() != _LOOPBACK:
            raise CampaignError("Ray was imported before pvcnn.campaign.pool and would listen to the network")
        yield
    finally:
        ray.shutdown()


def prove_all(
    directory: Path,
    indices: Sequence[int],
    *,
    workers: int,
    threads: int = 1,
    gpus_per_worker: float = 0.0,
    on_event: Callable[[Event], None] = lambda event: None,
) -> list[Outcome]:
    """Proves the submissions `indices` of the campaign in `directory` on the open Ray session.

    Returns one Outcome an index, in the order given. Raises CampaignError at once if GPUs are asked
    for that the session does not have.
    """
    if gpus_per_worker and ray.cluster_resources().get("GPU", 0) < gpus_per_worker:
        raise CampaignError("no GPU is declared on this Ray cluster: use --device cpu")
    return _Pool(directory, workers, threads, gpus_per_worker, on_event).run(indices)


class _Pool:
    def __init__(
        self,
        directory: Path,
        workers: int,
        threads: int,
        gpus_per_worker: float,
        on_event: Callable[[Event], None],
    ) -> None:
        self._arguments = (str(directory), threads)
        self._actor = ray.remote(num_cpus=1, num_gpus=gpus_per_worker)(ProvingWorker)
        self._workers = workers
        self._on_event = on_event
        self._attempts: Counter[int] = Counter()
        self._outcomes: dict[int, Outcome] = {}
        self._pending: deque[int] = deque()
        self._running: dict[Any, tuple[int, Any, int]] = {}

    def run(self, indices: Sequence[int]) -> list[Outcome]:
        self._pending.extend(indices)
        for _ in range(min(self._workers, len(indices))):
            self._start(self._actor.remote(*self._arguments))
        while self._running:
            done, _ = ray.wait(list(self._running), num_returns=1, timeout=_POLL_SECONDS)
            for reference in done:
                self._collect(reference)
        return [self._outcomes[index] for index in indices]

    def _start(self, worker: Any) -> None:
        """Gives the next submission to `worker`, or lets it go if there is none."""
        if not self._pending:
            return
        index = self._pending.popleft()
        self._attempts[index] += 1
        try:
            process = ray.get(worker.process.remote())
        except RayActorError as error:
            if error.actor_init_failed:
                raise CampaignError(f"a worker cannot open the campaign: {_last_line(error)}") from error
            self._lost(index, 0, error)
            return
        self._running[worker.prove.remote(index)] = (index, worker, process)
        self._on_event(Event("started", index, process))

    def _collect(self, reference: Any) -> None:
        index, worker, process = self._running.pop(reference)
        try:
            report: WorkerReport = ray.get(reference)
        except RayActorError as error:
            self._lost(index, process, error)
            return
        self._finish(index, process, report)
        self._start(worker)

    def _lost(self, index: int, process: int, error: RayActorError) -> None:
        """The worker died: a fresh one takes its place, and the submission is tried again."""
        self._on_event(Event("lost", index, process, type(error).__name__))
        if self._attempts[index] < MAX_ATTEMPTS:
            self._pending.appendleft(index)
        else:
            self._finish(index, process, WorkerReport({}, f"{MAX_ATTEMPTS} workers died proving it"))
        self._start(self._actor.remote(*self._arguments))

    def _finish(self, index: int, process: int, report: WorkerReport) -> None:
        self._outcomes[index] = Outcome(index, self._attempts[index], report.seconds, report.failure)
        self._on_event(Event("failed" if report.failure else "proved", index, process, report.failure))


def _last_line(error: Exception) -> str:
    """What was raised in the other process, without its trace."""
    return str(error).strip().rpartition("\n")[2]
