"""Mutates artefacts of every kind and puts the mutants to every decoder and verifier.

    python -m tests.mutation [--number N]      about N mutants of all kinds together
    python -m tests.mutation --kind KIND --seed S --first I --number N    mutants I to I + N - 1 of one kind

Prints a table and the failures; exit 0 if there are none. docs/mutation.md says what is a failure.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.registry import KINDS, allotted
from tests.mutation.report import Report, write_into
from tests.mutation.samples import Samples
from tests.mutation.watch import run_all
from tests.mutation.worker import Job

#: A job's mutants: few enough that two processes end at about the same time.
_CHUNK = 1000


def jobs_of(counts: dict[str, int], seed: int, first: int = 0) -> list[tuple[Job, float]]:
    """Jobs for so many mutants of each kind; what takes longest comes first."""
    jobs = [
        (Job(name, seed, start, min(_CHUNK, first + count - start)), KINDS[name].seconds)
        for name, count in counts.items()
        for start in range(first, first + count, _CHUNK)
    ]
    return sorted(jobs, key=lambda job: (-job[1], KINDS[job[0].kind].share))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument(
        "--kind", choices=sorted(KINDS), metavar="KIND", help="one kind only; `list` lists them"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first mutant's number")
    parser.add_argument("--number", type=int, default=10_000, help="of mutants")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--samples", type=Path, help="a folder for the samples, used again if it is there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the result there")
    parser.add_argument("--document", type=Path, metavar="FILE", help="writes the table between FILE's marks")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="pvcnn-mutation-"))
    samples, keep = given.samples or folder / "samples", folder / "failed"
    Samples.open(samples)
    counts = {given.kind: given.number} if given.kind else allotted(given.number)
    started = time.monotonic()
    results = run_all(
        jobs_of(counts, given.seed, given.first),
        samples,
        keep,
        given.processes,
        done=lambda result: print(f"{result.kind}: {result.mutants} mutants", file=sys.stderr, flush=True),
    )
    report = Report.of(results, given.seed, time.monotonic() - started)
    print(report.table())
    if given.json:
        given.json.write_text(report.to_json())
    if given.document:
        write_into(given.document, report)
    for failure in report.failures:
        print(f"FAILED {failure}\n    with --samples {samples}")
    if not report.failures:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
