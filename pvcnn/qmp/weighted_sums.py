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
from pvcnn.qmp.views import View


def weighted_sums(
    builder: ConstraintBuilder, gadget: str, purpose: str, terms: View, powers: NDArray[np.int64]
) -> Combinations:
    """For each row of `terms` (rows, n): sum_k powers[k] terms[row, k]; powers: n wires, the first of them 1.

    Costs n constraints a row, none if n = 1. Every wire on the way is fixed by its constraint, so a
    prover has no choice once terms and powers are fixed.
    """
    rows, length = terms.shape
    sums = Combinations.of_view(terms[:, 0])
    if length == 1:
        return sums
    products = builder.products(
        gadget,
        purpose,
        Combinations.of_view(terms[:, 1:]),
        Combinations.of_wires(np.tile(powers[1:], rows)),
    )
    of_row = np.repeat(np.arange(rows), length - 1)
    sums = sums + Combinations.of_wires(products).grouped(of_row, rows)
    return Combinations.of_wires(builder.sums(gadget, f"{purpose}, summed", sums))
