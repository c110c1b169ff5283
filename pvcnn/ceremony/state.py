"""What the states of both ceremonies have in common: arrays of points in a file that its digest names."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.curve import g1_on_curve, g1_to_points, g2_on_curve, g2_to_points
from pvcnn.algebra.multiples import multiples_g1, multiples_g2
from pvcnn.algebra.points import G1Point, G2Point
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.algebra.subgroups import g1_in_subgroup, g2_in_subgroup
from pvcnn.ceremony.description import Point
from pvcnn.ceremony.progress import Progress
from pvcnn.errors import CampaignError, DecodeError, VerificationError
from pvcnn.files import write_atomically
from pvcnn.qmp.array_file import Layout

Arrays = Mapping[str, NDArray[Any]]
State = TypeVar("State", bound="CeremonyState")
_STEP = 1 << 15


class CeremonyState(ABC):
    """Arrays that every contribution multiplies."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The order of the arrays in a file."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """By the names of the layout. Those called .._g1 hold points of G1, .._g2 of G2."""

    @abstractmethod
    def points(self) -> dict[str, Point]:
        """The points of the secrets (`Secret`), by name; as they are, on the curves or not."""

    @abstractmethod
    def times(self: State, factors: Mapping[str, int], progress: Progress) -> State:
        """The state with every secret multiplied by its factor. SECRET: the factors."""

    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return array_digest(self.layout, self.arrays())

    def save(self, path: Path) -> None:
        """Writes the file beside `path` and renames it."""
        write_atomically(path, self.layout.chunks(self.arrays()))


def array_digest(layout: Layout, arrays: Arrays) -> bytes:
    """SHA-256 of the file that `layout` makes of the arrays."""
    hasher = hashlib.sha256()
    for chunk in layout.chunks(arrays):
        hasher.update(chunk)
    return hasher.digest()


def load_arrays(layout: Layout, path: Path, digest: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a file that must have this digest, mapped into memory.

    Raises CampaignError if there is no such file, DecodeError if it is malformed or another one.
    """
    try:
        arrays = layout.load(path)
    except OSError as error:
        raise CampaignError(f"cannot read {path}: {error.strerror}") from error
    if array_digest(layout, arrays) != digest:
        raise DecodeError(f"{path.name}: not the file that the ceremony names")
    return arrays


def check_points(where: str, arrays: Arrays) -> None:
    """Raises VerificationError unless all points lie on their curves and in the subgroups of order r.

    arrays: names that end in _g1 or _g2; others are passed over. The second check overlooks a point with
    less than 2^-128 (`pvcnn.algebra.subgroups`).
    """
    checks = (("_g1", g1_on_curve, g1_in_subgroup), ("_g2", g2_on_curve, g2_in_subgroup))
    for suffix, on_curve, in_subgroup in checks:
        chosen = {name: array for name, array in arrays.items() if name.endswith(suffix)}
        for name, array in chosen.items():
            if not np.all(on_curve(array)):
                raise VerificationError(f"{where}: {name} holds something that is not a point")
        if not in_subgroup(list(chosen.values())):
            stray = ", ".join(name for name, array in chosen.items() if not in_subgroup([array]))
            raise VerificationError(f"{where}: {stray} holds points outside of its group")


def multiplied(
    points: Mapping[str, PointVector], factors: Mapping[str, ScalarVector], degree: int, progress: Progress
) -> dict[str, PointVector]:
    """Each array of points of one group times its factors, one a point. SECRET: the factors.

    They are overwritten.
    """
    multiples = multiples_g1 if degree == 1 else multiples_g2
    out: dict[str, PointVector] = {}
    try:
        for name, array in points.items():
            out[name] = np.empty_like(array)
            for start in range(0, len(array), _STEP):
                part = slice(start, start + _STEP)
                out[name][part] = multiples(array[part], factors[name][part])
                progress.advance(len(array[part]))
    finally:
        for factor in factors.values():
            factor.fill(0)
    return out


def repeated(factor: int, count: int) -> ScalarVector:
    """(count, 4): one factor for `count` points."""
    return scalars.geometric(factor, 1, count)


def to_g1(array: PointVector, row: int) -> G1Point:
    """One point of a vector of G1."""
    return g1_to_points(array[row : row + 1])[0]


def to_g2(array: PointVector, row: int) -> G2Point:
    """One point of a vector of G2."""
    return g2_to_points(array[row : row + 1])[0]


def total_rows(arrays: Iterable[NDArray[Any]]) -> int:
    """How many points all arrays have together."""
    return sum(len(array) for array in arrays)
