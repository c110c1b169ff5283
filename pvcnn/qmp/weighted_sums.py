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

Integers = NDArray[np.int64]


def weighted_sums(
    builder: ConstraintBuilder, gadget: str, purpose: str, terms: View, powers: Integers
) -> Combinations:
    """For each row of `terms` (rows, n): sum_k power_k y_k, where power_k is a wire.

    powers: (n,), the same for all rows, or (rows, n). Costs a constraint for each power that is not the
    constant 1, and one a row if n > 1. Every wire on the way is fixed by its constraint, so a prover has
    no choice once terms and powers are fixed.
    """
    rows, length = terms.shape
    wires = np.broadcast_to(powers, terms.shape).reshape(-1)
    row = np.repeat(np.arange(rows), length)
    flat = terms.reshape(terms.entries)
    if length == 1:
        return weighted_terms(builder, gadget, purpose, flat, wires, row, rows)
    return grouped_sums(builder, gadget, purpose, flat, wires, row, rows)


def constraints(rows: int, length: int, ones: int) -> int:
    """What `weighted_sums` costs for `terms` (rows, length), of which `ones` have the power 1."""
    return rows * length - ones + (rows if length > 1 else 0)


def grouped_sums(
    builder: ConstraintBuilder,
    gadget: str,
    purpose: str,
    terms: View,
    powers: Integers,
    groups: Integers,
    count: int,
) -> Combinations:
    """`count` sums of powers[t] terms[t], term t in the one numbered groups[t]; powers: wires.

    Costs a constraint for each term whose power is not the wire 1, and one for each sum.
    """
    sums = weighted_terms(builder, gadget, purpose, terms, powers, groups, count)
    return Combinations.of_wires(builder.sums(gadget, f"{purpose}, summed", sums))


def weighted_terms(
    builder: ConstraintBuilder,
    gadget: str,
    purpose: str,
    terms: View,
    powers: Integers,
    groups: Integers,
    count: int,
) -> Combinations:
    """The same as combinations of the terms' products, without a wire for each sum."""
    plain = powers == CONSTANT_WIRE
    sums = Combinations.of_view(terms.take(np.flatnonzero(plain))).grouped(groups[plain], count)
    weighted = np.flatnonzero(~plain)
    products = builder.products(
        gadget, purpose, Combinations.of_view(terms.take(weighted)), Combinations.of_wires(powers[weighted])
    )
    return sums + Combinations.of_wires(products).grouped(groups[weighted], count)
