"""Weighted sums and sums of their squares modulo the primes of a chain, compiled.

A scalar times a ciphertext is the scalar times each of its coefficients, so the products of the first
layers need neither plaintext polynomials nor transforms. Everything here works coefficient by coefficient,
on short runs of them that stay in the first-level cache, and takes the same time whatever the weights are.

Exactness, for primes p of at most 56 bits (`pvcnn.he.frame_slots.chains` sees to both bounds):

- A weighted sum is taken over the upper 27 and the lower 29 bits of the coefficients apart, in doubles:
  exact, since the absolute weights of a sum add up to at most 2^24.
- Its residue a is centred, so that four products are at most p^2 in sum. They are added modulo 2^64,
  and as doubles, whose quotient by p errs by less than 2^6: the difference of the sum and the rounded
  quotient times p is below 2^62, hence known from its residue modulo 2^64. It is reduced once more, exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float64, int64

from pvcnn.algebra.kernels.compilation import kernel

_LOW_BITS = 29
_LOW_MASK = (1 << _LOW_BITS) - 1
_RADIX = float(1 << _LOW_BITS)
_RUN = 64
_PRODUCTS_BETWEEN_REDUCTIONS = 4


@kernel
def window_sums(
    values: Any, patches: Any, taps: Any, weights: Any, biases: Any, primes: Any, squares: Any, out: Any
) -> None:
    """For each output and filter: the sum over a window of weighted sums, or of their squares.

    values   (entries, 2, primes, degree) uint64: ciphertexts; the patches index them
    patches  (outputs, size) int64: what each output depends on
    taps     (positions, terms) int64: for each position of the window, the terms' places in the patch
    weights  (filters, terms) float64, integers
    biases   (filters, primes, degree) uint64: added to the first component of each weighted sum
    out      (outputs, filters, 3 if `squares` else 2, primes, degree) uint64, all below their primes
    """
    degree = values.shape[3]
    upper = np.empty((patches.shape[1], 2, _RUN))
    lower = np.empty((patches.shape[1], 2, _RUN))
    residues = np.empty((2, _RUN), np.int64)
    high = np.empty(_RUN)
    low = np.empty(_RUN)
    sums = np.empty((3, _RUN), np.int64)
    floats = np.empty((3, _RUN))
    for output in range(patches.shape[0]):
        for row in range(primes.shape[0]):
            prime = int64(primes[row])
            inverse = 1.0 / float64(prime)
            for first in range(0, degree, _RUN):
                _split(values, patches[output], row, first, upper, lower)
                for filter_ in range(weights.shape[0]):
                    sums[:] = 0
                    floats[:] = 0.0
                    for position in range(taps.shape[0]):
                        for component in range(2):
                            if component == 0:
                                _split_bias(biases[filter_, row], first, high, low)
                            else:
                                high[:] = 0.0
                                low[:] = 0.0
                            for term in range(taps.shape[1]):
                                place = taps[position, term]
                                weight = weights[filter_, term]
                                _add_multiple(weight, upper[place, component], high)
                                _add_multiple(weight, lower[place, component], low)
                            _join(high, low, prime, inverse, residues[component])
                        if squares:
                            _add_products(residues, sums, floats)
                            if (position + 1) % _PRODUCTS_BETWEEN_REDUCTIONS == 0:
                                _reduce(sums, floats, prime, inverse)
                        else:
                            _add_residues(residues, sums, floats)
                    if squares:
                        _reduce(sums, floats, prime, inverse)
                        sums[1] *= 2
                        floats[1] *= 2.0
                    _reduce(sums, floats, prime, inverse)
                    for component in range(out.shape[2]):
                        _store(sums[component], prime, out[output, filter_, component, row], first)


@kernel
def _split(values: Any, patch: Any, row: int, first: int, upper: Any, lower: Any) -> None:
    for place in range(patch.shape[0]):
        entry = patch[place]
        for component in range(2):
            source = values[entry, component, row]
            for j in range(_RUN):
                value = int64(source[first + j])
                upper[place, component, j] = float64(value >> _LOW_BITS)
                lower[place, component, j] = float64(value & _LOW_MASK)


@kernel
def _split_bias(bias: Any, first: int, high: Any, low: Any) -> None:
    for j in range(_RUN):
        value = int64(bias[first + j])
        high[j] = float64(value >> _LOW_BITS)
        low[j] = float64(value & _LOW_MASK)


@kernel
def _add_multiple(weight: float, values: Any, total: Any) -> None:
    for j in range(_RUN):
        total[j] += weight * values[j]


@kernel
def _join(high: Any, low: Any, prime: int, inverse: float, residues: Any) -> None:
    """Residues in about [-prime / 2, prime / 2] of high 2^29 + low."""
    for j in range(_RUN):
        quotient = int64(np.rint((high[j] * _RADIX + low[j]) * inverse))
        residues[j] = (int64(high[j]) << _LOW_BITS) + int64(low[j]) - quotient * prime


@kernel
def _add_products(residues: Any, sums: Any, floats: Any) -> None:
    """The three components of the square of a pair, but for the middle one's factor of two."""
    for j in range(_RUN):
        a, b = residues[0, j], residues[1, j]
        x, y = float64(a), float64(b)
        sums[0, j] += a * a
        sums[1, j] += a * b
        sums[2, j] += b * b
        floats[0, j] += x * x
        floats[1, j] += x * y
        floats[2, j] += y * y


@kernel
def _add_residues(residues: Any, sums: Any, floats: Any) -> None:
    for component in range(2):
        for j in range(_RUN):
            sums[component, j] += residues[component, j]
            floats[component, j] += float64(residues[component, j])


@kernel
def _reduce(sums: Any, floats: Any, prime: int, inverse: float) -> None:
    """Residues in about [-prime / 2, prime / 2] of sums that are known modulo 2^64 and as doubles."""
    for component in range(3):
        for j in range(_RUN):
            rest = sums[component, j] - int64(np.rint(floats[component, j] * inverse)) * prime
            rest -= int64(np.rint(float64(rest) * inverse)) * prime
            sums[component, j] = rest
            floats[component, j] = float64(rest)


@kernel
def _store(sums: Any, prime: int, out: Any, first: int) -> None:
    for j in range(_RUN):
        value = sums[j]
        out[first + j] = value + (prime & (value >> 63))
