"""Derived values over F_r: evaluated from the wires, and their columns folded back onto the wires'.

With L the matrix of all maps, arguments included, that is L z for the prover, and L^T x for setup. Both apply
the maps to batches (`pvcnn.program.linear_maps`); L is never made.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.integer_maps import apply_integer_map
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.algebra.sparse import Rows
from pvcnn.program.linear_maps import LinearMap
from pvcnn.qmp.system import AppliedMap, ConstraintSystem, SparseMatrix, StageOne

Integers = NDArray[np.int64]

_INT64_EXACT = 1 << 63


def derived_values(system: ConstraintSystem, stage_one: StageOne) -> ScalarVector:
    """(width - total, 4): what the columns behind the wires hold, for any stage one, right or wrong.

    Integers are multiplied as integers, and lifted; field elements, or integers that are too large for
    that, take the slower way through limbs.
    """
    if not system.applied:
        return scalars.zeros(0)
    given = stage_one.in_order()
    if all(values.dtype == np.int64 for values in given):
        integers = _derived_integers(system, np.concatenate(given))
        if integers is not None:
            return scalars.from_int64(integers)
    return _derived_elements(system, np.concatenate([scalars.as_elements(values) for values in given]))


def column_sums(system: ConstraintSystem, matrix: SparseMatrix, weights: ScalarVector) -> ScalarVector:
    """(total, 4): for each wire the sum of its coefficients in the rows of `matrix`, times weights (rows, 4).

    That is M^T `weights`, where M is `matrix` with derived values written as the combinations of wires that
    they are. What else was computed on the way is overwritten: `weights` may be secret.
    """
    sums = matrix.checked.transposed(system.width).times(weights)
    for each in reversed(system.applied):
        values = sums[each.columns]
        if values.any():
            _add_transposed(each, values, sums)
            values.fill(0)
    return sums[: system.segments.total]


def _derived_integers(system: ConstraintSystem, known: Integers) -> Integers | None:
    """The derived values, given stage one's; None if a sum on the way might not fit int64."""
    z = np.zeros(system.width, np.int64)
    first = system.segments.pub - system.segments.outputs
    z[0], z[first : first + len(known)] = 1, known
    return z[system.segments.total :] if all(_fill_integers(each, z) for each in system.applied) else None


def _derived_elements(system: ConstraintSystem, known: ScalarVector) -> ScalarVector:
    z = scalars.zeros(system.width)
    first = system.segments.pub - system.segments.outputs
    z[:1], z[first : first + len(known)] = scalars.element(1), known
    for each in system.applied:
        z[each.columns] = _times(each, z)
    return z[system.segments.total :]


def _fill_integers(applied: AppliedMap, z: Integers) -> bool:
    """Fills the map's columns of z, if int64 certainly has room for every sum on the way."""
    argument = applied.argument
    most = int(np.diff(argument.starts).max(initial=0)) * _magnitude(argument.coefficients)
    if most * _magnitude(z) >= _INT64_EXACT:
        return False
    inputs = _rows_times(argument, z)
    if applied.map.forward_gain * _magnitude(inputs) >= _INT64_EXACT:
        return False
    z[applied.columns] = applied.map.times_integers(inputs.reshape(-1, *applied.map.inputs)).reshape(-1)
    return True


def _magnitude(values: Integers) -> int:
    return max(int(values.max(initial=0)), -int(values.min(initial=0)))


def _rows_times(matrix: SparseMatrix, z: Integers) -> Integers:
    terms = matrix.coefficients * z[matrix.columns]
    if matrix.rows == len(terms) and (np.diff(matrix.starts) == 1).all():
        return terms
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(terms)])
    sums: Integers = before[matrix.starts[1:]] - before[matrix.starts[:-1]]
    return sums


def _times(applied: AppliedMap, z: ScalarVector) -> ScalarVector:
    inputs = applied.argument.checked.times(z)
    function = partial(_forward, applied.map)
    return apply_integer_map(function, applied.map.forward_gain, applied.count, inputs)


def _add_transposed(applied: AppliedMap, values: ScalarVector, sums: ScalarVector) -> None:
    """Adds argument^T map^T values to `sums`."""
    argument = applied.argument
    function = partial(_backward, applied.map)
    inputs = apply_integer_map(function, applied.map.backward_gain, argument.rows, values)
    wires, places = np.unique(argument.columns, return_inverse=True)
    rows = Rows(argument.starts, places.astype(np.int32), argument.coefficients)
    added = rows.transposed(len(wires)).times(inputs)
    before = sums[wires]
    after = scalars.add(before, added)
    sums[wires] = after
    for secret in (inputs, added, before, after):
        secret.fill(0)


def _forward(linear_map: LinearMap, batch: NDArray[np.float64]) -> NDArray[np.float64]:
    return linear_map.times(batch.reshape(-1, *linear_map.inputs)).reshape(len(batch), -1)


def _backward(linear_map: LinearMap, batch: NDArray[np.float64]) -> NDArray[np.float64]:
    return linear_map.transposed_times(batch.reshape(-1, *linear_map.outputs)).reshape(len(batch), -1)
