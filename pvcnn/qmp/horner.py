"""sum_k base^k y_k over the entries of views, by Horner's rule: no wire holds a power of the base."""

from __future__ import annotations

import numpy as np

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.views import View


def evaluate_polynomials(
    builder: ConstraintBuilder, gadget: str, purpose: str, coefficients: View, base: int
) -> Combinations:
    """For each row of `coefficients` (rows, n): sum_k base^k coefficients[row, k], `base` a wire.

    Costs n - 1 constraints a row. Every wire on the way is fixed by its constraint, so a prover has
    no choice once base and coefficients are fixed.
    """
    descending = coefficients[:, ::-1]
    rows, length = descending.shape
    first = Combinations.of_view(descending[:, 0])
    if length == 1:
        return first
    rest = Combinations.of_view(descending[:, 1:])
    sums = builder.horner(gadget, purpose, first, rest, base)
    assert sums.shape == (rows, length - 1)
    return Combinations.of_wires(np.ascontiguousarray(sums[:, -1]))
