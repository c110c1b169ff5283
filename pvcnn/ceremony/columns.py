"""A constraint system's matrices as a ceremony needs them: their products with vectors, and their columns.

Everything that a ceremony asks of a matrix is here, so that matrices may come to hold more than their sparse
rows: whatever has a product with a vector of scalars and a transposed one with a vector of points will do.
"""

from __future__ import annotations

import numpy as np

from pvcnn.algebra import scalars
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.ntt import Domain
from pvcnn.algebra.point_columns import columns_times_points
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.qmp.peeling import wires_without_position
from pvcnn.qmp.system import ConstraintSystem, SparseMatrix


def column_points(system: ConstraintSystem, matrix: SparseMatrix, points: PointVector) -> PointVector:
    """M^T points: for each wire the sum of its coefficients in the rows of `matrix` times their points.

    points: at least one a row, of G1 or of G2.
    """
    rows = np.repeat(np.arange(matrix.rows), np.diff(matrix.starts))
    return columns_times_points(rows, matrix.columns, matrix.coefficients, system.segments.total, points)


def combined_polynomials(
    system: ConstraintSystem, domain: Domain, weights: ScalarVector
) -> tuple[ScalarVector, ScalarVector, ScalarVector]:
    """The coefficients of sum_i weights[i] u_i, and of v_i and of w_i, over all wires i: (n, 4) each."""
    u, v, w = (
        domain.interpolate(_padded(matrix.checked.times(weights), domain.size))
        for matrix in (system.a, system.b, system.c)
    )
    return u, v, w


def check_binding(system: ConstraintSystem) -> None:
    """Raises ValueError for a system in which one commitment could mean two things (`pvcnn.qmp.peeling`)."""
    if any((matrix.coefficients == 0).any() for matrix in (system.a, system.b, system.c)):
        raise ValueError("a constraint has a coefficient of zero, which peeling would take for an entry")
    if len(left_over := wires_without_position(system)):
        raise ValueError(f"{len(left_over)} wires may depend linearly on others of their segment")


def _padded(vector: ScalarVector, size: int) -> ScalarVector:
    return np.concatenate([vector, scalars.zeros(size - len(vector))])
