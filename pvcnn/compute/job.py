"""A job on the cluster: proves and folds what its bundle holds, and tells the log.

It runs on the machine that Ray gives to a job's entrypoint, which need not be one that workers run on,
and holds no secret: keys go from the courier to the workers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.exceptions import RayError

from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.aggregate.schemes import AnyAggregate, decode_aggregate
from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.folder import AGGREGATE, CLUSTER_CARD, CampaignFolder
from pvcnn.campaign.artefacts.signed import fingerprint
from pvcnn.campaign.roles.aggregator import aggregate_campaign, fold_here
from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.compute.bundle import bundled
from pvcnn.compute.dispatcher import Limits
from pvcnn.compute.events import Event, WorkerName, describe
from pvcnn.compute.job_events import Delivered, Folded, Happened, JobEvent, Proved, encode_line
from pvcnn.compute.key_delivery import Place, Reception, SecretsFromCourier
from pvcnn.compute.proving import Placement, prove_all
from pvcnn.compute.proving_worker import SecretsInDirectory, SecretsSource
from pvcnn.compute.session import processors
from pvcnn.errors import CampaignError, SubmissionRefused
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement

#: Takes a text of whole lines to the job's log at once.
Write = Callable[[str], None]


@dataclass(frozen=True)
class JobSettings:
    """What an operator may choose.

    secrets   a directory with the cluster's secrets on the workers' machines; empty: they are delivered
    more      another job will prove the rest, so there is nothing to fold yet
    """

    workers: int | None = None
    threads: int | None = None
    gpus: float = 0.0
    time_limit: float | None = None
    deadline: float | None = None
    secrets: str = ""
    more: bool = False


class JobLog:
    """Writes event lines, and beside them words for people; used by several threads."""

    def __init__(self, directory: Path, write: Write) -> None:
        self._registry = ClusterLedger.open(directory).proceedings.registry
        self._write = write
        self._lock = threading.Lock()

    def tell(self, event: JobEvent) -> None:
        words = ""
        if isinstance(event, Happened):
            where = f"submission {event.event.index}: " if event.event.index >= 0 else ""
            words = f"{where}{describe(event.event)}\n"
        with self._lock:
            # A line of its own even if another process of the job has just written half of one.
            self._write(f"\n{words}{encode_line(self._registry.digest(), event)}\n")

    def tell_of_submission(self, event: Event) -> None:
        """A `Listener`."""
        known = 0 <= event.index < len(self._registry.registrations)
        tester = fingerprint(self._registry.registrations[event.index].signer) if known else ""
        self.tell(Happened(event, tester))


class _TellingLedger(ClusterLedger):
    """Tells the log of every outcome that it records."""

    log: JobLog

    def record(self, index: int, outcome: bytes, details: bytes = b"") -> bool:
        try:
            new = super().record(index, outcome, details)
        except SubmissionRefused:
            self.log.tell(Delivered(index, outcome, details))
            raise
        self.log.tell(Delivered(index, outcome, details))
        return new


class _Clock:
    """When each worker was first given a submission, and when it was last heard of."""

    def __init__(self) -> None:
        self._first: dict[WorkerName, float] = {}
        self._last: dict[WorkerName, float] = {}

    def hear(self, event: Event) -> None:
        if event.worker is not None:
            self._last[event.worker] = time.monotonic()
            self._first.setdefault(event.worker, self._last[event.worker])

    def wall(self) -> float:
        """Seconds from the first to the last, without the start of workers."""
        return max(self._last.values()) - min(self._first.values()) if self._last else 0.0

    def span(self) -> float:
        """Seconds of all workers together, each from its first submission to its last event."""
        return sum(self._last.values()) - sum(self._first.values())


def run_job(directory: Path, settings: JobSettings, log: JobLog) -> None:
    """Proves what is in `directory`, the job's working directory, on the open Ray session, and folds.

    Raises what `prove_all` and `aggregate_campaign` raise.
    """
    folder = CampaignFolder(directory)
    ledger = _TellingLedger.open(directory)
    ledger.log = log
    place = Place.of(ledger.proceedings)
    signer = ClusterCard.from_bytes(folder.public.read(CLUSTER_CARD)).signer
    source: SecretsSource = SecretsFromCourier(place, signer)
    reception: AbstractContextManager[object] = Reception(place, signer, log.tell)
    if settings.secrets:
        source, reception = SecretsInDirectory(settings.secrets), nullcontext()
    placement = Placement.on_cluster(processors(), settings.workers, settings.threads, settings.gpus)
    clock = _Clock()

    def hear(event: Event) -> None:
        clock.hear(event)
        log.tell_of_submission(event)

    with reception:
        outcomes = prove_all(
            ledger,
            ".",  # every process of the job finds its machine's copy of the bundle in its working directory
            source,
            bundled(folder, list(ledger.to_prove())),
            placement,
            limits=Limits(each=settings.time_limit, all=settings.deadline),
            listener=hear,
        )
    work = sum(sum(outcome.seconds.values()) for outcome in outcomes)
    wall, span, worked = (round(1e3 * seconds) for seconds in (clock.wall(), clock.span(), work))
    log.tell(Proved(wall, span, worked, min(placement.workers, len(outcomes))))
    if not settings.more and any(not outcome.failure for outcome in outcomes):
        aggregate_campaign(folder, _fold_on_worker)
        log.tell(Folded(folder.public.read(AGGREGATE)))


def _fold_on_worker(
    key: AggregationKey, verification_key: VerificationKey, proofs: list[Proof]
) -> AnyAggregate:
    """A `Fold` that takes a processor of the cluster."""
    encoded = [(proof.statement.to_bytes(), proof.to_bytes()) for proof in proofs]
    task = ray.remote(num_cpus=1)(_fold_encoded)
    try:
        folded = ray.get(task.remote(key.to_bytes(), verification_key.to_bytes(), encoded))
    except RayError as error:
        raise CampaignError(f"the proofs could not be folded: {type(error).__name__}") from error
    return decode_aggregate(folded)


def _fold_encoded(key: bytes, verification_key: bytes, proofs: list[tuple[bytes, bytes]]) -> bytes:
    """Runs on a worker's machine."""
    return fold_here(
        AggregationKey.from_bytes(key),
        VerificationKey.from_bytes(verification_key),
        [Proof.from_bytes(proof, Statement.from_bytes(statement)) for statement, proof in proofs],
    ).to_bytes()
