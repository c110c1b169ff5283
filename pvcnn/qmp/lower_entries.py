"""Entrywise gates as constraints: products, products that vanish, equations, and bits.

Why a cheating prover fails: these are identities in the field itself, with no challenge. A field has no
zero divisors, so a vanishing product has a vanishing factor, and d (d - 1) = 0 leaves 0 and 1.
"""

from __future__ import annotations

import numpy as np

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.matrix_program import Boolean, EntrywiseProduct, Equality, ZeroProduct

GADGET = "entrywise products"


def lower_product(builder: ConstraintBuilder, gate: EntrywiseProduct) -> None:
    """One constraint an entry."""
    left, right, result = (Combinations.of_view(view) for view in gate.operands())
    builder.constrain(GADGET, gate.name, left, right, result)


def lower_zero_product(builder: ConstraintBuilder, gate: ZeroProduct) -> None:
    """One constraint an entry."""
    left, right = (Combinations.of_view(view) for view in gate.operands())
    builder.constrain(GADGET, f"{gate.name}: one factor is 0", left, right, Combinations.zero(left.count))


def lower_equality(builder: ConstraintBuilder, gate: Equality) -> None:
    """One constraint an entry, left * 1 = right: the right adds nothing to A and B of a proof."""
    left, right = (Combinations.of_view(view) for view in gate.operands())
    ones = Combinations.of_constants(np.ones(left.count, np.int64))
    builder.constrain(GADGET, gate.name, left, ones, right)


def lower_boolean(builder: ConstraintBuilder, gate: Boolean) -> None:
    """One constraint an entry."""
    bits, others = Combinations.of_view(gate.entries), Combinations.of_view(gate.entries.shifted(-1))
    builder.constrain(GADGET, gate.name, bits, others, Combinations.zero(bits.count))
