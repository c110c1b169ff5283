"""Matrix products as constraints: eq. (1).

    sum_k (u^T A)_k (B v)_k = u^T C v,   u_i = rho^i (i < n),  v_j = rho^(n j)

Why a cheating prover fails: A, B and C are committed before rho is drawn. The difference of the two
sides is a polynomial in rho whose coefficients are the entries of AB - C, of degree below nm; unless
all are 0, fewer than nm of the r values of rho satisfy it.
"""

from __future__ import annotations

import numpy as np

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.matrix_program import MatrixProduct
from pvcnn.qmp.powers import Powers
from pvcnn.qmp.views import View
from pvcnn.qmp.weighted_sums import weighted_sums

GADGET = "matrix product"


def highest_power(gate: MatrixProduct) -> int:
    """The highest power of rho that `lower` needs as a wire."""
    return gate.left.shape[0]


def lower(builder: ConstraintBuilder, gate: MatrixProduct, powers: Powers) -> None:
    """About |A| + |B| + |C| constraints; the products of single entries never occur."""
    height, width = gate.result.shape
    u, v = powers.multiples(1, height), powers.multiples(height, width)
    left = weighted_sums(builder, GADGET, f"{gate.name}: u^T A", _transposed(gate.left), u)
    right = weighted_sums(builder, GADGET, f"{gate.name}: B v", gate.right, v)
    products = builder.products(GADGET, f"{gate.name}: products", left, right)
    columns = weighted_sums(builder, GADGET, f"{gate.name}: u^T C", _transposed(gate.result), u)
    result = builder.products(GADGET, f"{gate.name}: u^T C v", columns, Combinations.of_wires(v))
    one = Combinations.of_constants(np.ones(1, np.int64))
    left_side, right_side = (Combinations.of_wires(wires).total() for wires in (products, result))
    nothing = Combinations.zero(1)
    builder.constrain(GADGET, f"{gate.name}: both sides agree", left_side - right_side, one, nothing)


def _transposed(view: View) -> View:
    return view.take(np.arange(view.entries).reshape(view.shape).T)
