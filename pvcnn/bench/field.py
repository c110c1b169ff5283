"""Transforms and vectors over the scalar field. py_arkworks_bls12381 offers single elements only."""

from __future__ import annotations

import numpy as np

from pvcnn.algebra import ntt, scalars
from pvcnn.algebra.points import scalar
from pvcnn.bench.measure import Case

#: The reference multiplies one pair at a time.
PRODUCTS_TIMED = 1 << 12


def cases(log_n: int) -> list[Case]:
    """On vectors of 2^log_n random elements."""
    count = 1 << log_n
    left, right = scalars.random(count), scalars.random(count)
    small = np.random.default_rng(0).integers(-128, 128, count)
    timed = min(count, PRODUCTS_TIMED)
    pairs = [
        (scalar(a), scalar(b))
        for a, b in zip(scalars.to_integers(left[:timed]), scalars.to_integers(right[:timed]), strict=True)
    ]
    domain = ntt.Domain(count)
    return [
        Case("ntt", lambda: domain.evaluate(left)),
        Case("coset_ntt", lambda: domain.evaluate_on_coset(left)),
        Case(
            "products",
            lambda: scalars.multiply(left, right),
            lambda: [a * b for a, b in pairs],
            count / timed,
        ),
        Case("inner_product", lambda: scalars.dot(left, right)),
        Case("from_int64", lambda: scalars.from_int64(small)),
        Case("inverses", lambda: scalars.inverse(left)),
    ]
