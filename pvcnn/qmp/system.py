"""Rank-1 constraint systems as index arrays: what the QMP is lowered to and what the prover proves.

Constraint j is (A z)_j (B z)_j = (C z)_j over F_r. Wires are ordered by segment:

    pub   1, the challenges, the outputs         public
    in    features                               committed, D_in
    w     weights and biases of the public part  committed, D_w
    lab   labels, where the program takes them   committed, D_lab, by who knows them
    aux   the rest of stage one                  committed, D_aux
    priv  stage two: depends on the challenges

Behind the columns of the wires the matrices may have more: those of values that are known linear functions
of stage-one wires, and stand for them (`AppliedMap`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.scalars import ScalarVector
from pvcnn.program.linear_maps import LinearMap
from pvcnn.qmp.challenges import CHALLENGES as CHALLENGES

if TYPE_CHECKING:  # it needs numba, which a verifier may lack
    from pvcnn.algebra.sparse import Rows


#: All segments, in the order of their wires.
SEGMENTS: Final = ("pub", "in", "w", "lab", "aux", "priv")


@dataclass(frozen=True)
class Segments:
    """Number of wires of each segment; `pub` counts the constant and the challenges too."""

    pub: int
    in_: int
    w: int
    aux: int
    priv: int
    lab: int = 0

    @property
    def outputs(self) -> int:
        return self.pub - 1 - len(CHALLENGES)

    @property
    def total(self) -> int:
        return sum(self._counts)

    @property
    def committed(self) -> tuple[str, ...]:
        """The segments that stage one commits to: all but pub and priv, and lab only if it has wires."""
        return ("in", "w", "lab", "aux") if self.lab else ("in", "w", "aux")

    @property
    def _counts(self) -> tuple[int, ...]:
        return self.pub, self.in_, self.w, self.lab, self.aux, self.priv

    def span(self, name: str) -> slice:
        """Where segment `name`, one of SEGMENTS, lies among the wires."""
        place = SEGMENTS.index(name)
        start = sum(self._counts[:place])
        return slice(start, start + self._counts[place])


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """Compressed sparse rows. Row j has wires columns[starts[j]:starts[j+1]], with as many coefficients.

    Coefficients are small integers (int64), reduced modulo r where they are used. No (row, wire)
    pair occurs twice.
    """

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    coefficients: NDArray[np.int64]

    @property
    def rows(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def checked(self) -> Rows:
        """The matrix for products with vectors over F_r."""
        from pvcnn.algebra.sparse import Rows

        return Rows(self.starts, self.columns, self.coefficients)


@dataclass(frozen=True, eq=False)
class AppliedMap:
    """The columns `columns` hold map(argument z): values that are no wires.

    argument: a row for each entry of the map's inputs, frame by frame, over stage-one wires and the columns
    of maps before it. `pvcnn.qmp.applied_maps` evaluates and transposes them.
    """

    map: LinearMap
    argument: SparseMatrix
    columns: slice

    @property
    def count(self) -> int:
        return int(self.columns.stop - self.columns.start)


@dataclass(frozen=True, eq=False)
class ConstraintSystem:
    """Matrices over the columns of all wires, and of the values that `applied` defines, in this order."""

    segments: Segments
    a: SparseMatrix
    b: SparseMatrix
    c: SparseMatrix
    applied: tuple[AppliedMap, ...] = ()

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.segments.total + sum(each.count for each in self.applied)

    @property
    def constraints(self) -> int:
        return self.a.rows


@dataclass(frozen=True, eq=False)
class StageOne:
    """Everything that is committed before the challenges: all of it int64.

    outputs: (segments.outputs,); in_, w, aux, lab: one entry per wire of their segments.
    """

    outputs: NDArray[np.int64]
    in_: NDArray[np.int64]
    w: NDArray[np.int64]
    aux: NDArray[np.int64]
    lab: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def in_order(self) -> tuple[NDArray[np.int64], ...]:
        """All of it, in the order of the wires."""
        return self.outputs, self.in_, self.w, self.lab, self.aux


class Circuit(Protocol):
    """What the prover needs to know of a circuit."""

    @property
    def system(self) -> ConstraintSystem: ...

    def second_stage(
        self, stage_one: StageOne, challenges: tuple[int, int, int], derived: ScalarVector
    ) -> ScalarVector:
        """The priv wires, given stage one, (rho, theta, chi), and `derived_values` of stage one."""
        ...
