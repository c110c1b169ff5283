"""Proves a campaign's submissions on the open Ray session."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ray

from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.compute.dispatcher import Dispatcher, Limits
from pvcnn.compute.events import Event, Kind, Listener, Outcome, Report, tell_all
from pvcnn.compute.metrics import Metrics
from pvcnn.compute.proving_worker import ProvingWorker, SecretsSource
from pvcnn.compute.session import check_gpus
from pvcnn.errors import SubmissionRefused


@dataclass(frozen=True)
class Placement:
    """workers: processes. Of each, threads: the processors that it asks for; gpus: a fraction will do."""

    workers: int
    threads: int = 1
    gpus: float = 0.0

    @property
    def processors(self) -> int:
        """What all workers ask for."""
        return self.workers * self.threads

    @classmethod
    def on_this_machine(
        cls, submissions: int, workers: int | None = None, threads: int | None = None, gpus: float = 0.0
    ) -> Placement:
        """As many workers as asked for, or one a processor, and the processors shared out among them."""
        processors = os.cpu_count() or 1
        count = max(1, min(workers or processors // (threads or 1), submissions))
        return cls(count, threads or max(1, processors // count), gpus)

    @classmethod
    def on_cluster(
        cls, processors: int, workers: int | None = None, threads: int | None = None, gpus: float = 0.0
    ) -> Placement:
        """As many workers as asked for, or all that the cluster's processors have room for."""
        return cls(workers or max(1, processors // (threads or 1)), threads or 1, gpus)


def prove_all(
    ledger: ClusterLedger,
    directory: str | Path,
    secrets: SecretsSource,
    indices: Sequence[int],
    placement: Placement,
    *,
    limits: Limits | None = None,
    listener: Listener = lambda event: None,
) -> list[Outcome]:
    """Proves the submissions `indices`, recording each in the ledger as it comes.

    directory: the campaign's folder as workers see it. Returns an Outcome for each index, in the order
    given; one that the ledger has already costs nothing and has 0 attempts. Raises CampaignError at once
    if GPUs are asked for that the session does not have, and if workers cannot open the campaign.
    """
    check_gpus(placement.gpus)
    manifest = ledger.proceedings.manifest
    listener = tell_all(Metrics("prove", manifest.campaign, len(indices), manifest.frames), listener)
    outcomes: dict[int, Outcome] = {}
    left = []
    for index in indices:
        failure = ""
        try:
            if not ledger.recorded(index):
                left.append(index)
                continue
        except SubmissionRefused as error:
            failure = str(error)
        outcomes[index] = Outcome(index, 0, {}, failure)
        listener(Event(Kind.FAILED if failure else Kind.DONE, index, detail=failure))

    def accept(index: int, report: Report) -> None:
        ledger.record(index, report.result, report.details)

    worker = ray.remote(num_cpus=placement.threads, num_gpus=placement.gpus)(ProvingWorker)
    dispatcher = Dispatcher(
        lambda **options: worker.options(**options).remote(str(directory), secrets, placement.threads),
        accept,
        workers=min(placement.workers, len(left)),
        limits=limits or Limits(),
        listener=listener,
        take=ledger.take,
    )
    outcomes |= dispatcher.run(left)
    return [outcomes[index] for index in indices]
