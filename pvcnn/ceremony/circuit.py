"""A circuit's part of the keys: what depends on its own secrets, and what the powers alone determine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.scalars import ScalarVector, from_integers
from pvcnn.ceremony.description import Point, eta_name, gamma_name
from pvcnn.ceremony.progress import Progress
from pvcnn.ceremony.state import (
    CeremonyState,
    array_digest,
    load_arrays,
    multiplied,
    repeated,
    to_g1,
    to_g2,
    total_rows,
)
from pvcnn.errors import DecodeError
from pvcnn.files import write_atomically
from pvcnn.qmp.array_file import Column, Layout
from pvcnn.qmp.proving_key import domain_size
from pvcnn.qmp.system import ConstraintSystem

_G1, _G2, _WIRES = Column("U64", 12), Column("U64", 24), Column("I32")

BASE_LAYOUT: Final = Layout(
    "pvcnn-circuit-base",
    1,
    {"v_g2": _G2, "u_g1": _G1, "v_g1": _G1, "a_wires": _WIRES, "b_wires": _WIRES},
)
STATE_FORMAT: Final = "pvcnn-circuit-state"


@dataclass(frozen=True)
class CircuitShape:
    """How many points of each kind a circuit's keys have.

    visible: (segment, wires) of those with a gamma, pub first, then the committed ones in their order;
    private: wires of priv; domain: the evaluation domain's size.
    """

    visible: tuple[tuple[str, int], ...]
    private: int
    domain: int

    @classmethod
    def of(cls, system: ConstraintSystem) -> CircuitShape:
        def wires(segment: str) -> int:
            return len(range(system.segments.total)[system.segments.span(segment)])

        visible = tuple((segment, wires(segment)) for segment in ("pub", *system.segments.committed))
        return cls(visible, wires("priv"), domain_size(system.constraints))

    @property
    def committed(self) -> tuple[str, ...]:
        return tuple(segment for segment, _ in self.visible[1:])

    @property
    def segments(self) -> tuple[str, ...]:
        """All that have a gamma."""
        return tuple(segment for segment, _ in self.visible)

    def counts(self) -> dict[str, int]:
        """The rows of each array of a state, in the order of the file."""
        return {
            "delta_g2": 1,
            "gamma_g2": len(self.visible),
            **{segment_array(segment): wires for segment, wires in self.visible},
            "private_g1": self.private,
            "quotient_g1": self.domain - 1,
            "delta_g1": 1,
            "blinding_gamma_g1": len(self.committed),
            "blinding_delta_g1": len(self.committed),
        }

    @property
    def layout(self) -> Layout:
        columns = {name: _G2 if name.endswith("_g2") else _G1 for name in self.counts()}
        return Layout(STATE_FORMAT, 1, columns)


@dataclass(frozen=True, eq=False)
class CircuitBase:
    """What the powers and the circuit determine: as in a proving key, by the same names."""

    a_wires: NDArray[np.int32]
    b_wires: NDArray[np.int32]
    u_g1: PointVector
    v_g1: PointVector
    v_g2: PointVector

    @classmethod
    def load(cls, path: Path, digest: bytes) -> CircuitBase:
        """Raises as `load_arrays`, and DecodeError if the arrays contradict each other."""
        base = cls(**load_arrays(BASE_LAYOUT, path, digest))
        if len(base.a_wires) != len(base.u_g1) or not len(base.b_wires) == len(base.v_g1) == len(base.v_g2):
            raise DecodeError(f"{path.name}: the wires of A and B do not match their points")
        return base

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in BASE_LAYOUT.columns}

    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return array_digest(BASE_LAYOUT, self.arrays())

    def save(self, path: Path) -> None:
        write_atomically(path, BASE_LAYOUT.chunks(self.arrays()))


@dataclass(frozen=True, eq=False)
class CircuitState(CeremonyState):
    """points_of: the arrays of docs/ceremony.md by name, with as many rows as `shape` says.

    SEGMENT_g1 = [K_i/gamma_s]1 of each visible segment; private_g1 = [K_i/delta]1; quotient_g1 =
    [tau^j T(tau)/delta]1; delta_g1, delta_g2; gamma_g2 = [gamma_s]2 in the order of `shape.visible`;
    blinding_gamma_g1, blinding_delta_g1 = [eta_s/gamma_s]1 and [eta_s/delta]1 of the committed ones.
    """

    shape: CircuitShape
    points_of: Mapping[str, PointVector]

    @classmethod
    def load(cls, path: Path, digest: bytes, shape: CircuitShape) -> CircuitState:
        """The state in a file. Raises as `load_arrays`, and DecodeError for other numbers of points."""
        arrays = load_arrays(shape.layout, path, digest)
        if {name: len(array) for name, array in arrays.items()} != shape.counts():
            raise DecodeError(f"{path.name}: these are no keys of this circuit: missing or surplus points")
        return cls(shape, arrays)

    @property
    def layout(self) -> Layout:
        return self.shape.layout

    def arrays(self) -> dict[str, NDArray[Any]]:
        return dict(self.points_of)

    def points(self) -> dict[str, Point]:
        gamma, blinding = self.points_of["gamma_g2"], self.points_of["blinding_delta_g1"]
        return {
            "delta": to_g2(self.points_of["delta_g2"], 0),
            **{gamma_name(each): to_g2(gamma, row) for row, each in enumerate(self.shape.segments)},
            **{eta_name(each): to_g1(blinding, row) for row, each in enumerate(self.shape.committed)},
        }

    def times(self, factors: Mapping[str, int], progress: Progress) -> CircuitState:
        progress.begin("multiplying", total_rows(self.points_of.values()))
        done: dict[str, PointVector] = {}
        for degree in (1, 2):
            suffix = f"_g{degree}"
            chosen = {name: array for name, array in self.points_of.items() if name.endswith(suffix)}
            vectors = self._factors(factors, [*chosen])
            done |= multiplied(chosen, vectors, degree, progress)
        return CircuitState(self.shape, {name: done[name] for name in self.points_of})

    def _factors(self, factors: Mapping[str, int], names: list[str]) -> dict[str, ScalarVector]:
        """What each point of the named arrays is multiplied by."""
        counts = self.shape.counts()
        per_delta = _inverse(factors["delta"])
        single = {segment_array(each): _inverse(factors[gamma_name(each)]) for each in self.shape.segments}
        single |= {"private_g1": per_delta, "quotient_g1": per_delta}
        single |= {"delta_g1": factors["delta"], "delta_g2": factors["delta"]}
        etas = [factors[eta_name(each)] for each in self.shape.committed]
        gammas = [factors[gamma_name(each)] for each in self.shape.segments]
        several = {
            "gamma_g2": gammas,
            "blinding_gamma_g1": [e * _inverse(g) for e, g in zip(etas, gammas[1:], strict=True)],
            "blinding_delta_g1": [e * per_delta for e in etas],
        }
        return {
            name: from_integers(several[name]) if name in several else repeated(single[name], counts[name])
            for name in names
        }


def segment_array(segment: str) -> str:
    """The name of the array of [K_i/gamma_s]1."""
    return f"{segment}_g1"


def _inverse(value: int) -> int:
    return pow(value, -1, SCALAR_MODULUS)
