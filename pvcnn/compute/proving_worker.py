"""The body of a proving actor: the cluster's keys, opened once in a process of its own."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import ray

from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.compute.events import Report, Unfit, WorkerName
from pvcnn.errors import CampaignError, PvcnnError


class SecretsSource(Protocol):
    """Says where a worker gets the cluster's secrets; travels to it and holds none itself."""

    def load(self) -> ClusterSecrets:
        """Called in the worker's process."""


@dataclass(frozen=True)
class SecretsInDirectory:
    """A directory that every worker's machine has: DIR/private/cluster, or a mounted copy."""

    path: str

    def load(self) -> ClusterSecrets:
        return ClusterSecrets.load_from(Path(self.path))


def this_worker() -> WorkerName:
    """The name of the process that asks."""
    context = ray.get_runtime_context()
    return WorkerName(ray.util.get_node_ip_address(), context.get_node_id(), os.getpid())


def _load_kernels() -> None:
    """Compiles what this machine has not compiled yet while its other workers wait.

    What is compiled, all of them load at once: one after the other, many would take long to start.
    """
    from pvcnn.algebra import warmup
    from pvcnn.algebra.backends import backend

    sources = Path(warmup.__file__).parent
    newest = max(path.stat().st_mtime_ns for path in sources.rglob("*.py"))
    state = f"{sources} {newest} {backend().layout} {sys.version}".encode()
    lock = Path(tempfile.gettempdir()) / f"pvcnn-kernels-{os.getuid()}.lock"
    with os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if handle.read() != state:
            warmup.compile_kernels()
            handle.seek(0)
            handle.truncate()
            handle.write(state)
            return
    warmup.compile_kernels()


class ProvingWorker:
    """directory: the campaign's folder as the worker's machine sees it."""

    def __init__(self, directory: str, secrets: SecretsSource, threads: int) -> None:
        os.environ["PVCNN_THREADS"] = str(threads)
        self._unfit = ""
        try:
            self._open(Path(directory), secrets)
        except PvcnnError as error:
            self._unfit = f"on {this_worker().host}: {error}"

    def _open(self, directory: Path, secrets: SecretsSource) -> None:
        from pvcnn.campaign.roles.prover import SubmissionProver

        if not directory.is_dir():
            raise CampaignError(
                f"there is no {directory}: the folder must be on storage that all machines "
                "share, or use `pvcnn submit`, which sends what workers need"
            )
        _load_kernels()
        try:
            opened = secrets.load()
        except CampaignError as error:
            raise CampaignError(
                f"{error}, or, on a cluster, each machine must have the cluster's keys: mount them "
                "and name the place with --secrets, or use `pvcnn submit`"
            ) from error
        self._prover = SubmissionProver.open(directory, opened)

    def identify(self) -> WorkerName | Unfit:
        name = this_worker()
        return Unfit(name, self._unfit) if self._unfit else name

    def work(self, index: int) -> Report:
        """Proves one submission, or says in public words why there is no proof."""
        try:
            examined = self._prover.examine(index)
        except PvcnnError as error:
            # Whatever may hold features is sealed in `details`: only the kind of any other failure leaves.
            return Report(failure=type(error).__name__)
        return Report(examined.outcome, examined.details, examined.seconds)
