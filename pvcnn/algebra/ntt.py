"""Polynomials over F_r on a subgroup of two-power order and on its coset.

The coset is shifted by the generator 7 of the multiplicative group, which lies in no proper
subgroup, so X^n - 1 is never 0 on it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_GENERATOR, SCALAR_MODULUS, SCALAR_TWO_ADICITY
from pvcnn.algebra.kernels import selection
from pvcnn.algebra.lane_transforms import MINIMUM_SIZE, LaneTransforms
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.algebra.word_transforms import WordTransforms

__all__ = ["Domain"]


class Domain:
    """The n-th roots of unity w^0, ..., w^(n-1), n a power of two up to 2^32.

    Vectors have n elements, coefficients from the constant term up and values in the order of the
    roots: value i is the one at w^i, or at 7 w^i on the coset. ValueError for another length.
    """

    def __init__(self, size: int) -> None:
        if size < 1 or size & (size - 1) or size > 1 << SCALAR_TWO_ADICITY:
            raise ValueError(f"a domain's size is a power of two up to 2^{SCALAR_TWO_ADICITY}, not {size}")
        self.size: Final = size
        self.root: Final = pow(SCALAR_GENERATOR, (SCALAR_MODULUS - 1) // size, SCALAR_MODULUS)

    def evaluate(self, coefficients: ScalarVector) -> ScalarVector:
        """Values at the roots."""
        return self._transforms.evaluate(self._whole(coefficients))

    def interpolate(self, values: ScalarVector) -> ScalarVector:
        """Coefficients of the polynomial of degree below n with these values at the roots."""
        return self._transforms.interpolate(self._whole(values))

    def evaluate_on_coset(self, coefficients: ScalarVector) -> ScalarVector:
        """Values at 7 times the roots."""
        return self.evaluate(scalars.multiply(coefficients, self._shifts))

    def interpolate_from_coset(self, values: ScalarVector) -> ScalarVector:
        """Inverse of `evaluate_on_coset`."""
        return scalars.multiply(self.interpolate(values), self._inverse_shifts)

    def quotient(self, a: ScalarVector, b: ScalarVector, c: ScalarVector) -> ScalarVector:
        """Coefficients of (A B - C) / (X^n - 1), (n, 4), where A, B, C have these values at the roots.

        Vectors may be shorter than n, and end in zeros then. The division leaves no rest, and the last
        coefficient is 0, if a b = c elementwise; what is returned otherwise is no quotient.

        On the coset X^n - 1 is a constant other than 0. So there A B - C is divided, and C, whose degree
        is below n, is taken off as coefficients: six transforms in all.
        """
        vectors = [scalars.checked(vector) for vector in (a, b, c)]
        for vector in vectors:
            if len(vector) > self.size:
                raise ValueError(f"a domain of {self.size} and a vector of {len(vector)}")
        return self._transforms.quotient(*vectors)

    def vanishing_at(self, x: int) -> int:
        """x^n - 1."""
        return (pow(x, self.size, SCALAR_MODULUS) - 1) % SCALAR_MODULUS

    @property
    def coset_vanishing(self) -> int:
        """X^n - 1 on the coset, where it is constant: 7^n - 1."""
        return self.vanishing_at(SCALAR_GENERATOR)

    def lagrange_at(self, x: int) -> ScalarVector:
        """The n Lagrange polynomials of the roots at x: L_i(x) = w^i (x^n - 1) / (n (x - w^i))."""
        numerator = self.vanishing_at(x)
        roots = scalars.powers(self.root, self.size)
        differences = scalars.subtract(scalars.geometric(x, 1, self.size), roots)
        if numerator == 0:  # x is a root: one polynomial is 1 there, the others 0
            return scalars.from_int64(scalars.is_zero(differences).astype(np.int64))
        factor = numerator * pow(self.size, -1, SCALAR_MODULUS)
        return scalars.scale(scalars.multiply(roots, scalars.inverse(differences)), factor)

    @property
    def _transforms(self) -> LaneTransforms | WordTransforms:
        lanes = selection.KERNELS is selection.Kernels.IFMA and self.size >= MINIMUM_SIZE
        return self._on_lanes if lanes else self._on_words

    @cached_property
    def _on_lanes(self) -> LaneTransforms:
        return LaneTransforms(self.size, self.root)

    @cached_property
    def _on_words(self) -> WordTransforms:
        return WordTransforms(self.size, self.root)

    @cached_property
    def _shifts(self) -> ScalarVector:
        return scalars.powers(SCALAR_GENERATOR, self.size)

    @cached_property
    def _inverse_shifts(self) -> ScalarVector:
        return scalars.powers(pow(SCALAR_GENERATOR, -1, SCALAR_MODULUS), self.size)

    def _whole(self, vector: ScalarVector) -> ScalarVector:
        """`vector`, checked to have n elements."""
        if len(vector) != self.size:
            raise ValueError(f"a domain of {self.size} and a vector of {len(vector)}")
        return scalars.checked(vector)
