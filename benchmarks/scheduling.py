"""What spreading proofs over workers costs: idle workers, the driver's memory, keys in memory.

    python benchmarks/scheduling.py [--testers 4] [--frames 4] [--json]

The demo's network is proved by one and by two workers of one thread each, on a Ray session of their own.
Overhead is the part of the workers' time, from a worker's first submission to its last result, in which
they neither decrypt nor prove. Starting a worker and opening keys is reported beside it. Then a campaign
with a tiny network and 256 submissions is proved, 16 of them and all, and the driver's memory compared.
Every run is a process of its own (Linux). Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import datetime
import json
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the tiny campaign is that of the tests

from pvcnn.bench.measure import machine  # noqa: E402
from pvcnn.campaign.artefacts.folder import CampaignFolder  # noqa: E402

QUEUES = (16, 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--testers", type=int, default=4)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        play_demo(Path(scratch) / "demo", options.testers, options.frames)
        proving = proving_runs(Path(scratch) / "demo", Path(scratch))
        memory = memory_runs(Path(scratch))
    growth = memory[QUEUES[1]] / memory[QUEUES[0]] - 1
    report = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "submissions": options.testers * options.frames,
        "workers": proving,
        "driver_bytes": memory,
        "driver_growth": growth,
    }
    if options.json:
        print(json.dumps(report))
        return
    print(f"{report['date']}, {report['machine']}, {report['submissions']} submissions of the demo's network")
    for workers, run in proving.items():
        print(f"{workers} workers of one thread")
        for name in (
            "start a worker and open keys",
            "from the first worker's start to the last's",
            "a proof",
            "wall, first submission to last result",
        ):
            print(f"  {name:44} {run[name]:9.3f} s")
        print(f"  {'driver: verify and record a proof':44} {run['verify and record'] * 1e3:9.1f} ms")
        print(f"  {'overhead':44} {run['overhead']:9.1%}")
        print(f"  {'the same, waiting for the last included':44} {run['overhead with tail']:9.1%}")
        for name in ("key pages of all workers", "key files", "all memory of all workers"):
            print(f"  {name:44} {run[name] / 1e6:9.1f} MB")
    for queue, count in memory.items():
        print(f"driver after {queue} submissions{'':22} {count / 1e6:9.1f} MB")
    print(f"growth{'':40} {growth:9.1%}")


def play_demo(directory: Path, testers: int, frames: int) -> dict[str, Any]:
    """The demo's own report."""
    command = [sys.executable, "-m", "pvcnn", "demo", "--out", str(directory), "--json"]
    size = ["--testers", str(testers), "--frames", str(frames)]
    done = subprocess.run([*command, *size], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def proving_runs(played: Path, scratch: Path) -> dict[int, dict[str, float]]:
    """By number of workers, what `measure_proving` found on a campaign that was played."""
    return {
        workers: in_new_process(measure_proving, unproved(played, scratch / f"proved-{workers}"), workers)
        for workers in (1, 2)
    }


def memory_runs(scratch: Path) -> dict[int, int]:
    """Bytes of the driver after so many submissions."""
    from pvcnn.campaign.roles.cluster import make_keys
    from pvcnn.campaign.roles.owner import OwnerRole
    from pvcnn.campaign.roles.setup_party import run_setup
    from tests.campaign.tiny import private_part, public_part, submit

    played = scratch / "tiny"
    folder = CampaignFolder.create(played)
    owner = OwnerRole.create(folder)
    owner.publish_split(private_part(1), public_part(1))
    fingerprint = make_keys(folder).fingerprint
    run_setup(folder, max(QUEUES))
    owner.publish_manifest()
    submit(folder, fingerprint, 1, max(QUEUES), 1)
    owner = OwnerRole.open(played)
    owner.close_registry()
    for index in range(max(QUEUES)):
        owner.infer(index)
    return {
        queue: in_new_process(measure_memory, unproved(played, scratch / f"queue-{queue}"), queue)
        for queue in QUEUES
    }


def unproved(played: Path, target: Path) -> Path:
    """A copy of a campaign in which nothing is proved yet."""
    folder = CampaignFolder(target)
    shutil.copytree(played, folder.root)
    for directory in (folder.proofs, folder.public.path / "statements", folder.public.path / "labels"):
        for path in directory.iterdir():
            path.unlink()
    (folder.public.path / "aggregate.cbor").unlink(missing_ok=True)
    return target


def in_new_process(work: Callable[..., Any], *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def measure_proving(directory: Path, workers: int) -> dict[str, float]:
    """Seconds (medians where there are many), bytes and shares of one run over all submissions."""
    from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
    from pvcnn.compute.events import Event, Kind
    from pvcnn.compute.proving import Placement, prove_all
    from pvcnn.compute.proving_worker import SecretsInDirectory
    from pvcnn.compute.session import local_session

    recording: list[float] = []

    class TimedLedger(ClusterLedger):
        def record(self, index: int, outcome: bytes, details: bytes = b"") -> bool:
            start = time.perf_counter()
            new = super().record(index, outcome, details)
            recording.append(time.perf_counter() - start)
            return new

    spans: dict[int, list[float]] = {}
    memory: dict[str, int] = {}

    def watch(event: Event) -> None:
        now = time.perf_counter()
        if event.worker is None:
            return
        times = spans.setdefault(event.worker.process, [])
        times.append(now)
        if event.kind is Kind.STARTED and len(times) > 1 and len(spans) == workers:
            memory.update(memory_of(list(spans)))

    ledger = TimedLedger.open(directory)
    indices = list(ledger.to_prove())
    secrets = SecretsInDirectory(str(CampaignFolder(directory).private("cluster")))
    with local_session(workers):
        begun = time.perf_counter()
        outcomes = prove_all(ledger, directory, secrets, indices, Placement(workers), listener=watch)
    failed = [outcome.failure for outcome in outcomes if outcome.failure]
    if failed:
        raise SystemExit(f"not proved: {failed}")
    busy = sum(sum(outcome.seconds.values()) for outcome in outcomes)
    first = min(times[0] for times in spans.values())
    wall = max(times[-1] for times in spans.values()) - first
    return {
        "start a worker and open keys": first - begun,
        "from the first worker's start to the last's": max(times[0] for times in spans.values()) - first,
        "a proof": statistics.median(outcome.seconds["prove"] for outcome in outcomes),
        "decrypt and prove, mean": busy / len(outcomes),
        "wall, first submission to last result": wall,
        "verify and record": statistics.median(recording),
        "overhead": 1 - busy / sum(times[-1] - times[0] for times in spans.values()),
        "overhead with tail": 1 - busy / (workers * wall),
        **memory,
    }


def memory_of(processes: list[int]) -> dict[str, int]:
    """Proportional bytes: pages that several processes share are counted once over all of them."""
    pages, whole, files = 0, 0, {}
    for process in processes:
        mapping = ""
        for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
            fields = line.split()
            if "-" in fields[0] and not fields[0].endswith(":"):
                mapping = fields[5] if len(fields) > 5 else ""
            elif fields[0] == "Pss:":
                whole += 1024 * int(fields[1])
                if mapping.endswith(".safetensors"):
                    pages += 1024 * int(fields[1])
                    files[mapping] = Path(mapping).stat().st_size
    return {
        "key pages of all workers": pages,
        "key files": sum(files.values()),
        "all memory of all workers": whole,
    }


def measure_memory(directory: Path, queue: int) -> int:
    """Proportional bytes of the driver after proving so many submissions of the campaign."""
    from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
    from pvcnn.compute.proving import Placement, prove_all
    from pvcnn.compute.proving_worker import SecretsInDirectory
    from pvcnn.compute.session import local_session

    ledger = ClusterLedger.open(directory)
    secrets = SecretsInDirectory(str(CampaignFolder(directory).private("cluster")))
    with local_session(2):
        outcomes = prove_all(ledger, directory, secrets, range(queue), Placement(2))
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    if any(outcome.failure for outcome in outcomes):
        raise SystemExit("not all were proved")
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
