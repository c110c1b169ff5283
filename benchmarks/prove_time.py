"""Prove time against constraints: a table in docs/performance.md and docs/prove_time.svg.

    python benchmarks/prove_time.py [--repeat 3] [--write]

Networks of two linear layers, growing, with random committed weights: each is set up and proved.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from pvcnn.algebra.points import random_scalar
from pvcnn.algebra.warmup import compile_kernels
from pvcnn.bench.measure import machine, medians
from pvcnn.program.layers import Flatten, Linear, Requantise, Sign
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.table import Table
from pvcnn.program.weights import Weights
from pvcnn.qmp.api import prove, setup
from pvcnn.qmp.circuit import compile_program

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "prove_time.svg"
BEGIN, END = "<!-- benchmarks/prove_time.py writes from here -->", "<!-- to here -->"
#: Inputs and hidden units of the networks.
SHAPES = ((16, 8), (64, 16), (128, 32), (256, 64), (512, 64), (1024, 64), (1024, 128), (2048, 128))


def public_part(inputs: int, hidden: int) -> PublicPart:
    """A network with small random weights, whose values stay in range."""
    relu = Table(-2048, np.clip(np.arange(-2048, 2048), 0, 127))
    program = Program.chain(
        (inputs, 1, 1),
        -128,
        127,
        (
            Flatten("flatten"),
            Linear("first", inputs, hidden, weight_bits=8, bias_bits=16),
            Requantise("activation", 10, relu),
            Linear("second", hidden, 1, weight_bits=8, bias_bits=16),
            Sign("decision"),
        ),
    )
    generator = np.random.default_rng(0)
    weight = {
        "first": generator.integers(-16, 17, (hidden, inputs)),
        "second": generator.integers(-16, 17, (1, hidden)),
    }
    bias = {"first": generator.integers(-99, 100, hidden), "second": generator.integers(-99, 100, 1)}
    return PublicPart(program, Weights(program, weight, bias, random_scalar()))


def measure(inputs: int, hidden: int, repeat: int) -> dict[str, float]:
    """Constraints, domain, and wall seconds of setup and proof."""
    public = public_part(inputs, hidden)
    constraints = compile_program(public.program, 1).system.constraints
    features = np.random.default_rng(1).integers(-128, 128, (1, inputs, 1, 1))
    start = time.perf_counter()
    key, _ = setup(public)
    set_up = time.perf_counter() - start
    prove(key, public, features)
    runs = []
    for _ in range(repeat):
        start = time.perf_counter()
        prove(key, public, features)
        runs.append({"prove": time.perf_counter() - start})
    return {"constraints": constraints, "domain": key.domain_size, "setup": set_up, **medians(runs)}


def table(rows: list[dict[str, float]]) -> str:
    lines = [
        "| constraints | domain | setup | prove | prove, a constraint |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['constraints']:,} | 2^{int(row['domain']).bit_length() - 1} | {row['setup']:.2f} s "
        f"| {row['prove']:.3f} s | {row['prove'] / row['constraints'] * 1e6:.1f} us |"
        for row in rows
    ]
    return "\n".join(lines)


def plot(rows: list[dict[str, float]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "pvcnn"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    constraints = [row["constraints"] for row in rows]
    for name, marker in (("setup", "s"), ("prove", "o")):
        axes.loglog(constraints, [row[name] for row in rows], marker=marker, label=name)
    axes.set_xlabel("constraints")
    axes.set_ylabel("seconds, wall time on two threads")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="update the document and the picture")
    options = parser.parse_args()
    compile_kernels()
    rows = []
    for inputs, hidden in SHAPES:
        rows.append(measure(inputs, hidden, options.repeat))
        print(rows[-1], flush=True)
    text = table(rows)
    print(text)
    if options.write:
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{machine()}.\n\n{text}\n{END}{after}")
        plot(rows, PICTURE)


if __name__ == "__main__":
    main()
