"""sum_k power_k y_k over the entries of views, in a way that is cheap to prove.

Each product has a row, y_k * power_k = p_k, and each sum one, s * 1 = y_0 + p_1 + p_2 + ... Horner's rule
would save the latter. But its intermediate sums, which are full field elements, stand on the left of rows,
so that the prover needs another multi-scalar multiplication over them for A. A product stands on the
right only and adds to C alone, and where a small y and a power occur often together, so does their product:
equal scalars are merged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.matrix_program import CONSTANT_WIRE
from pvcnn.qmp.views import View


def weighted_sums(
    builder: ConstraintBuilder, gadget: str, purpose: str, terms: View, powers: NDArray[np.int64]
) -> Combinations:
    """For each row of `terms` (rows, n): sum_k power_k y_k, where power_k is a wire.

    powers: (n,), the same for all rows, or (rows, n). Costs a constraint for each power that is not the
    constant 1, and one a row if n > 1. Every wire on the way is fixed by its constraint, so a prover has
    no choice once terms and powers are fixed.
    """
    rows, length = terms.shape
    powers = np.broadcast_to(powers, terms.shape)
    of_row, place = np.nonzero(powers == CONSTANT_WIRE)
    sums = Combinations.of_view(terms.take(of_row * length + place)).grouped(of_row, rows)
    of_row, place = np.nonzero(powers != CONSTANT_WIRE)
    if len(of_row):
        factors = Combinations.of_wires(powers[of_row, place])
        entries = Combinations.of_view(terms.take(of_row * length + place))
        products = builder.products(gadget, purpose, entries, factors)
        sums = sums + Combinations.of_wires(products).grouped(of_row, rows)
    if length == 1:
        return sums
    return Combinations.of_wires(builder.sums(gadget, f"{purpose}, summed", sums))
