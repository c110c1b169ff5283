"""The proving key of one circuit: points of docs/protocol.md, section "The proof system", as arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import CampaignError, DecodeError
from pvcnn.files import write_atomically
from pvcnn.qmp.array_file import Column, Layout
from pvcnn.qmp.keys import CircuitKey
from pvcnn.qmp.system import Segments

#: (n, 12) and (n, 24) uint64, affine, as pvcnn.algebra.curve has them; the identity is all zero.
PointsG1 = NDArray[np.uint64]
PointsG2 = NDArray[np.uint64]

MIN_DOMAIN: Final = 2
_G1, _G2 = Column("U64", 12), Column("U64", 24)

LAYOUT: Final = Layout(
    "pvcnn-proving-key",
    2,
    {
        "v_g2": _G2,
        "u_g1": _G1,
        "v_g1": _G1,
        "in_g1": _G1,
        "w_g1": _G1,
        "lab_g1": _G1,
        "aux_g1": _G1,
        "private_g1": _G1,
        "quotient_g1": _G1,
        "beta_g1": _G1,
        "delta_g1": _G1,
        "blinding_gamma_g1": _G1,
        "blinding_delta_g1": _G1,
        "a_wires": Column("I32"),
        "b_wires": Column("I32"),
        "circuit_key": Column("U8"),
    },
)


def domain_size(constraints: int) -> int:
    """The least power of two that has room for every constraint."""
    return max(MIN_DOMAIN, 1 << (constraints - 1).bit_length())


def wire_order(segments: Segments, present: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The present wires, those of stage one first: they hold small integers, the rest full scalars.

    Stage one is outputs, in, w, lab and aux; the rest is the constant, the challenges and priv.
    """
    first, last = segments.pub - segments.outputs, segments.total - segments.priv
    wires = np.arange(segments.total, dtype=np.int32)
    order = np.concatenate([wires[first:last], wires[:first], wires[last:]])
    return np.ascontiguousarray(order[present[order]])


