"""Sums of pairings, and several equations between such sums checked as one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TypeAlias

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.point_sums import sum_of_multiples_g1
from pvcnn.algebra.points import G1Point, G2Point, encode_g2, scalar
from pvcnn.algebra.target import Pair, TargetElement, pairing_product, product_of_powers

#: Factor, point of G1, point of G2: e(factor P, Q).
Term: TypeAlias = tuple[int, G1Point, G2Point]
_WEIGHT_BITS = 128


def random_weight() -> int:
    """A factor in [1, 2^128] from the operating system's generator, by which a verifier merges equations.

    Equations prod_i = 1 between elements of groups of prime order, fixed before the weights are drawn, of
    which one is false hold together with probability 2^-128 at most.
    """
    return 1 + secrets.randbits(_WEIGHT_BITS)


class PairingSum:
    """prod_i e(c_i P_i, Q_i); terms that share Q_i share a pairing."""

    def __init__(self) -> None:
        self._terms: dict[bytes, tuple[G2Point, list[G1Point], list[int]]] = {}

    def add(self, factor: int, point: G1Point, partner: G2Point) -> None:
        """One term more."""
        _, points, factors = self._terms.setdefault(encode_g2(partner), (partner, [], []))
        points.append(point)
        factors.append(factor % SCALAR_MODULUS)

    def pairs(self) -> list[Pair]:
        """The pairs whose pairings are multiplied."""
        return [(_combined(points, factors), partner) for partner, points, factors in self._terms.values()]


def _combined(points: list[G1Point], factors: list[int]) -> G1Point:
    if len(points) > 1:
        return sum_of_multiples_g1(points, factors)
    return points[0] if factors[0] == 1 else points[0] * scalar(factors[0])


class MergedEquations:
    """Equations prod_i e(c_i P_i, Q_i) = prod_k f_k^(e_k), each raised to a random weight and multiplied."""

    def __init__(self) -> None:
        self._left = PairingSum()
        self._right: dict[TargetElement, int] = {}

    def add(self, left: Sequence[Term], right: Sequence[tuple[int, TargetElement]] = ()) -> None:
        """One equation: triples c_i, P_i, Q_i and pairs e_k, f_k."""
        weight = random_weight()
        for factor, point, partner in left:
            self._left.add(factor * weight, point, partner)
        for exponent, element in right:
            self._right[element] = (self._right.get(element, 0) + exponent * weight) % SCALAR_MODULUS

    def hold(self) -> bool:
        """Whether the merged equation holds."""
        right = product_of_powers(list(self._right), list(self._right.values()))
        return pairing_product(self._left.pairs()) == right
