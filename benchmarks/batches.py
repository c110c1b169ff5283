"""What a frame costs in a batch: a table in docs/networks.md and docs/batches.svg.

    python benchmarks/batches.py [--repeat 3] [--write]

The demo's network, with committed and with published weights: one proof of 1, 2, 4, 8 and 16 frames.
"""

from __future__ import annotations

import argparse
import datetime
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.warmup import compile_kernels
from pvcnn.bench.measure import machine, medians
from pvcnn.data.frames import CALIBRATION_FRAMES, PIXEL_BOUND, calibration_frames
from pvcnn.models.store import load_one_block_detector
from pvcnn.partition.split import split
from pvcnn.program.public_part import PublicPart
from pvcnn.qmp.api import prove, setup, verify
from pvcnn.qmp.circuit import compile_program

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "networks.md"
PICTURE = ROOT / "docs" / "batches.svg"
BEGIN, END = "<!-- benchmarks/batches.py writes from here -->", "<!-- to here -->"
BATCHES = (1, 2, 4, 8, 16)

Row = dict[str, float]


def demo_network(weights: str) -> tuple[PublicPart, NDArray[np.int64]]:
    """The one-block detector's public part, and features of as many frames as the largest batch has."""
    frames = calibration_frames(CALIBRATION_FRAMES)
    parts = split(load_one_block_detector(), frames, weights=weights, pixel_bound=PIXEL_BOUND)
    return parts.public, parts.features(frames[: max(BATCHES)])


def measure(public: PublicPart, features: NDArray[np.int64], repeat: int) -> Row:
    """Constraints, domain, bytes of the proving key; seconds of setup, proof and verification.

    cpu: processor time of all threads, which other work on the machine disturbs least; frame: its share.
    """
    frames = len(features)
    start = time.perf_counter()
    key, verification_key = setup(public, frames)
    set_up = time.perf_counter() - start
    prove(key, public, features)
    runs = []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        proof = prove(key, public, features)
        run = {"prove": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        wall = time.perf_counter()
        verify(verification_key, proof.statement, proof)
        runs.append({**run, "verify": time.perf_counter() - wall})
    found = medians(runs)
    circuit = compile_program(public.program, frames, published=public.weights if public.published else None)
    return {
        "frames": frames,
        "constraints": circuit.system.constraints,
        "domain": key.domain_size,
        "key": len(key.to_bytes()),
        "setup": set_up,
        **found,
        "frame": found["cpu"] / frames,
    }


def table(title: str, rows: list[Row]) -> str:
    single = rows[0]["frame"]
    lines = [
        f"{title}:",
        "",
        "| frames | constraints | domain | key | setup | prove | prove, cpu | a frame | of one alone |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['frames']:.0f} | {row['constraints']:,.0f} | 2^{int(row['domain']).bit_length() - 1} "
        f"| {row['key'] / 1e6:.0f} MB | {row['setup']:.1f} s | {row['prove']:.2f} s "
        f"| {row['cpu']:.2f} s | {row['frame'] * 1e3:.0f} ms | {row['frame'] / single:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def plot(found: dict[str, list[Row]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "pvcnn"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for (weights, rows), marker in zip(found.items(), "os", strict=True):
        frames, milliseconds = zip(*((row["frames"], row["frame"] * 1e3) for row in rows), strict=True)
        axes.plot(frames, milliseconds, marker=marker, label=f"{weights} weights")
    axes.set_xscale("log", base=2)
    axes.set_xticks(BATCHES, [str(count) for count in BATCHES])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("frames in one proof")
    axes.set_ylabel("milliseconds a frame, processor time of both threads")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="update the document and the picture")
    options = parser.parse_args()
    compile_kernels()
    found: dict[str, list[Row]] = {}
    for weights in ("committed", "published"):
        public, features = demo_network(weights)
        found[weights] = []
        for count in BATCHES:
            found[weights].append(measure(public, features[:count], options.repeat))
            print(weights, found[weights][-1], flush=True)
    text = "\n\n".join(table(f"{weights.capitalize()} weights", rows) for weights, rows in found.items())
    print(text)
    if options.write:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{today}, {machine()}.\n\n{text}\n{END}{after}")
        plot(found, PICTURE)


if __name__ == "__main__":
    main()