@dataclass(frozen=True, eq=False)
class ProvingKey:
    """Points in G1 as (n, 12) and in G2 as (n, 24) uint64; read-only where they come from a file.

    circuit_key: what the verifier gets, without a model's weights.
    a_wires, b_wires: the wires whose u_i, v_i are not zero, in the order of `wire_order`;
    u_g1, v_g1, v_g2: [u_i(tau)]1, [v_i(tau)]1, [v_i(tau)]2 of those wires.
    in_g1, w_g1, lab_g1, aux_g1: [K_i/gamma_s]1 of every wire of the segment; private_g1: [K_i/delta]1.
    quotient_g1: [tau^j T(tau)/delta]1 for j < n - 1, n the size of the evaluation domain.
    beta_g1, delta_g1: one row each. blinding_gamma_g1, blinding_delta_g1: [eta_s/gamma_s]1 and
    [eta_s/delta]1, a row for each of `committed`. With labels, lab has a wire a frame.

    Raises ValueError if the numbers of rows or the wires contradict each other. Whether the points
    are points is a matter for `pvcnn.qmp.key_check`, and their layout for sums one for
    `pvcnn.qmp.prepared_key`.
    """

    circuit_key: CircuitKey
    a_wires: NDArray[np.int32]
    b_wires: NDArray[np.int32]
    u_g1: PointsG1
    v_g1: PointsG1
    v_g2: PointsG2
    in_g1: PointsG1
    w_g1: PointsG1
    lab_g1: PointsG1
    aux_g1: PointsG1
    private_g1: PointsG1
    quotient_g1: PointsG1
    beta_g1: PointsG1
    delta_g1: PointsG1
    blinding_gamma_g1: PointsG1
    blinding_delta_g1: PointsG1

    def __post_init__(self) -> None:
        size = self.domain_size
        if size < MIN_DOMAIN or size & (size - 1):
            raise ValueError("the evaluation domain's size is not a power of two")
        if len(self.u_g1) != len(self.a_wires) or not len(self.v_g1) == len(self.v_g2) == len(self.b_wires):
            raise ValueError("the wires of A and B do not match their points")
        if (len(self.beta_g1), len(self.delta_g1)) != (1, 1):
            raise ValueError("beta and delta must be one point each")
        if len(self.lab_g1) != (self.frames if self.circuit_key.takes_labels else 0):
            raise ValueError("there must be one point for each frame's label, and none without labels")
        if not len(self.blinding_gamma_g1) == len(self.blinding_delta_g1) == len(self.committed):
            raise ValueError("there must be one blinding point for each committed segment")
        for wires in (self.a_wires, self.b_wires):
            self._check_wires(wires)

    def _check_wires(self, wires: NDArray[np.int32]) -> None:
        total = self.segments.total
        if len(wires) and not (wires.min() >= 0 and wires.max() < total):
            raise ValueError("a wire of A or B does not exist")
        present = np.zeros(total, np.bool_)
        present[wires] = True
        if not np.array_equal(wire_order(self.segments, present), wires):
            raise ValueError("the wires of A or B are not in order")

    @property
    def frames(self) -> int:
        return self.circuit_key.frames

    @cached_property
    def segments(self) -> Segments:
        return Segments(
            len(self.circuit_key.public_g1),
            len(self.in_g1),
            len(self.w_g1),
            len(self.aux_g1),
            len(self.private_g1),
            len(self.lab_g1),
        )

    @property
    def committed(self) -> tuple[str, ...]:
        """The committed segments, in the order of the rows of the blinding points."""
        return self.segments.committed

    @property
    def domain_size(self) -> int:
        return len(self.quotient_g1) + 1

    def stage_one_count(self, wires: NDArray[np.int32]) -> int:
        """How many of `a_wires` or `b_wires` hold small integers: they are the first ones."""
        first = self.segments.pub - self.segments.outputs
        last = self.segments.total - self.segments.priv
        return int(np.count_nonzero((wires >= first) & (wires < last)))

    def committed_g1(self, segment: str) -> PointsG1:
        """[K_i/gamma_s]1 of segment 'in', 'w', 'lab' or 'aux'."""
        return {"in": self.in_g1, "w": self.w_g1, "lab": self.lab_g1, "aux": self.aux_g1}[segment]

    def digest(self) -> bytes:
        """SHA-256 of the encoding."""
        hasher = hashlib.sha256()
        for chunk in LAYOUT.chunks(self._arrays()):
            hasher.update(chunk)
        return hasher.digest()

    def to_bytes(self) -> bytes:
        return b"".join(LAYOUT.chunks(self._arrays()))

    @classmethod
    def from_bytes(cls, data: bytes) -> ProvingKey:
        """Inverse of `to_bytes`, without a copy. Raises DecodeError for anything malformed.

        Points are not looked at here but by `check_proving_key`, once, before the first proof.
        """
        if not isinstance(data, bytes):
            raise DecodeError(f"{LAYOUT.format_name}: expected bytes")
        return cls.from_arrays(LAYOUT.parse(np.frombuffer(data, np.uint8)))

    def save(self, path: Path) -> None:
        """Writes the encoding beside `path` and renames it, so that no reader sees half a key."""
        write_atomically(path, LAYOUT.chunks(self._arrays()))

    @classmethod
    def load(cls, path: Path) -> ProvingKey:
        """Maps the file into memory: points are read when the prover first touches them.

        Raises CampaignError if there is no such file and DecodeError if it is malformed.
        """
        try:
            arrays = LAYOUT.load(path)
        except OSError as error:
            raise CampaignError(f"cannot read {path}: {error.strerror}; run setup") from error
        return cls.from_arrays(arrays)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """A key of the arrays of a file, by name. Raises DecodeError if they contradict each other."""
        points = dict(arrays)
        circuit_key = CircuitKey.from_bytes(points.pop("circuit_key").tobytes())
        try:
            return cls(circuit_key, **points)
        except ValueError as error:
            raise DecodeError(f"{LAYOUT.format_name}: {error}") from error

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays = {name: getattr(self, name) for name in LAYOUT.columns if name != "circuit_key"}
        return arrays | {"circuit_key": np.frombuffer(self.circuit_key.to_bytes(), np.uint8)}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as its arrays, so that an object store can share them between processes."""
        return ProvingKey.from_arrays, (self._arrays(),)
