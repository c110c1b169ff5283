"""What aggregates cost, by number of proofs and scheme: a table in docs/performance.md.

    python benchmarks/large_aggregates.py [--repeat 7] [--most 4096] [--write]

Each line is a run of `pvcnn bench aggregate` in a process of its own, so that peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pvcnn.bench.documents import measured_here, replace_measured

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
PROOFS = (1, 16, 64, 128, 256, 1024, 4096)
WITHOUT_NUMBA = (64, 1024)


def measure(proofs: int, repeat: int, numba: bool) -> dict[str, Any]:
    """The report of one run."""
    command = [sys.executable, "-m", "pvcnn", "bench", "aggregate", "--json"]
    command += ["--proofs", str(proofs), "--repeat", str(repeat)]
    environment = {**os.environ, **({} if numba else {"PVCNN_NO_NUMBA": "1"})}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def line(report: dict[str, Any], numba: bool) -> str:
    seconds, sizes = report["seconds"], report["bytes"]
    folded, packed, statements = sizes["snarkpack"], sizes["packed"], sizes["statements"]
    cells = [
        f"{report['proofs']:,}{'' if numba else ', without Numba'}",
        f"{folded / 1e3:.1f} kB",
        f"{packed / 1e3:.1f} kB",
        f"{statements / 1e3:.1f} kB",
        f"{(folded + statements) / (packed + statements):.2f}",
        f"{seconds['snarkpack']['aggregate']:.2f} s",
        f"{1e3 * seconds['snarkpack']['verify']:.0f} ms",
        f"{seconds['packed']['aggregate']:.2f} s",
        f"{1e3 * seconds['packed']['verify']:.0f} ms",
        f"{1e3 * report['reference']['verify']:,.0f} ms",
        f"{report['peak_memory'] / 1e6:.0f} MB",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--most", type=int, default=max(PROOFS), help="leave out what has more proofs")
    parser.add_argument("--write", action="store_true", help="update the document")
    options = parser.parse_args()
    lines = [
        "| proofs | folded | packed | statements | ratio with these | fold | verify folded | pack "
        "| verify packed | one by one | peak memory |",
        f"| {' | '.join(['---:'] * 11)} |",
    ]
    runs = [(count, True) for count in PROOFS] + [(count, False) for count in WITHOUT_NUMBA]
    for count, numba in runs:
        if count <= options.most:
            lines.append(line(measure(count, options.repeat, numba), numba))
            print(lines[-1], flush=True)
    if options.write:
        text = "\n".join(lines)
        replace_measured(DOCUMENT, "benchmarks/large_aggregates.py", f"{measured_here()}\n\n{text}")


if __name__ == "__main__":
    main()
