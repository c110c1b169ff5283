"""A cost model of large campaigns: docs/scaling.md's tables and docs/scaling.svg.

    python benchmarks/scaling.py [--costs FILE] [--write]

Measures here what each step costs (one and two workers, sizes of files, aggregates of many proofs), checks
a simulation of the dispatcher against the measured runs, and simulates more workers, slower networks and
larger campaigns. `--costs` keeps the measurements in a file, or takes them from it if it exists.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from scheduling import ROOT, in_new_process, play_demo, proving_runs
from simulated_dispatcher import Costs, Run, simulate

from pvcnn.bench.documents import replace_measured
from pvcnn.bench.measure import machine

DOCUMENT = ROOT / "docs" / "scaling.md"
PICTURE = ROOT / "docs" / "scaling.svg"
TESTERS, FRAMES = 4, 4
AGGREGATES = (16, 64, 256, 1024)
CAMPAIGNS = (10**3, 10**4, 10**5, 10**6)
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
#: One way between driver and worker, in seconds: assumed, not measured.
LATENCIES = {"one machine": 0.0, "one building": 0.0005, "another continent": 0.1}
#: Most registrations, and proofs, of one campaign (pvcnn/campaign/artefacts/folder.py, pvcnn/aggregate).
ONE_CAMPAIGN = 1 << 14
_ROUND_TRIPS = 300


def measure() -> dict[str, Any]:
    """Seconds and bytes; by number of workers, by number of proofs, and for one submission."""
    with tempfile.TemporaryDirectory() as scratch:
        demo = play_demo(Path(scratch) / "demo", TESTERS, FRAMES)
        runs = proving_runs(Path(scratch) / "demo", Path(scratch))
        aggregates = in_new_process(measure_aggregates, Path(scratch) / "demo")
        round_trip = in_new_process(measure_round_trip)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "submissions": TESTERS * FRAMES,
        "demo": {"seconds": demo["seconds"], "bytes": demo["bytes"]},
        "workers": {str(workers): run for workers, run in runs.items()},
        "aggregates": {str(count): figures for count, figures in aggregates.items()},
        "round trip": round_trip,
    }


def measure_aggregates(directory: Path) -> dict[int, dict[str, float]]:
    """Folding so many copies of one proof: to the algorithms one is as good as another."""
    from pvcnn.aggregate.aggregator import aggregate
    from pvcnn.aggregate.reference_string import aggregation_setup
    from pvcnn.aggregate.verifier import verify_aggregate
    from pvcnn.campaign.artefacts.folder import VERIFICATION_KEY, CampaignFolder
    from pvcnn.campaign.artefacts.outcome import ClusterOutcome
    from pvcnn.qmp.keys import VerificationKey

    folder = CampaignFolder(directory)
    key = VerificationKey.from_bytes(folder.public.read(VERIFICATION_KEY))
    proof = ClusterOutcome.from_bytes(next(folder.proofs.glob("*.cbor")).read_bytes()).proof
    assert proof is not None
    string = aggregation_setup(max(AGGREGATES))
    figures = {}
    for count in (AGGREGATES[0], *AGGREGATES):  # the first time, code is loaded
        start = time.perf_counter()
        folded = aggregate(string, key, [proof] * count, check=False)
        middle = time.perf_counter()
        verify_aggregate(string.verifier, key, [proof.statement] * count, folded)
        end = time.perf_counter()
        figures[count] = {
            "fold": middle - start,
            "verify": end - middle,
            "bytes": len(folded.to_bytes()),
            "key bytes": len(string.to_bytes()) / max(AGGREGATES),
        }
    return figures


def measure_round_trip() -> float:
    """Seconds of a call of an actor on this machine that does nothing."""
    from pvcnn.compute.session import local_session

    with local_session(1):
        import ray

        class Idle:
            def work(self, index: int) -> bytes:
                return bytes(1500)

        actor: Any = ray.remote(num_cpus=1)(Idle).remote()
        ray.get(actor.work.remote(0))
        start = time.perf_counter()
        for index in range(_ROUND_TRIPS):
            ray.get(actor.work.remote(index))
        return (time.perf_counter() - start) / _ROUND_TRIPS


def costs_of(measured: dict[str, Any], workers: int, latency: float) -> Costs:
    """For one or two workers what those measured; for more, on machines of their own, what one did."""
    run = measured["workers"][str(min(workers, 2))]
    alone = measured["workers"]["1"]
    mean = run if workers == 2 and not latency else alone
    return Costs(
        work=mean["decrypt and prove, mean"],
        spread=0.1 * mean["decrypt and prove, mean"],
        give=measured["round trip"],
        record=alone["verify and record"],
        latency=latency,
        stagger=mean["from the first worker's start to the last's"] if workers == 2 else 0.0,
    )


def checked(measured: dict[str, Any]) -> str:
    """The simulation beside the measured runs."""
    lines = ["| workers | measured | simulated | error |", "| ---: | ---: | ---: | ---: |"]
    for workers in (1, 2):
        wall = measured["workers"][str(workers)]["wall, first submission to last result"]
        simulated = simulate(measured["submissions"], workers, costs_of(measured, workers, 0.0)).wall
        lines.append(f"| {workers} | {wall:.2f} s | {simulated:.2f} s | {simulated / wall - 1:+.1%} |")
    return "\n".join(lines)


def linear(figures: dict[str, dict[str, float]], name: str) -> tuple[float, float]:
    """What no proofs and each proof cost, through the two largest counts."""
    (low, first), (high, second) = sorted((int(count), each[name]) for count, each in figures.items())[-2:]
    slope = (second - first) / (high - low)
    return max(0.0, second - slope * high), slope


def duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def volume(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def campaign_table(measured: dict[str, Any]) -> str:
    """Where time and bytes go, by number of testers with one frame each."""
    seconds, sizes = measured["demo"]["seconds"], measured["demo"]["bytes"]
    played = measured["submissions"]
    alone = measured["workers"]["1"]
    fold, verify = linear(measured["aggregates"], "fold"), linear(measured["aggregates"], "verify")
    folded_bytes = linear(measured["aggregates"], "bytes")
    runs = {
        count: simulate(count, 64, costs_of(measured, 64, LATENCIES["one building"])) for count in CAMPAIGNS
    }

    def shares(count: int) -> list[int]:
        """Campaigns that so many submissions need, and what is in each."""
        whole, rest = divmod(count, ONE_CAMPAIGN)
        return [ONE_CAMPAIGN] * whole + ([rest] if rest else [])

    rows: list[tuple[str, list[str]]] = [
        ("campaigns", [str(len(shares(count))) for count in CAMPAIGNS]),
        ("each tester: encrypt", [duration(seconds["encrypt"] / played)] * len(CAMPAIGNS)),
        ("owner: evaluate, one thread", [duration(count * seconds["infer"] / played) for count in CAMPAIGNS]),
        (
            "workers: decrypt and prove, one thread",
            [duration(count * alone["decrypt and prove, mean"]) for count in CAMPAIGNS],
        ),
        ("driver: verify and record", [duration(count * alone["verify and record"]) for count in CAMPAIGNS]),
        ("64 workers and a driver, simulated", [duration(runs[count].wall) for count in CAMPAIGNS]),
        ("workers at work meanwhile", [f"{runs[count].workers_busy:.0%}" for count in CAMPAIGNS]),
        (
            "aggregator: verify each, fold",
            [
                duration(
                    sum(fold[0] + each * (fold[1] + alone["verify and record"]) for each in shares(count))
                )
                for count in CAMPAIGNS
            ],
        ),
        (
            "anyone: verify the aggregates",
            [duration(sum(verify[0] + each * verify[1] for each in shares(count))) for count in CAMPAIGNS],
        ),
        ("uploads to the owner", [volume(count * sizes["upload"]) for count in CAMPAIGNS]),
        ("answers to the cluster", [volume(count * sizes["download"]) for count in CAMPAIGNS]),
        ("proofs", [volume(count * sizes["proof"]) for count in CAMPAIGNS]),
        ("statements, public", [volume(count * sizes["statement"]) for count in CAMPAIGNS]),
        (
            "aggregates, public",
            [
                volume(sum(folded_bytes[0] + each * folded_bytes[1] for each in shares(count)))
                for count in CAMPAIGNS
            ],
        ),
        ("keys, to each machine", [volume(sizes["pk"])] * len(CAMPAIGNS)),
    ]
    head = ["", *(f"10^{len(str(count)) - 1} testers" for count in CAMPAIGNS)]
    lines = ["| " + " | ".join(head) + " |", "| --- " + "| ---: " * len(CAMPAIGNS) + "|"]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows]
    return "\n".join(lines)


def throughput(measured: dict[str, Any], workers: int, latency: float, record: float | None = None) -> Run:
    costs = costs_of(measured, workers, latency)
    if record is not None:
        costs = replace(costs, record=record)
    return simulate(100 * workers, workers, costs)


def workers_table(measured: dict[str, Any]) -> str:
    lines = [
        "| workers | proofs a second | workers at work | driver busy | with 100 ms to each worker |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for workers in WORKERS[3:]:
        near = throughput(measured, workers, LATENCIES["one building"])
        far = throughput(measured, workers, LATENCIES["another continent"])
        lines.append(
            f"| {workers} | {100 * workers / near.wall:.1f} | {near.workers_busy:.0%} "
            f"| {near.driver_busy:.0%} | {100 * workers / far.wall:.1f} |"
        )
    return "\n".join(lines)


def plot(measured: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "pvcnn"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for (name, latency), style in zip(LATENCIES.items(), ("-", "--", ":"), strict=True):
        if latency:
            rates = [100 * each / throughput(measured, each, latency).wall for each in WORKERS]
            axes.loglog(WORKERS, rates, style, label=f"{name}, {latency * 1e3:g} ms one way")
    batched = measured["workers"]["1"]["verify and record"] / 4
    rates = [100 * each / throughput(measured, each, 0.0005, batched).wall for each in WORKERS]
    axes.loglog(WORKERS, rates, "-.", label="if four processes shared the verifying")
    runs = {int(workers): run for workers, run in measured["workers"].items()}
    walls = {workers: run["wall, first submission to last result"] for workers, run in runs.items()}
    points = [measured["submissions"] / wall for wall in walls.values()]
    axes.loglog(list(walls), points, "o", color="black", label="measured, two cores")
    axes.set_xlabel("workers of one thread")
    axes.set_ylabel("proofs a second")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--costs", type=Path)
    parser.add_argument("--write", action="store_true", help="update the document and the picture")
    options = parser.parse_args()
    if options.costs and options.costs.exists():
        measured = json.loads(options.costs.read_text())
    else:
        measured = measure()
        if options.costs:
            options.costs.write_text(json.dumps(measured, indent=1))
    text = "\n\n".join(
        (
            f"{measured['date']}, {measured['machine']}.",
            checked(measured),
            campaign_table(measured),
            workers_table(measured),
        )
    )
    print(text)
    if options.write:
        replace_measured(DOCUMENT, "benchmarks/scaling.py", text)
        plot(measured, PICTURE)


if __name__ == "__main__":
    main()
