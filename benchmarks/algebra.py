"""How long the algebra takes, beside py_arkworks_bls12381 on the same points and scalars.

    python benchmarks/algebra.py [--log-n 16] [--repeat 5] [--json]

Milliseconds of CPU time on one thread, medians of interleaved runs; `ratio` is reference / ours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pvcnn.algebra import curve, ntt, scalars
from pvcnn.algebra.points import G1Point, G2Point, scalar

#: py_arkworks multiplies one point at a time: so many suffice to know what a vector of them costs.
MULTIPLES_TIMED = 256


@dataclass(frozen=True)
class Case:
    """Something to time. The reference does 1 / `share` of the work."""

    name: str
    ours: Callable[[], object]
    reference: Callable[[], object] | None = None
    share: float = 1.0


def cases(count: int) -> list[Case]:
    """Everything on vectors of `count` random elements."""
    exponents = scalars.random(count)
    bytes_ = np.random.default_rng(0).integers(-128, 128, count)
    chosen = [scalar(value) for value in scalars.to_integers(exponents)]
    small = [scalar(value) for value in bytes_.tolist()]
    g1, g2 = curve.fixed_base_g1(exponents), curve.fixed_base_g2(exponents)
    list1, list2 = curve.g1_to_points(g1), curve.g2_to_points(g2)
    domain = ntt.Domain(count)
    share = count / MULTIPLES_TIMED

    def multiples(generator: Any) -> Callable[[], object]:
        return lambda: [generator * factor for factor in chosen[:MULTIPLES_TIMED]]

    return [
        Case("scalar products", lambda: scalars.multiply(exponents, exponents)),
        Case("inversions", lambda: scalars.inverse(exponents)),
        Case("inner product", lambda: scalars.dot(exponents, exponents)),
        Case("inner product, int8", lambda: scalars.dot(exponents, bytes_)),
        Case("transform", lambda: domain.evaluate(exponents)),
        Case("quotient", lambda: domain.quotient(exponents, exponents, exponents)),
        Case(
            "g1 sum, full",
            lambda: curve.msm_g1(g1, exponents),
            lambda: G1Point.multiexp_unchecked(list1, chosen),
        ),
        Case(
            "g1 sum, int8", lambda: curve.msm_g1(g1, bytes_), lambda: G1Point.multiexp_unchecked(list1, small)
        ),
        Case(
            "g2 sum, full",
            lambda: curve.msm_g2(g2, exponents),
            lambda: G2Point.multiexp_unchecked(list2, chosen),
        ),
        Case(
            "g2 sum, int8", lambda: curve.msm_g2(g2, bytes_), lambda: G2Point.multiexp_unchecked(list2, small)
        ),
        Case("g1 multiples", lambda: curve.fixed_base_g1(exponents), multiples(G1Point()), share),
        Case("g2 multiples", lambda: curve.fixed_base_g2(exponents), multiples(G2Point()), share),
    ]


def milliseconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return 1000 * (time.process_time() - start)


def measure(case: Case, repeat: int) -> dict[str, float]:
    """Medians of `repeat` interleaved runs, after one that compiles and fills tables."""
    case.ours()
    ours, reference = [], []
    for _ in range(repeat):
        ours.append(milliseconds(case.ours))
        if case.reference is not None:
            reference.append(case.share * milliseconds(case.reference))
    result = {"ours": statistics.median(ours)}
    if reference:
        result["reference"] = statistics.median(reference)
        result["ratio"] = result["reference"] / result["ours"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-n", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    os.environ["PVCNN_THREADS"] = "1"
    results = {case.name: measure(case, arguments.repeat) for case in cases(1 << arguments.log_n)}
    if arguments.json:
        print(json.dumps({"log_n": arguments.log_n, "milliseconds": results}))
        return
    print(f"2^{arguments.log_n}, ms            ours  reference  ratio")
    for name, result in results.items():
        rest = f"{result['reference']:11.1f}{result['ratio']:7.2f}" if "reference" in result else ""
        print(f"{name:20}{result['ours']:8.1f}{rest}")


if __name__ == "__main__":
    main()
