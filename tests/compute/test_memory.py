"""Memory: keys are in it once for a machine, and the driver's does not grow with the queue."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.compute import session
from pvcnn.compute.events import Event, Kind
from pvcnn.compute.proving import Placement, prove_all
from tests.campaign.tiny import prepare, submit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def inferred(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    folder, _, _, fingerprint = prepare(tmp_path_factory.mktemp("memory") / "campaign")
    submit(folder, fingerprint, 2, 4, 1)
    owner = OwnerRole.open(folder.root)
    owner.close_registry()
    for index in range(8):
        owner.infer(index)
    return folder


@dataclass(frozen=True)
class Together:
    """The cluster's secrets, for two workers that begin at the same time. marks: an empty directory."""

    path: str
    marks: str

    def load(self) -> ClusterSecrets:
        (Path(self.marks) / str(os.getpid())).touch()
        while len(list(Path(self.marks).iterdir())) < 2:
            time.sleep(0.01)
        return ClusterSecrets.load_from(Path(self.path))


def kilobytes(process: int, names: tuple[str, ...]) -> dict[str, int]:
    """What the kernel counts of a process's mappings of files whose names start so."""
    counts: dict[str, int] = {}
    counted = False
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        fields = line.split()
        if not fields[0].endswith(":"):
            counted = len(fields) > 5 and Path(fields[5]).name.startswith(names)
        elif counted and fields[-1] == "kB":
            counts[fields[0][:-1]] = counts.get(fields[0][:-1], 0) + int(fields[1])
    return counts


def test_the_proving_key_is_in_memory_once_for_all_workers(inferred: CampaignFolder, tmp_path: Path) -> None:
    started: dict[int, int] = {}
    seen: dict[int, dict[str, int]] = {}

    def look(event: Event) -> None:
        if event.kind is not Kind.STARTED or event.worker is None:
            return
        process = event.worker.process
        started[process] = started.get(process, 0) + 1
        if len(started) == 2 and min(started.values()) > 1:
            seen.update({each: kilobytes(each, ("proving_key", "prepared_key")) for each in started})

    with session.local_session(2):
        prove_all(
            ClusterLedger.open(inferred.root),
            inferred.root,
            Together(str(inferred.private("cluster")), str(tmp_path)),
            range(8),
            Placement(2),
            listener=look,
        )
    size = inferred.proving_key.stat().st_size / 1024
    assert len(seen) == 2
    for counts in seen.values():
        assert counts["Rss"] > 0.1 * size, "the key is not mapped at all: the test shows nothing"
        assert counts["Private_Dirty"] == counts["Anonymous"] == 0
    rss = sum(counts["Rss"] for counts in seen.values())
    pss = sum(counts["Pss"] for counts in seen.values())
    assert pss < 0.75 * rss  # exactly half where both have touched the same pages, and nobody else has


#: Each result has 90 kB, which Ray sends inline: were they kept, the longer queue would cost 80 MB more.
_DRIVER = """
import sys
from pathlib import Path
from pvcnn.compute import session
from pvcnn.compute.dispatcher import Dispatcher, Limits
from pvcnn.compute.events import Report
from pvcnn.compute.proving_worker import this_worker
import ray

class Worker:
    def identify(self):
        return this_worker()
    def work(self, index):
        return Report(bytes(90_000), seconds={"work": 0.0})

count = int(sys.argv[1])
with session.local_session(1):
    actor = ray.remote(num_cpus=1)(Worker)
    dispatcher = Dispatcher(
        lambda **options: actor.options(**options).remote(),
        lambda index, report: None,
        workers=1, limits=Limits(), listener=lambda event: None,
    )
    outcomes = dispatcher.run(range(count))
    assert len(outcomes) == count and not any(each.failure for each in outcomes.values())
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("Rss:")))
"""


def test_a_longer_queue_needs_no_more_memory() -> None:
    def driver_kilobytes(queue: int) -> int:
        process = subprocess.run(
            [sys.executable, "-c", _DRIVER, str(queue)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        )
        return int(process.stdout.splitlines()[-1])

    assert driver_kilobytes(1000) < 1.1 * driver_kilobytes(10)
