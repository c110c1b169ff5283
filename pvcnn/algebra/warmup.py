"""Compiles every kernel that setup, ceremonies, proving, aggregating and verifying use; no later step waits.

Compiled code is cached on disk for this version and machine: the first run takes about a minute, later
ones a fraction of a second.
"""

from __future__ import annotations

import numpy as np

from pvcnn.algebra import curve, scalars, sparse, subgroups
from pvcnn.algebra.multiples import multiples_g1, multiples_g2
from pvcnn.algebra.ntt import Domain
from pvcnn.algebra.points import G1Point, G2Point
from pvcnn.algebra.target import decode_targets, pairing_product, product_of_powers

#: Enough for the kernels on eight lanes, which leave less to those on words.
_SIZE = 128


def compile_kernels() -> None:
    """Runs each kernel once, on a few values. Raises DependencyMissing without numba."""
    numbers = np.arange(_SIZE, dtype=np.int64)
    values = scalars.add(scalars.from_int64(numbers), scalars.powers(3, _SIZE))
    scalars.dot(scalars.inverse(values), scalars.negate(values))
    scalars.dot(values, numbers)
    scalars.horner(scalars.subtract(values, scalars.scale(values, 5)), 7, 2)
    starts = np.arange(_SIZE + 1, dtype=np.int64)
    wires = np.arange(_SIZE, dtype=np.int32)
    sparse.rows_times(starts, wires, numbers, values)
    sparse.columns_times(starts, wires, numbers, _SIZE, values)
    domain = Domain(_SIZE)
    domain.interpolate_from_coset(domain.evaluate_on_coset(domain.interpolate(values)))
    domain.quotient(values, values, scalars.multiply(values, values))
    domain.lagrange_at(11)
    for points, combine, on_curve, in_subgroup, multiples in (
        (
            curve.fixed_base_g1(values),
            curve.msm_g1,
            curve.g1_on_curve,
            subgroups.g1_in_subgroup,
            multiples_g1,
        ),
        (
            curve.fixed_base_g2(values),
            curve.msm_g2,
            curve.g2_on_curve,
            subgroups.g2_in_subgroup,
            multiples_g2,
        ),
    ):
        combine(points, values)
        combine(points, numbers)
        on_curve(points)
        multiples(points, values)
        in_subgroup([points])
    paired = pairing_product([(G1Point(), G2Point())])
    product_of_powers(decode_targets([paired.encoded]), [11])
