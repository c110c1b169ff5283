"""The networks of the catalogue, each quantised, set up, proved and verified: tables in docs/networks.md.

    python benchmarks/networks.py [NAME ...] [--repeat 3] [--write]

Every network runs in a process of its own (`pvcnn bench model`), whose peak memory is its own too. With
committed weights only those run whose circuits fit; the others' constraints are in the table of
tests/models/circuit_sizes.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pvcnn.bench.documents import markdown_table, measured_here, replace_measured
from pvcnn.models.catalogue import CATALOGUE

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "networks.md"
#: Those that are proved with committed weights, too: the others have millions of them.
COMMITTED = ("deepfake", "deepfake-one-block", "article", "lenet5", "densenet")

Row = dict[str, Any]


def measure(name: str, weights: str, repeat: int) -> Row:
    """What `pvcnn bench model` reports."""
    command = ["bench", "model", name, "--weights", weights, "--repeat", str(repeat), "--json"]
    finished = subprocess.run(
        [sys.executable, "-m", "pvcnn", *command], stdout=subprocess.PIPE, text=True, check=True
    )
    report: Row = json.loads(finished.stdout.splitlines()[-1])
    return report


def table(rows: list[Row]) -> str:
    columns = (
        *("network", "weights", "constraints", "quantise", "compile", "setup", "prove", "verify"),
        *("proof", "key", "peak memory", "agreement"),
    )
    lines = []
    for row in rows:
        seconds, count = row["seconds"], row["bytes"]
        cells = [
            row["model"],
            row["weights"],
            f"{row['constraints']:,}",
            *(f"{seconds[step]:.1f} s" for step in ("split", "compile", "setup")),
            f"{seconds['prove']:.2f} s",
            f"{seconds['verify'] * 1e3:.1f} ms",
            f"{count['proof']} B",
            f"{count['pk'] / 1e6:,.0f} MB",
            f"{row['peak_memory'] / 1e9:.1f} GB",
            f"{row['agreement']:.1%}",
        ]
        lines.append(cells)
    return markdown_table(columns, lines, left=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="update the document")
    options = parser.parse_args()
    rows = []
    for name in options.names or CATALOGUE:
        for weights in ("published", "committed"):
            if weights == "published" or name in COMMITTED:
                rows.append(measure(name, weights, options.repeat))
                print(rows[-1], flush=True)
    text = table(rows)
    print(text)
    if options.write:
        replace_measured(DOCUMENT, "benchmarks/networks.py", f"{measured_here()}\n\n{text}")


if __name__ == "__main__":
    main()
