"""The figures of docs/ceremony.md: both ceremonies for the one-block detector's circuit, step by step.

    python benchmarks/ceremony.py [--contributors 3] [--json]

Wall time and processor time of all threads, for each command and within it for each long step, and what
multiples of points cost alone. Takes a few minutes and 250 MB of disk. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pvcnn.algebra import curve, scalars
from pvcnn.algebra.multiples import multiples_g1, multiples_g2
from pvcnn.bench.measure import machine
from pvcnn.ceremony.beacon import Beacon
from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
from pvcnn.ceremony.powers_ceremony import PowersCeremony
from pvcnn.data.frames import PIXEL_BOUND, calibration_frames
from pvcnn.models.store import load_one_block_detector
from pvcnn.partition.split import split
from pvcnn.program.program import Program
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.proving_key import domain_size

MAX_PROOFS = 64
MULTIPLES = 1 << 14
Result = TypeVar("Result")


class Stopwatch:
    """Times commands, and as a `pvcnn.ceremony.progress.Progress` their steps: (name, wall, processor)."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, float]] = []
        self._step: tuple[str, float, float] | None = None

    def begin(self, step: str, total: int) -> None:
        self._finish()
        self._step = (f"  {step}", time.perf_counter(), time.process_time())

    def advance(self, parts: int) -> None:
        pass

    def command(self, name: str, function: Callable[[], Result]) -> Result:
        place, wall, cpu = len(self.rows), time.perf_counter(), time.process_time()
        result = function()
        self._finish()
        self.rows.insert(place, (name, time.perf_counter() - wall, time.process_time() - cpu))
        print(*(f"{row[0]:<34}{row[1]:8.2f} s {row[2]:8.2f} s" for row in self.rows[place:]), sep="\n")
        return result

    def _finish(self) -> None:
        if self._step is not None:
            name, wall, cpu = self._step
            self.rows.append((name, time.perf_counter() - wall, time.process_time() - cpu))
            self._step = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--contributors", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    program = split(load_one_block_detector(), calibration_frames(64), pixel_bound=PIXEL_BOUND).public.program
    watch = Stopwatch()
    print(f"{machine()}, {compile_program(program).system.constraints} constraints")
    measure_multiples(watch)
    with tempfile.TemporaryDirectory() as root:
        measure_ceremonies(watch, Path(root), program, options.contributors)
    if options.json:
        print(json.dumps([{"step": name, "wall": wall, "cpu": cpu} for name, wall, cpu in watch.rows]))


def measure_multiples(watch: Stopwatch) -> None:
    """One multiple each of MULTIPLES points, after a first run that loads the kernels."""
    exponents, factors = scalars.random(MULTIPLES), scalars.random(MULTIPLES)
    for name, base, multiples in (
        ("G1", curve.fixed_base_g1, multiples_g1),
        ("G2", curve.fixed_base_g2, multiples_g2),
    ):
        points = base(exponents)
        multiples(points[:64], factors[:64])
        watch.command(f"{MULTIPLES} multiples in {name}", lambda: multiples(points, factors))  # noqa: B023


def measure_ceremonies(watch: Stopwatch, root: Path, program: Program, contributors: int) -> None:
    """Powers for the program's circuit, and then its own ceremony."""
    powers_path, circuit_path = root / "powers", root / "circuit"
    log2 = domain_size(compile_program(program).system.constraints).bit_length() - 1
    powers = watch.command("powers: init", lambda: PowersCeremony.create(powers_path, log2, MAX_PROOFS))
    for _ in range(contributors):
        watch.command("powers: contribute", lambda: powers.contribute("someone", progress=watch))
    watch.command("powers: finalize", lambda: powers.close(Beacon(bytes(16)), watch))
    watch.command("powers: verify", lambda: powers.verify(watch))
    circuit = watch.command(
        "circuit: init", lambda: CircuitCeremony.create(circuit_path, powers_path, program, 1, None, watch)
    )
    for _ in range(contributors):
        # Opened anew, as by a contributor, who verifies the powers too.
        circuit = CircuitCeremony.open(circuit_path)
        watch.command("circuit: contribute", lambda: circuit.contribute("someone", progress=watch))  # noqa: B023
    circuit = CircuitCeremony.open(circuit_path)
    watch.command(
        "circuit: finalize", lambda: circuit.finalize(circuit.close(Beacon(bytes(15) + b"\1"), watch))
    )
    circuit = CircuitCeremony.open(circuit_path)
    watch.command("circuit: verify, powers included", lambda: circuit.verify(watch))


if __name__ == "__main__":
    main()
