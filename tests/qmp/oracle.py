"""Does a witness satisfy a circuit, and if not, which gadgets object?"""

from __future__ import annotations

import secrets

import numpy as np

from pvcnn.algebra import scalars, sparse
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.bench.products import ProductCircuit
from pvcnn.qmp.applied_maps import derived_values
from pvcnn.qmp.circuit import ProgramCircuit
from pvcnn.qmp.system import ConstraintSystem, SparseMatrix, StageOne


def random_challenges() -> tuple[int, int, int]:
    """rho, theta and chi, drawn after stage one as the transcript's hash would."""
    rho, theta, chi = (2 + secrets.randbelow(SCALAR_MODULUS - 2) for _ in range(3))
    return rho, theta, chi


def all_columns(
    circuit: ProgramCircuit | ProductCircuit, stage_one: StageOne, challenges: tuple[int, int, int]
) -> ScalarVector:
    """Every wire: 1, the challenges, stage one, and the second stage that the circuit computes; and what
    follows from stage one without being a wire.
    """
    fixed = scalars.from_integers([1, *challenges])
    derived = derived_values(circuit.system, stage_one)
    second = circuit.second_stage(stage_one, challenges, derived)
    return np.concatenate([fixed, *map(scalars.as_elements, stage_one.in_order()), second, derived])


def residuals(system: ConstraintSystem, columns: ScalarVector) -> ScalarVector:
    """(A z)_j (B z)_j - (C z)_j of each row j."""

    def times(matrix: SparseMatrix) -> ScalarVector:
        return sparse.rows_times(matrix.starts, matrix.columns, matrix.coefficients, columns)

    left = scalars.multiply(times(system.a), times(system.b))
    return scalars.subtract(left, times(system.c))


def broken_rows(system: ConstraintSystem, columns: ScalarVector) -> np.ndarray:
    """The rows j with (A z)_j (B z)_j != (C z)_j."""
    return np.flatnonzero(~scalars.is_zero(residuals(system, columns)))


def objections(circuit: ProgramCircuit | ProductCircuit, stage_one: StageOne) -> set[str]:
    """The purposes of all rows that `stage_one` breaks under fresh challenges; empty for a true witness."""
    rows = broken_rows(circuit.system, all_columns(circuit, stage_one, random_challenges()))
    groups = circuit.lowered.groups
    ends = np.array([group.rows.stop for group in groups])
    return {groups[int(index)].purpose for index in np.searchsorted(ends, rows, side="right")}
