"""Polynomials over F_r on a subgroup of two-power order and on its coset.

The coset is shifted by the generator 7 of the multiplicative group, which lies in no proper
subgroup, so X^n - 1 is never 0 on it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Final

import numpy as np

from pvcnn.algebra import scalars, threads
from pvcnn.algebra.constants import SCALAR_GENERATOR, SCALAR_MODULUS, SCALAR_TWO_ADICITY
from pvcnn.algebra.kernels import transforms
from pvcnn.algebra.scalars import ScalarVector

__all__ = ["Domain"]

#: Blocks of this many elements (32 bytes each) are transformed to the end while they are in cache.
_CACHED_BLOCK = 1 << 13
_MINIMUM_BUTTERFLIES = 1024


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
        return self._transform(coefficients, self._roots)

    def interpolate(self, values: ScalarVector) -> ScalarVector:
        """Coefficients of the polynomial of degree below n with these values at the roots."""
        return scalars.scale(self._transform(values, self._inverse_roots), pow(self.size, -1, SCALAR_MODULUS))

    def evaluate_on_coset(self, coefficients: ScalarVector) -> ScalarVector:
        """Values at 7 times the roots."""
        return self.evaluate(scalars.multiply(coefficients, self._shifts))

    def interpolate_from_coset(self, values: ScalarVector) -> ScalarVector:
        """Inverse of `evaluate_on_coset`."""
        transformed = self._transform(values, self._inverse_roots)
        return scalars.multiply(transformed, self._inverse_shifts)

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

    @cached_property
    def _roots(self) -> ScalarVector:
        return scalars.powers(self.root, max(1, self.size // 2))

    @cached_property
    def _inverse_roots(self) -> ScalarVector:
        return scalars.powers(pow(self.root, -1, SCALAR_MODULUS), max(1, self.size // 2))

    @cached_property
    def _shifts(self) -> ScalarVector:
        return scalars.powers(SCALAR_GENERATOR, self.size)

    @cached_property
    def _inverse_shifts(self) -> ScalarVector:
        """7^-i / n: the division of the inverse transform is folded in."""
        first = pow(self.size, -1, SCALAR_MODULUS)
        return scalars.geometric(first, pow(SCALAR_GENERATOR, -1, SCALAR_MODULUS), self.size)

    def _transform(self, vector: ScalarVector, roots: ScalarVector) -> ScalarVector:
        """sum_j vector[j] w^(ij), w the root whose powers are `roots`.

        Decimation in frequency, which leaves the result in bit-reversed order: wide levels one by
        one, split among threads, then blocks that fit the cache.
        """
        work = scalars.checked(vector).copy()
        if len(work) != self.size:
            raise ValueError(f"a domain of {self.size} and a vector of {len(work)}")
        values, table = work.ctypes.data, roots.ctypes.data
        block, stride = self.size, 1
        while block > _CACHED_BLOCK:
            level = partial(transforms.decimate_once, values, table, block, stride)
            _over_spans(level, self.size // 2, _MINIMUM_BUTTERFLIES)
            block //= 2
            stride *= 2
        finish = _blocks(values, table, block, stride)
        _over_spans(finish, self.size // block, 1)
        out = np.empty_like(work)
        _over_spans(
            partial(transforms.reverse_bits, out.ctypes.data, values, self.size.bit_length() - 1),
            self.size,
            1024,
        )
        return out


def _blocks(values: int, roots: int, block: int, stride: int) -> Callable[[int, int], None]:
    def finish(first: int, stop: int) -> None:
        transforms.decimate(values + 32 * block * first, roots, block, stride, stop - first)

    return finish


def _over_spans(kernel: Callable[[int, int], None], count: int, minimum: int) -> None:
    threads.run([partial(kernel, a, b) for a, b in threads.spans(count, minimum)])
