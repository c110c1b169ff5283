"""Constraint counts of the shipped models, by gadget: a committed table that nobody changes unknowingly.

After a deliberate change: `python -m tests.models.test_circuit_size` writes the table anew.
"""

from __future__ import annotations

import json
from pathlib import Path

from pvcnn.data.frames import CALIBRATION_FRAMES, PIXEL_BOUND, calibration_frames
from pvcnn.models.store import load_detector
from pvcnn.partition.split import split
from pvcnn.qmp.circuit import compile_program

TABLE = Path(__file__).with_name("circuit_sizes.json")


def measured() -> dict[str, dict[str, int]]:
    """By model and gadget: the demo's detector, split as the demo splits it."""
    parts = split(load_detector(), calibration_frames(CALIBRATION_FRAMES), pixel_bound=PIXEL_BOUND)
    circuit = compile_program(parts.public.program, 1)
    return {"deepfake detector": {**circuit.counts(), "all": circuit.system.constraints}}


def test_counts_are_the_committed_ones() -> None:
    assert measured() == json.loads(TABLE.read_text())


def test_the_demo_fits_its_domain() -> None:
    """One constraint more than 2^17 would double the prover's transforms."""
    assert all(counts["all"] <= 1 << 17 for counts in json.loads(TABLE.read_text()).values())


if __name__ == "__main__":
    TABLE.write_text(json.dumps(measured(), indent=2) + "\n")
