"""A tiny ceremony of both kinds, made once; tests get copies of its folders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pvcnn.ceremony.beacon import Beacon
from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
from pvcnn.ceremony.powers_ceremony import PowersCeremony
from pvcnn.program.layers import Linear, Sign
from pvcnn.program.program import Program

FIRST_BEACON = Beacon(bytes(range(32)), 10)
SECOND_BEACON = Beacon(bytes(range(1, 33)), 10)
DOMAIN_LOG2, MAX_PROOFS = 6, 2


def tiny_program(high: int = 7) -> Program:
    """Four features and a linear layer: 49 constraints, in a domain of 64."""
    return Program.chain((4,), -8, high, (Linear("head", 4, 1, 4, 6), Sign("decision")))


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """What is tiny takes longer on several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PVCNN_THREADS", "1")
        yield


@dataclass(frozen=True)
class Folders:
    """open_powers, open_circuit: two contributions each; powers, circuit: closed, the latter with keys."""

    open_powers: Path
    powers: Path
    open_circuit: Path
    circuit: Path


@pytest.fixture(scope="package")
def made(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("ceremony")
    folders = Folders(*(root / name for name in ("open-powers", "powers", "open-circuit", "circuit")))
    powers = PowersCeremony.create(folders.powers, DOMAIN_LOG2, MAX_PROOFS)
    for name in ("ann", "bob"):
        powers.contribute(name)
    shutil.copytree(folders.powers, folders.open_powers)
    powers.close(FIRST_BEACON)
    circuit = CircuitCeremony.create(folders.circuit, folders.powers, tiny_program(), 1)
    for name in ("ann", "cy"):
        circuit.contribute(name)
    shutil.copytree(folders.circuit, folders.open_circuit)
    circuit.finalize(circuit.close(SECOND_BEACON))
    return folders


@pytest.fixture
def folders(made: Folders, tmp_path: Path) -> Folders:
    """Copies that a test may spoil."""
    copies = Folders(*(tmp_path / name for name in ("open-powers", "powers", "open-circuit", "circuit")))
    for name in ("open_powers", "powers", "open_circuit", "circuit"):
        shutil.copytree(getattr(made, name), getattr(copies, name))
    return copies


@pytest.fixture
def open_powers(folders: Folders) -> PowersCeremony:
    return PowersCeremony.open(folders.open_powers)


@pytest.fixture
def open_circuit(folders: Folders) -> CircuitCeremony:
    return CircuitCeremony.open(folders.open_circuit)
