"""Sums of multiples of points, and multiples of the generators, beside py_arkworks_bls12381."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pvcnn.algebra import curve, scalars
from pvcnn.algebra.points import G1Point, G2Point, scalar
from pvcnn.bench.measure import Case

#: py_arkworks multiplies one point at a time: so many suffice to know what a vector of them costs.
MULTIPLES_TIMED = 256


def cases(log_n: int) -> list[Case]:
    """On 2^log_n random points; `full` scalars are random in F_r, `int8` ones in [-128, 128)."""
    count = 1 << log_n
    exponents = scalars.random(count)
    small = np.random.default_rng(0).integers(-128, 128, count)
    chosen = [scalar(value) for value in scalars.to_integers(exponents)]
    small_chosen = [scalar(value) for value in small.tolist()]
    g1, g2 = curve.fixed_base_g1(exponents), curve.fixed_base_g2(exponents)
    list1, list2 = curve.g1_to_points(g1), curve.g2_to_points(g2)
    share = count / min(count, MULTIPLES_TIMED)

    def sums(group: Any, points: Any, scalars_: Any) -> Callable[[], object]:
        return lambda: group.multiexp_unchecked(points, scalars_)

    def multiples(generator: Any) -> Callable[[], object]:
        return lambda: [generator * factor for factor in chosen[:MULTIPLES_TIMED]]

    return [
        Case("g1_full", lambda: curve.msm_g1(g1, exponents), sums(G1Point, list1, chosen)),
        Case("g1_int8", lambda: curve.msm_g1(g1, small), sums(G1Point, list1, small_chosen)),
        Case("g2_full", lambda: curve.msm_g2(g2, exponents), sums(G2Point, list2, chosen)),
        Case("g2_int8", lambda: curve.msm_g2(g2, small), sums(G2Point, list2, small_chosen)),
        Case("g1_fixed_base", lambda: curve.fixed_base_g1(exponents), multiples(G1Point()), share),
        Case("g2_fixed_base", lambda: curve.fixed_base_g2(exponents), multiples(G2Point()), share),
    ]
