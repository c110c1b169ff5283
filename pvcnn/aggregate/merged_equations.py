"""Sums of pairings, and several equations between such sums checked as one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TypeAlias

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.point_sums import sums_of_multiples_g1
from pvcnn.algebra.points import G1Point, G2Point, encode_g2
from pvcnn.algebra.target import Pair, TargetElement, pairing_product, product_of_powers

#: Factors, as many points of G1, a point of G2: e(sum_i c_i P_i, Q).
Term: TypeAlias = tuple[Sequence[int], Sequence[G1Point], G2Point]
_WEIGHT_BITS = 128


def random_weight() -> int:
    """A factor in [1, 2^128] from the operating system's generator, by which a verifier merges equations.

    Equations prod_i = 1 between elements of groups of prime order, fixed before the weights are drawn, of
    which one is false hold together with probability 2^-128 at most.
    """
    return 1 + secrets.randbits(_WEIGHT_BITS)


class PairingSum:
    """A product of terms; those that share Q share a pairing."""

    def __init__(self) -> None:
        self._terms: dict[bytes, tuple[G2Point, list[G1Point], list[int]]] = {}

    def add(self, term: Term, weight: int = 1) -> None:
        """One term more, to the power `weight`."""
        factors, points, partner = term
        _, all_points, all_factors = self._terms.setdefault(encode_g2(partner), (partner, [], []))
        all_points += points
        all_factors += [factor * weight % SCALAR_MODULUS for factor in factors]

    def pairs(self) -> list[Pair]:
        """The pairs whose pairings are multiplied."""
        sums = sums_of_multiples_g1([(points, factors) for _, points, factors in self._terms.values()])
        return list(zip(sums, (partner for partner, _, _ in self._terms.values()), strict=True))


class MergedEquations:
    """Equations of terms and powers f_k^(e_k), each raised to a random weight and multiplied."""

    def __init__(self) -> None:
        self._left = PairingSum()
        self._right: dict[TargetElement, int] = {}

    def add(self, left: Sequence[Term], right: Sequence[tuple[int, TargetElement]] = ()) -> None:
        """One equation: the product of terms is that of powers, given as pairs e_k, f_k."""
        weight = random_weight()
        for term in left:
            self._left.add(term, weight)
        for exponent, element in right:
            self._right[element] = (self._right.get(element, 0) + exponent * weight) % SCALAR_MODULUS

    def hold(self) -> bool:
        """Whether the merged equation holds."""
        right = product_of_powers(list(self._right), list(self._right.values()))
        return pairing_product(self._left.pairs()) == right
