"""Ceremonies: each file mutated in the transcript that it belongs to."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.ceremony import circuit, powers
from pvcnn.ceremony.ceremony import Ceremony
from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
from pvcnn.ceremony.contribution import Contribution
from pvcnn.ceremony.description import CircuitDescription, PowersDescription
from pvcnn.ceremony.powers_ceremony import PowersCeremony
from pvcnn.ceremony.progress import Silence
from pvcnn.ceremony.record import CeremonyRecord
from pvcnn.qmp.keys import CircuitKey
from tests.mutation.samples import Samples
from tests.mutation.targets import Kind, Target

_Opener = type[PowersCeremony] | type[CircuitCeremony]


def _file(
    which: str, name: str, decode: Callable[[bytes], Any], opener: _Opener
) -> Callable[[Samples, Path], Target]:
    """A small file of a closed transcript, which is verified with the mutant in its place."""

    def make(samples: Samples, scratch: Path) -> Target:
        folder = scratch / which
        shutil.copytree(samples.root / which, folder)
        path = folder / name
        honest = path.read_bytes()

        def verify(artefact: Any) -> None:
            try:
                path.write_bytes(artefact.to_bytes())
                opener.open(folder).verify()
            finally:
                path.write_bytes(honest)

        return Target(honest, decode, lambda made: bytes(made.to_bytes()), verify)

    return make


def _state(which: str, opener: _Opener) -> Callable[[Samples, Path], Target]:
    """A state whose digest somebody has put into the last contribution: what it holds is checked then."""

    def make(samples: Samples, scratch: Path) -> Target:
        ceremony: Ceremony[Any] = opener.open(samples.root / which)
        chain = ceremony.verify().chain
        path = scratch / "state.safetensors"

        def read(data: bytes) -> Any:
            path.unlink(missing_ok=True)  # what is mapped keeps its own bytes
            path.write_bytes(data)
            digest = hashlib.sha256(data).digest()
            if isinstance(ceremony, CircuitCeremony):
                return circuit.CircuitState.load(path, digest, circuit.CircuitShape.of(ceremony.system))
            assert isinstance(ceremony, PowersCeremony)
            return powers.PowersState.load(path, digest, ceremony.description)

        def verify(state: Any) -> None:
            ceremony.check_state(state, chain.points, Silence())

        return Target(ceremony.folder.state(chain.state).read_bytes(), read, verify=verify, shape="arrays")

    return make


def _base(samples: Samples, scratch: Path) -> Target:
    """As a state: the description names it, and the powers and the circuit decide what it holds."""
    ceremony = CircuitCeremony.open(samples.circuit)
    verified = ceremony.verify()
    path = scratch / "base.safetensors"

    def read(data: bytes) -> circuit.CircuitBase:
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        return circuit.CircuitBase.load(path, hashlib.sha256(data).digest())

    def verify(base: circuit.CircuitBase) -> None:
        ceremony.__dict__["base"] = base  # the cached property
        ceremony.check_state(verified.state, verified.chain.points, Silence())

    return Target(ceremony.folder.base.read_bytes(), read, verify=verify, shape="arrays")


def _record(samples: Samples, scratch: Path) -> Target:
    keys = samples.circuit / "keys"
    key = CircuitKey.from_bytes((keys / "bare_verification_key.cbor").read_bytes())
    string = AggregationVerifierKey.from_bytes((keys / "aggregation_verifier_key.cbor").read_bytes())
    named_by = "whoever verifies the transcript: it digests the keys, of which a verifier has two"
    data = (samples.circuit / "record.cbor").read_bytes()
    return Target(
        data,
        CeremonyRecord.from_bytes,
        CeremonyRecord.to_bytes,
        lambda record: record.check(key, string),
        named_by=named_by,
    )


def _contribution(number: int, which: str, opener: _Opener) -> Callable[[Samples, Path], Target]:
    return _file(which, f"contributions/{number:06d}.cbor", Contribution.from_bytes, opener)


KINDS = [
    Kind(
        "pvcnn-powers-ceremony",
        ("pvcnn-powers-ceremony",),
        _file("powers", "ceremony.cbor", PowersDescription.from_bytes, PowersCeremony),
        20,
    ),
    Kind(
        "pvcnn-circuit-ceremony",
        ("pvcnn-circuit-ceremony",),
        _file("circuit", "ceremony.cbor", CircuitDescription.from_bytes, CircuitCeremony),
        20,
    ),
    *(
        Kind(name, ("pvcnn-ceremony-contribution",), _contribution(number, which, opener), 20)
        for name, number, which, opener in (
            ("pvcnn-ceremony-contribution, of powers", 1, "powers", PowersCeremony),
            ("pvcnn-ceremony-contribution, of a circuit", 1, "circuit", CircuitCeremony),
            ("pvcnn-ceremony-contribution, of a beacon", 2, "powers", PowersCeremony),
        )
    ),
    Kind("pvcnn-powers-state", ("pvcnn-powers-state",), _state("powers", PowersCeremony), 20),
    Kind("pvcnn-circuit-state", ("pvcnn-circuit-state",), _state("circuit", CircuitCeremony), 20),
    Kind("pvcnn-circuit-base", ("pvcnn-circuit-base",), _base, 20),
    Kind("pvcnn-ceremony-record", ("pvcnn-ceremony-record",), _record, 50),
]
