"""The figures of the README: one demo, its memory, and what verifying costs.

    python benchmarks/campaign.py [--testers 4] [--json]

Runs `pvcnn demo` once as a process of its own and samples the proportional memory of all processes
that it starts, Ray's included (Linux). Then verifies in fresh processes, with and without compiled
code: medians of five, decoding included, process start not. The private part is timed alone, in one
thread. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pvcnn.bench.measure import machine

REPEATS = 5
SAMPLE_SECONDS = 0.5

_VERIFY_ONE = """
from pvcnn.campaign.artefacts.outcome import ClusterOutcome
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.verifier import verify
outcome = ClusterOutcome.from_bytes(next((root / "proofs").iterdir()).read_bytes())
key = (root / "public" / "verification_key.cbor").read_bytes()
statement, proof = outcome.proof.statement.to_bytes(), outcome.proof.to_bytes()
def work():
    verify(VerificationKey.from_bytes(key), Statement.from_bytes(statement), Proof.from_bytes(proof))
"""
_VERIFY_AGGREGATE = """
from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.aggregate.schemes import decode_aggregate
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.statement import Statement
public = root / "public"
key = (public / "verification_key.cbor").read_bytes()
string = (public / "aggregation_verifier_key.cbor").read_bytes()
aggregate = (public / "aggregate.cbor").read_bytes()
statements = [path.read_bytes() for path in sorted((public / "statements").iterdir())]
def work():
    verify_aggregate(
        AggregationVerifierKey.from_bytes(string), VerificationKey.from_bytes(key),
        [Statement.from_bytes(each) for each in statements], decode_aggregate(aggregate))
"""
_VERIFY_CAMPAIGN = """
from pvcnn.campaign.verification.auditor import verify
def work():
    verify(root)
"""
_PRIVATE_PART = """
from pvcnn.campaign.artefacts.folder import *
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.mail import collect, upload_info
from pvcnn.campaign.artefacts.batch import Batch
from pvcnn.campaign.roles.evaluator import open_evaluator, read_card
from pvcnn.campaign.roles.owner_secrets import load_private_part
from pvcnn.campaign.artefacts.submission import Proceedings
folder = CampaignFolder(root)
proceedings = Proceedings.read(folder.public)
registration = proceedings.registry.registrations[0]
sealing = Identity.load_from(folder.private("owner"), "split").sealing
blob = collect(folder.mail("owner"), registration.upload_digest)
info = upload_info(proceedings.manifest.digest(), registration.signer, registration.nonce)
ciphertext = Batch.from_bytes(sealing.open(blob, info)).messages[0]
private = load_private_part(folder.private("owner"))
evaluator = open_evaluator(folder, read_card(folder.public), private)
def work():
    evaluator.evaluate(ciphertext, bytes(32))
"""
_TIMER = """
import statistics, time
work()
seconds = []
for _ in range({repeats}):
    start = time.perf_counter()
    work()
    seconds.append(time.perf_counter() - start)
print(statistics.median(seconds))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--testers", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "campaign"
        demo, peak, wall = run_demo(root, options.testers)
        figures = {
            "one proof": seconds_of(root, _VERIFY_ONE, compiled=True),
            "aggregate, compiled": seconds_of(root, _VERIFY_AGGREGATE, compiled=True),
            "aggregate, plain Python": seconds_of(root, _VERIFY_AGGREGATE, compiled=False),
            "whole public folder, compiled": seconds_of(root, _VERIFY_CAMPAIGN, compiled=True),
            "private part of one frame": seconds_of(root, _PRIVATE_PART, compiled=True),
        }
    report = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "testers": options.testers,
        "constraints": demo["constraints"],
        "verified": demo["verified"],
        "seconds": {**demo["seconds"], "whole demo, process start included": wall},
        "verify_seconds": figures,
        "peak_bytes": peak,
        "bytes": demo["bytes"],
    }
    if options.json:
        print(json.dumps(report))
        return
    print(f"{report['date']}, {report['machine']}, {options.testers} testers, one frame each")
    print(f"{demo['constraints']} constraints a proof, peak memory {peak / 1e9:.2f} GB (all processes)")
    for name, seconds in [*report["seconds"].items(), *figures.items()]:
        print(f"{name:40} {seconds * 1e3:12.1f} ms")
    for name, count in demo["bytes"].items():
        print(f"{name:40} {count:12} bytes")


def run_demo(root: Path, testers: int) -> tuple[dict[str, Any], int, float]:
    """The demo's report, the largest sum of its processes' memory (bytes), and its wall time."""
    command = [sys.executable, "-m", "pvcnn", "demo", "--testers", str(testers), "--out", str(root), "--json"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(proportional_bytes, descendants(process.pid))))
        time.sleep(SAMPLE_SECONDS)
    wall = time.perf_counter() - start
    assert process.stdout is not None
    printed = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"the demo failed with status {process.returncode}")
    return json.loads(printed.splitlines()[-1]), peak, wall


def descendants(root: int) -> set[int]:
    """`root` and all processes below it."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.name)] = int(fields[1])
    found = {root}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


def proportional_bytes(process: int) -> int:
    """Proportional set size: memory that processes share is counted once over all of them."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def seconds_of(root: Path, code: str, *, compiled: bool) -> float:
    """The median of `REPEATS` calls of the code's `work`, in a process of its own."""
    program = (
        f"from pathlib import Path\nroot = Path({str(root)!r})\n" + code + _TIMER.format(repeats=REPEATS)
    )
    environment = os.environ if compiled else {**os.environ, "PVCNN_NO_NUMBA": "1"}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    if result.returncode:
        raise SystemExit(result.stderr)
    return float(result.stdout)


if __name__ == "__main__":
    main()
