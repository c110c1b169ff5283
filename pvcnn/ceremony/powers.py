"""The powers of tau that circuits build on, and the aggregation's two strings, as a ceremony leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pvcnn.aggregate.reference_string import AggregationKey, Powers
from pvcnn.algebra import scalars
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.curve import fixed_base_g1, fixed_base_g2, g1_to_points, g2_to_points
from pvcnn.ceremony.description import Point, PowersDescription
from pvcnn.ceremony.progress import Progress
from pvcnn.ceremony.state import CeremonyState, load_arrays, multiplied, to_g1, total_rows
from pvcnn.errors import DecodeError
from pvcnn.qmp.array_file import Column, Layout

_G1, _G2 = Column("U64", 12), Column("U64", 24)

LAYOUT = Layout(
    "pvcnn-powers-state",
    1,
    {
        "tau_g2": _G2,
        "beta_g2": _G2,
        "a_g2": _G2,
        "b_g2": _G2,
        "tau_g1": _G1,
        "alpha_g1": _G1,
        "beta_g1": _G1,
        "a_g1": _G1,
        "b_g1": _G1,
    },
)


@dataclass(frozen=True, eq=False)
class PowersState(CeremonyState):
    """With n the domain's size and M the number of proofs:

    tau_g1 = [tau^i]1 for i < 2 n - 1; tau_g2 = [tau^i]2, alpha_g1 = [alpha tau^i]1 and beta_g1 =
    [beta tau^i]1 for i < n; beta_g2 = [beta]2; a_g1 = [a^i]1 for i < 2 M, a_g2 = [a^i]2 for i < M, and b
    likewise.
    """

    tau_g2: PointVector
    beta_g2: PointVector
    a_g2: PointVector
    b_g2: PointVector
    tau_g1: PointVector
    alpha_g1: PointVector
    beta_g1: PointVector
    a_g1: PointVector
    b_g1: PointVector

    @classmethod
    def initial(cls, domain_log2: int, max_proofs: int) -> PowersState:
        """Every secret is 1."""
        counts = _counts(domain_log2, max_proofs)
        bases = {1: fixed_base_g1, 2: fixed_base_g2}
        return cls(**{name: bases[_degree(name)](scalars.powers(1, count)) for name, count in counts.items()})

    @classmethod
    def load(cls, path: Path, digest: bytes, description: PowersDescription) -> PowersState:
        """The state in a file. Raises as `load_arrays`, and DecodeError for other numbers of points."""
        arrays = load_arrays(LAYOUT, path, digest)
        counts = _counts(description.domain_log2, description.max_proofs)
        if {name: len(array) for name, array in arrays.items()} != counts:
            raise DecodeError(f"{path.name}: missing or surplus powers")
        return cls(**arrays)

    @property
    def layout(self) -> Layout:
        return LAYOUT

    @property
    def domain_size(self) -> int:
        return len(self.tau_g2)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def points(self) -> dict[str, Point]:
        rows = {"tau": ("tau_g1", 1), "alpha": ("alpha_g1", 0), "beta": ("beta_g1", 0)}
        rows |= {"a": ("a_g1", 1), "b": ("b_g1", 1)}
        return {name: to_g1(getattr(self, array), row) for name, (array, row) in rows.items()}

    def times(self, factors: Mapping[str, int], progress: Progress) -> PowersState:
        arrays = self.arrays()
        progress.begin("multiplying", total_rows(arrays.values()))
        done: dict[str, PointVector] = {}
        for degree in (1, 2):
            chosen = {name: array for name, array in arrays.items() if _degree(name) == degree}
            exponents = {
                name: scalars.geometric(*_progression(name, factors), len(array))
                for name, array in chosen.items()
            }
            done |= multiplied(chosen, exponents, degree, progress)
        return PowersState(**done)

    def aggregation_key(self) -> AggregationKey:
        """The aggregation's reference string. Raises ValueError for one that it refuses."""
        a, b = (
            Powers(tuple(g1_to_points(in_g1)), tuple(g2_to_points(in_g2)))
            for in_g1, in_g2 in ((self.a_g1, self.a_g2), (self.b_g1, self.b_g2))
        )
        return AggregationKey(a, b)


def _counts(domain_log2: int, max_proofs: int) -> dict[str, int]:
    size = 1 << domain_log2
    return {
        "tau_g2": size,
        "beta_g2": 1,
        "a_g2": max_proofs,
        "b_g2": max_proofs,
        "tau_g1": 2 * size - 1,
        "alpha_g1": size,
        "beta_g1": size,
        "a_g1": 2 * max_proofs,
        "b_g1": 2 * max_proofs,
    }


def _degree(name: str) -> int:
    return 2 if name.endswith("_g2") else 1


def _progression(name: str, factors: Mapping[str, int]) -> tuple[int, int]:
    """The first factor of an array and the ratio of each to the one before it."""
    secret = name[:-3]
    if secret in ("alpha", "beta"):
        return factors[secret], factors["tau"]
    return 1, factors[secret]
