"""Transforms over F_r with 64-bit words: see pvcnn.algebra.ntt."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import numpy as np

from pvcnn.algebra import scalars, threads
from pvcnn.algebra.constants import SCALAR_GENERATOR, SCALAR_MODULUS
from pvcnn.algebra.kernels import transforms
from pvcnn.algebra.scalars import ScalarVector

#: Blocks of this many elements (32 bytes each) are transformed to the end while they are in cache.
_CACHED_BLOCK = 1 << 13
_MINIMUM_BUTTERFLIES = 1024


class WordTransforms:
    """The transforms of one domain: `size` a power of two, `root` of that order."""

    def __init__(self, size: int, root: int) -> None:
        self._size = size
        self._root = root

    def evaluate(self, coefficients: ScalarVector) -> ScalarVector:
        """Values at the powers of the root."""
        return self._transform(coefficients, self._roots)

    def interpolate(self, values: ScalarVector) -> ScalarVector:
        """Inverse of `evaluate`."""
        transformed = self._transform(values, self._inverse_roots)
        return scalars.scale(transformed, pow(self._size, -1, SCALAR_MODULUS))

    def quotient(self, a: ScalarVector, b: ScalarVector, c: ScalarVector) -> ScalarVector:
        """(a b - c) / (X^n - 1) of the polynomials with these values: see `Domain.quotient`.

        Of c, whose degree is below n, no values on the coset are needed but only the coefficients.
        """

        def interpolated(values: ScalarVector) -> ScalarVector:
            return self.interpolate(np.concatenate([values, scalars.zeros(self._size - len(values))]))

        left, right = (
            self.evaluate(scalars.multiply(interpolated(values), self._shifts)) for values in (a, b)
        )
        product = self.interpolate(scalars.multiply(left, right))
        numerator = scalars.subtract(scalars.multiply(product, self._inverse_shifts), interpolated(c))
        vanishing = pow(SCALAR_GENERATOR, self._size, SCALAR_MODULUS) - 1
        return scalars.scale(numerator, pow(vanishing, -1, SCALAR_MODULUS))

    @cached_property
    def _roots(self) -> ScalarVector:
        return scalars.powers(self._root, max(1, self._size // 2))

    @cached_property
    def _inverse_roots(self) -> ScalarVector:
        return scalars.powers(pow(self._root, -1, SCALAR_MODULUS), max(1, self._size // 2))

    @cached_property
    def _shifts(self) -> ScalarVector:
        return scalars.powers(SCALAR_GENERATOR, self._size)

    @cached_property
    def _inverse_shifts(self) -> ScalarVector:
        return scalars.powers(pow(SCALAR_GENERATOR, -1, SCALAR_MODULUS), self._size)

    def _transform(self, vector: ScalarVector, roots: ScalarVector) -> ScalarVector:
        """sum_j vector[j] w^(ij), w the root whose powers are `roots`.

        Decimation in frequency, which leaves the result in bit-reversed order: wide levels one by
        one, split among threads, then blocks that fit the cache.
        """
        work = vector.copy()
        values, table = work.ctypes.data, roots.ctypes.data
        block, stride = self._size, 1
        while block > _CACHED_BLOCK:
            level = partial(transforms.decimate_once, values, table, block, stride)
            threads.run_spans(level, self._size // 2, _MINIMUM_BUTTERFLIES)
            block //= 2
            stride *= 2
        finish = _blocks(values, table, block, stride)
        threads.run_spans(finish, self._size // block, 1)
        out = np.empty_like(work)
        reverse = partial(transforms.reverse_bits, out.ctypes.data, values, self._size.bit_length() - 1)
        threads.run_spans(reverse, self._size, 1024)
        return out


def _blocks(values: int, roots: int, block: int, stride: int) -> Callable[[int, int], None]:
    def finish(first: int, stop: int) -> None:
        transforms.decimate(values + 32 * block * first, roots, block, stride, stop - first)

    return finish
