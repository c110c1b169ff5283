"""Constraint counts of the shipped models, by gadget: a committed table that nobody changes unknowingly.

After a deliberate change: `python -m tests.models.test_circuit_size` writes the table anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from pvcnn.data.frames import CALIBRATION_FRAMES, PIXEL_BOUND, calibration_frames
from pvcnn.models.catalogue import CATALOGUE, create, frames
from pvcnn.models.deepfake import PRIVATE_BLOCKS
from pvcnn.models.store import load_detector, load_one_block_detector
from pvcnn.partition.split import split
from pvcnn.qmp.circuit import ProgramCircuit, compile_program

TABLE = Path(__file__).with_name("circuit_sizes.json")
MODELS = Path(__file__).parents[2] / "docs" / "models.md"
#: Detectors behind a cut, with committed weights: where the demo cuts, and where its detector is to be cut.
CUTS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "deepfake detector": (load_detector, 1),
    "deepfake detector, three private blocks": (load_detector, PRIVATE_BLOCKS),
    "one-block detector": (load_one_block_detector, 1),
}
#: Frames that calibrate a network of the catalogue.
CALIBRATING = 2
#: Where 32x32 would need more time and memory than a test should, 16x16 are taken.
CROPPED = {"mobilenetv2": 16, "densenet": 16}


def counts(circuit: ProgramCircuit) -> dict[str, int]:
    return {**circuit.counts(), "all": circuit.system.constraints}


def of_cut(name: str) -> dict[str, int]:
    """What is public behind a cut, calibrated as the demo calibrates it."""
    load, cut = CUTS[name]
    parts = split(load(), calibration_frames(CALIBRATION_FRAMES), cut, pixel_bound=PIXEL_BOUND)
    return counts(compile_program(parts.public.program, 1))


def of_network(name: str) -> dict[str, int]:
    """A network of the catalogue without a private part, its weights published."""
    torch.set_num_threads(1)
    batch = frames(name, CALIBRATING, seed=1)
    side = CROPPED.get(name, batch.shape[-1])
    public = split(create(name, seed=0), batch[..., :side, :side], cut=0).public
    return counts(compile_program(public.program, 1, published=public.weights))


def table() -> dict[str, dict[str, int]]:
    stored: dict[str, dict[str, int]] = json.loads(TABLE.read_text())
    return stored


@pytest.mark.parametrize("name", CUTS)
def test_counts_are_the_committed_ones(name: str) -> None:
    assert of_cut(name) == table()[name]


@pytest.mark.parametrize("name", CUTS)
def test_the_detectors_fit_their_domain(name: str) -> None:
    """One constraint more than 2^17 would double the prover's transforms."""
    assert table()[name]["all"] <= 1 << 17


@pytest.mark.parametrize("name", CATALOGUE)
def test_counts_of_networks_are_the_committed_ones(name: str) -> None:
    assert of_network(name) == table()[name]


def test_published_linear_layers_cost_nothing() -> None:
    """No product is left but those of tensors with tensors and those within comparisons."""
    gadgets = {gadget for name in CATALOGUE for gadget in table()[name]}
    assert gadgets.isdisjoint({"convolution", "matrix product"})


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_documented_counts_are_the_committed_ones(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|.*\| ([\d,]+)( at 16x16)? \|$", MODELS.read_text(), re.MULTILINE)
    assert row == (f"{table()[name]['all']:,}", " at 16x16" if name in CROPPED else "")


if __name__ == "__main__":
    made = {name: of_cut(name) for name in CUTS}
    made |= {name: of_network(name) for name in CATALOGUE}
    TABLE.write_text(json.dumps(made, indent=2) + "\n")
