"""Sums of windows against Python's integers, at the bounds within which they are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.he.frame_slots.chains import MAX_PRIME_BITS, MAX_WEIGHT_SUM, MIN_PRIME_BITS
from pvcnn.he.frame_slots.kernels import window_sums
from pvcnn.he.primes import transform_primes

DEGREE = 4096
MODULI = transform_primes(DEGREE, (MAX_PRIME_BITS, MAX_PRIME_BITS, MIN_PRIME_BITS))
SIZE = 3
POSITIONS, TERMS, PLACES = SIZE**2, 9, 25


def random_residues(rng: np.random.Generator, *shape: int) -> NDArray[np.uint64]:
    """(*shape, primes, degree)."""
    return np.stack([rng.integers(0, m, (*shape, DEGREE), dtype=np.uint64) for m in MODULI], axis=-2)


def largest_residues(rng: np.random.Generator, *shape: int) -> NDArray[np.uint64]:
    return random_residues(rng, *shape) * 0 + (np.array(MODULI, np.uint64) - 1)[:, None]


def half_residues(rng: np.random.Generator, *shape: int) -> NDArray[np.uint64]:
    return random_residues(rng, *shape) * 0 + (np.array(MODULI, np.uint64) // 2)[:, None]


@pytest.mark.parametrize("squares", [True, False])
@pytest.mark.parametrize("residues", [random_residues, largest_residues, half_residues])
@pytest.mark.parametrize("sign", ["mixed", "positive", "one"])
def test_sums_are_exact_up_to_the_bounds(squares: bool, residues: Any, sign: str) -> None:
    rng = np.random.default_rng(1)
    values, biases = residues(rng, 40, 2), residues(rng, 2)
    taps = np.array([rng.permutation(PLACES)[:TERMS] for _ in range(POSITIONS)])
    patches = rng.integers(0, 40, (2, PLACES))
    largest = (MAX_WEIGHT_SUM - 1) // TERMS
    weights = {
        "mixed": rng.integers(-largest, largest + 1, (2, TERMS)),
        "positive": np.full((2, TERMS), largest),
        "one": np.eye(2, TERMS, dtype=np.int64),
    }[sign].astype(np.float64)
    components = 3 if squares else 2
    out = np.empty((2, 2, components, len(MODULI), DEGREE), np.uint64)
    window_sums(values, patches, taps, weights, biases, np.array(MODULI, np.int64), squares, out)
    for j in (0, 63, 64, DEGREE - 1):
        for row, modulus in enumerate(MODULI):
            for output in range(2):
                for filter_ in range(2):
                    expected = [0] * components
                    for position in taps:
                        entries = patches[output][position]
                        a, b = (
                            sum(
                                int(w) * int(values[e, c, row, j])
                                for w, e in zip(weights[filter_], entries, strict=True)
                            )
                            for c in range(2)
                        )
                        a += int(biases[filter_, row, j])
                        terms = [a * a, 2 * a * b, b * b] if squares else [a, b]
                        expected = [x + y for x, y in zip(expected, terms, strict=True)]
                    found = out[output, filter_, :, row, j]
                    assert [x % modulus for x in expected] == [int(x) for x in found]
