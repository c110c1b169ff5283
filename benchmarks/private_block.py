"""Private parts on ciphertexts: private_block.py [NAME ...] [--frames 5] [--ours] [--json] [--write].

Processor times of one thread, predicted and measured, sizes, error against the same layers in float64, and by
how many bits the flooding noise exceeds the evaluation noise: as planned (for the largest features, six
deviations, the worst slot) and as measured on these frames. "one", "two" and "three" are blocks of random
weights on random frames: convolution 1->8 on 64x64, square, pool 4; convolution 8->16, square, pool 2;
convolution 16->16, square, pool 2. "detector" is the shipped detector's private part, with frames of people
that it has never seen. Each is compared with a ciphertext for each channel, unless --ours. --write updates
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pvcnn.bench.documents import markdown_table, measured_here, replace_measured
from pvcnn.bench.private import NAMES, compare

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


def shown(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{result['name']}:"]
    for side in ("ours", "reference"):
        if side in result:
            lines += [f"-- {side}", *described(result[side])]
    if "ratio" in result:
        lines.append(f"reference / ours: {result['ratio']['evaluate']:.1f}")
    return "\n".join(lines)


def described(side: dict[str, Any]) -> list[str]:
    """One side's figures."""
    times = ", ".join(f"{step} {1e3 * t:.0f} ms" for step, t in side["processor_seconds"].items())
    sizes = ", ".join(f"{name} {size / 1e3:.0f} kB" for name, size in side["bytes"].items())
    errors, bits = side["error_in_steps"], side["measured_flooding_bits"]
    return [
        side["table"],
        f"measured: {times}",
        sizes,
        f"error in feature steps: {errors['evaluation']:.1e} of evaluation, {errors['flooded']:.3f} flooded",
        f"flooding over the evaluation noise: {side['flooding_bits']} bits planned; measured"
        f" {bits['over_largest_error']:.1f} over the largest error, {bits['over_deviation']:.1f} over the"
        f" deviation, {bits['where_no_output_is']:.1f} where no output is",
    ]


def table(results: Mapping[str, Any]) -> str:
    """A row for each private part, for documents."""
    columns = (
        "private part",
        "degree",
        "primes",
        "predicted",
        "measured",
        "a ciphertext a channel",
        "upload",
        "answer",
        "keys",
        "error in steps",
        "flooding, planned",
        "measured",
    )
    rows = []
    for name, result in results.items():
        ours = result["ours"]
        times, sizes, bits = ours["processor_seconds"], ours["bytes"], ours["measured_flooding_bits"]
        cells = [
            name,
            str(ours["degree"]),
            " ".join(map(str, ours["chain_bits"])),
            f"{ours['milliseconds']:.0f} ms",
            f"{1e3 * times['evaluate']:.0f} ms",
            f"{result['ratio']['evaluate']:.1f}x" if "ratio" in result else "",
            f"{sizes['upload'] / 1e3:.0f} kB",
            f"{sizes['download'] / 1e3:.0f} kB",
            f"{sizes['evaluation_keys'] / 1e6:.1f} MB",
            f"{ours['error_in_steps']['flooded']:.3f}",
            f"{ours['flooding_bits']} bits",
            f"{bits['over_largest_error']:.1f} bits",
        ]
        rows.append(cells)
    return markdown_table(columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", choices=NAMES, default=["one", "two", "three"])
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--ours", action="store_true", help="without the comparison")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--write", action="store_true", help="update the document")
    arguments = parser.parse_args()
    results = {}
    for name in arguments.names:
        results[name] = compare(name, arguments.frames, not arguments.ours)
        print(shown(results[name]), file=sys.stderr)
    if arguments.write:
        replace_measured(DOCUMENT, "benchmarks/private_block.py", f"{measured_here()}\n\n{table(results)}")
    if arguments.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
