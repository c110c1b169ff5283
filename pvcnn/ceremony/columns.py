"""A constraint system's matrices as a ceremony needs them: their products with vectors, and their columns.

Everything that a ceremony asks of a matrix is here: whatever has a product with a vector of scalars and a
transposed one with a vector of points will do, sparse rows and linear maps of published weights so far.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.ntt import Domain
from pvcnn.algebra.point_columns import columns_times_points
from pvcnn.algebra.point_pairs import sums_and_differences
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.ceremony.map_points import transposed_map_points
from pvcnn.qmp.applied_maps import derived_values
from pvcnn.qmp.system import ConstraintSystem, SparseMatrix, StageOne


def column_points(system: ConstraintSystem, matrix: SparseMatrix, points: PointVector) -> PointVector:
    """(width, 12 d): for each column the sum of its coefficients in the rows of `matrix` times their points.

    points: at least one a row, of G1 or of G2. Columns of derived values are columns like others here:
    `fold_derived` turns them into those of wires.
    """
    return columns_times_points(_rows(matrix), matrix.columns, matrix.coefficients, system.width, points)


def fold_derived(system: ConstraintSystem, columns: PointVector) -> PointVector:
    """(total, 12 d): the columns of the wires, to which those of derived values are added as combinations."""
    if system.applied:
        columns = columns.copy()
    for each in reversed(system.applied):
        values = columns[each.columns]
        if values.any():
            argument = each.argument
            inputs = transposed_map_points(each.map, values)
            added = columns_times_points(
                _rows(argument), argument.columns, argument.coefficients, system.width, inputs
            )
            met = np.unique(argument.columns)
            columns[met] = sums_and_differences(columns[met], added[met])[0]
    return columns[: system.segments.total]


def random_weights(system: ConstraintSystem) -> ScalarVector:
    """(total, 4): 1 for the constant wire, and a random scalar for every other one."""
    weights = scalars.random(system.segments.total)
    weights[:1] = scalars.element(1)
    return weights


def combined_polynomials(
    system: ConstraintSystem, domain: Domain, weights: ScalarVector
) -> tuple[ScalarVector, ScalarVector, ScalarVector]:
    """The coefficients of sum_i weights[i] u_i, and of v_i and of w_i, over all wires i: (n, 4) each.

    weights: of all wires, 1 for the constant: derived values are evaluated as those of a witness.
    """
    first = system.segments.pub - system.segments.outputs
    outputs: Any = weights[first : system.segments.pub]
    spans: list[Any] = [weights[system.segments.span(name)] for name in ("in", "w", "aux", "lab")]
    stage_one = StageOne(outputs, *spans)
    values = np.concatenate([weights, derived_values(system, stage_one)])
    u, v, w = (
        domain.interpolate(_padded(matrix.checked.times(values), domain.size))
        for matrix in (system.a, system.b, system.c)
    )
    return u, v, w


def _rows(matrix: SparseMatrix) -> NDArray[np.int64]:
    """The row of each entry."""
    return np.repeat(np.arange(matrix.rows), np.diff(matrix.starts))


def _padded(vector: ScalarVector, size: int) -> ScalarVector:
    return np.concatenate([vector, scalars.zeros(size - len(vector))])
