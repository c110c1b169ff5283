"""Matrix products as constraints: eq. (1).

    sum_k (u^T A)_k (B v)_k = u^T C v,   u_i = rho^i (i < n),  v_j = rho^(n j)

Why a cheating prover fails: A, B and C are committed before rho is drawn. The difference of the two
sides is a polynomial in rho whose coefficients are the entries of AB - C, of degree below nm; unless
all are 0, fewer than nm of the r values of rho satisfy it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.horner import evaluate_polynomials
from pvcnn.qmp.matrix_program import MatrixProduct
from pvcnn.qmp.powers import RHO
from pvcnn.qmp.views import View

GADGET = "matrix product"


def highest_power(gate: MatrixProduct) -> int:
    """The highest power of rho that `lower` needs as a wire."""
    return gate.left.shape[0]


def lower(builder: ConstraintBuilder, gate: MatrixProduct, powers: NDArray[np.int64]) -> None:
    """About |A| + |B| + |C| constraints; the products of single entries never occur."""
    height, _ = gate.left.shape
    base = int(powers[height])
    left = evaluate_polynomials(builder, GADGET, f"{gate.name}: u^T A", _transposed(gate.left), RHO)
    right = evaluate_polynomials(builder, GADGET, f"{gate.name}: B v", gate.right, base)
    products = builder.products(GADGET, f"{gate.name}: products", left, right)
    entries = _transposed(gate.result).reshape(1, gate.result.entries)
    result = evaluate_polynomials(builder, GADGET, f"{gate.name}: u^T C v", entries, RHO)
    one = Combinations.of_constants(np.ones(1, np.int64))
    total = Combinations.of_wires(products).total()
    builder.constrain(GADGET, f"{gate.name}: both sides agree", total - result, one, Combinations.zero(1))


def _transposed(view: View) -> View:
    return view.take(np.arange(view.entries).reshape(view.shape).T)
