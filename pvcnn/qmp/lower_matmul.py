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
from pvcnn.qmp.powers import Powers, new_multiples
from pvcnn.qmp.views import View
from pvcnn.qmp.weighted_sums import constraints, weighted_sums

GADGET = "matrix product"


def highest_power(gate: MatrixProduct) -> int:
    """The highest power of rho that `lower` needs as a wire before it makes multiples."""
    return gate.left.shape[0]


def rows(gate: MatrixProduct) -> int:
    """How many constraints `lower` makes, those of the powers rho^(n j) included."""
    (height, length), width = gate.left.shape, gate.result.shape[1]
    factors = constraints(length, height, length) + constraints(length, width, length)
    return factors + rows_of_comparison(length, height, width, highest_power(gate))


def rows_of_comparison(length: int, height: int, width: int, highest: int) -> int:
    """How many constraints `compare` makes, and the powers rho^(n j) where those up to `highest` exist."""
    columns = constraints(width, height, width)
    return length + columns + width + 1 + new_multiples(height, width, highest)


def lower(builder: ConstraintBuilder, gate: MatrixProduct, powers: Powers) -> None:
    """About |A| + |B| + |C| constraints; the products of single entries never occur."""
    height, width = gate.result.shape
    u, v = powers.multiples(1, height), powers.multiples(height, width)
    left = weighted_sums(builder, GADGET, f"{gate.name}: u^T A", _transposed(gate.left), u)
    right = weighted_sums(builder, GADGET, f"{gate.name}: B v", gate.right, v)
    compare(builder, gate.name, left, right, gate.result, powers)


def compare(
    builder: ConstraintBuilder,
    name: str,
    left: Combinations,
    right: Combinations,
    result: View,
    powers: Powers,
) -> None:
    """Eq. (1), given u^T A as `left` (k), B v as `right` (k) and C as `result` (n, m)."""
    height, width = result.shape
    u, v = powers.multiples(1, height), powers.multiples(height, width)
    products = builder.products(GADGET, f"{name}: products", left, right)
    columns = weighted_sums(builder, GADGET, f"{name}: u^T C", _transposed(result), u)
    total = builder.products(GADGET, f"{name}: u^T C v", columns, Combinations.of_wires(v))
    one = Combinations.of_constants(np.ones(1, np.int64))
    left_side, right_side = (Combinations.of_wires(wires).total() for wires in (products, total))
    nothing = Combinations.zero(1)
    builder.constrain(GADGET, f"{name}: both sides agree", left_side - right_side, one, nothing)


def _transposed(view: View) -> View:
    return view.take(np.arange(view.entries).reshape(view.shape).T)
