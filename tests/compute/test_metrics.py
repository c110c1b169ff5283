"""What Ray's own endpoint for Prometheus says after a run in which things went wrong."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Iterator

import pytest

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.compute import session
from pvcnn.compute.events import Event, Kind, WorkerName
from pvcnn.compute.metrics import Metrics
from pvcnn.compute.proving import Placement, prove_all
from pvcnn.compute.proving_worker import SecretsInDirectory

CAMPAIGN = b"metrics." * 4
WORKER = WorkerName("127.0.0.1", "n", 1)


@pytest.fixture(scope="module", autouse=True)
def _ray_session() -> Iterator[None]:
    """A session that reports every half second; the variable's letters are Ray's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_metrics_report_interval_ms", "500")
        with session.local_session(2):
            yield


def exported() -> list[tuple[str, str]]:
    """(name and labels, value) of every sample of ours, from the port that Ray names."""
    import ray  # after pvcnn.compute, which settles what Ray reads at its import

    (node,) = ray.nodes()
    url = f"http://127.0.0.1:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    samples = [line.rpartition(" ") for line in lines if line.startswith("ray_pvcnn")]
    return [(sample, number) for sample, _, number in samples]


def value(name: str, *labels: str) -> float | None:
    """The one sample of this name with these labels, or None."""
    found = [
        float(number)
        for sample, number in exported()
        if sample.startswith(name + "{") and all(label in sample for label in labels)
    ]
    assert len(found) < 2, found
    return found[0] if found else None


def settle(name: str, expected: float, *labels: str) -> None:
    deadline = time.monotonic() + 20
    while (seen := value(name, *labels)) != expected:
        assert time.monotonic() < deadline, f"{name} {labels}: {seen}, expected {expected}"
        time.sleep(0.2)


def test_what_happens_to_submissions_is_counted() -> None:
    metrics = Metrics("infer", CAMPAIGN, 4, frames=3)
    here = f'campaign="{CAMPAIGN[:8].hex()}"'
    settle("ray_pvcnn_queue_length", 4, here, 'work="infer"')
    for event in (
        Event(Kind.DONE, 3),  # it was answered before
        Event(Kind.STARTED, 0, WORKER),
        Event(Kind.STARTED, 1, WORKER),
        Event(Kind.FALSE, 0, WORKER, "nonsense"),
        Event(Kind.WAITING, -1),
        Event(Kind.UNFIT, -1, WORKER),
    ):
        metrics(event)
    settle("ray_pvcnn_queue_length", 2, here)
    settle("ray_pvcnn_submissions_running", 1, here)
    settle("ray_pvcnn_worker_faults_total", 1, here, 'kind="false"')
    settle("ray_pvcnn_worker_faults_total", 1, here, 'kind="unfit"')
    metrics(Event(Kind.STARTED, 0, WORKER))
    metrics(Event(Kind.DONE, 0, WORKER, seconds={"evaluate": 0.3}))
    metrics(Event(Kind.FAILED, 1, WORKER))
    settle("ray_pvcnn_submissions_settled_total", 2, here, 'result="done"')
    settle("ray_pvcnn_submissions_settled_total", 1, here, 'result="failed"')
    settle("ray_pvcnn_frames_settled_total", 6, here, 'result="done"')
    settle("ray_pvcnn_queue_length", 1, here)
    settle("ray_pvcnn_submissions_running", 0, here)
    settle("ray_pvcnn_step_seconds_spent_total", 0.3, here, 'step="evaluate"')
    settle("ray_pvcnn_step_seconds_bucket", 0, here, 'le="0.2"')
    settle("ray_pvcnn_step_seconds_bucket", 1, here, 'le="0.5"')


def test_proving_reports_itself(unproved: CampaignFolder) -> None:
    killed: list[int] = []

    def kill_the_first(event: Event) -> None:
        if event.kind is Kind.STARTED and not killed:
            assert event.worker is not None
            os.kill(event.worker.process, signal.SIGKILL)
            killed.append(event.index)

    prove_all(
        ClusterLedger.open(unproved.root),
        unproved.root,
        SecretsInDirectory(str(unproved.private("cluster"))),
        range(4),
        Placement(2),
        listener=kill_the_first,
    )
    campaign = Proceedings.read(unproved.public).manifest.campaign
    here = (f'campaign="{campaign[:8].hex()}"', 'work="prove"')
    settle("ray_pvcnn_submissions_settled_total", 4, *here, 'result="done"')
    settle("ray_pvcnn_worker_faults_total", 1, *here, 'kind="lost"')
    settle("ray_pvcnn_queue_length", 0, *here)
    settle("ray_pvcnn_step_seconds_count", 4, *here, 'step="prove"')
