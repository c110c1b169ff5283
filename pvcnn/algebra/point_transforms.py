"""The Lagrange basis of a domain in the exponent, from powers of a secret that nobody knows.

    [L_j(x)] = 1/n sum_k w^(-j k) [x^k]

is a Fourier transform whose entries are points: n/2 log2 n multiples, of which those by 1 cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import backends, scalars
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.multiples import multiples_g1, multiples_g2
from pvcnn.algebra.ntt import Domain
from pvcnn.algebra.point_pairs import sums_and_differences

__all__ = ["lagrange_points"]

_MULTIPLES = {1: multiples_g1, 2: multiples_g2}


def lagrange_points(
    domain: Domain, powers: PointVector, done: Callable[[], None] = lambda: None
) -> PointVector:
    """[L_j(x)] for j < n, of powers [x^k], k < n, in G1 or in G2, n the domain's size.

    The powers may all be multiplied by one more secret; then so is the result. `done` is called after each of
    the 1 + log2 n steps. ValueError for another number of points.
    """
    if len(powers) != domain.size:
        raise ValueError(f"a domain of {domain.size} and {len(powers)} points")
    multiples = _MULTIPLES[backends.backend().degree(powers)]
    share = pow(domain.size, -1, SCALAR_MODULUS)
    points = multiples(powers, scalars.geometric(share, 1, domain.size))[_reversed_bits(domain.size)]
    done()
    size = 2
    while size <= domain.size:
        root = pow(domain.root, -domain.size // size, SCALAR_MODULUS)
        blocks = points.reshape(domain.size // size, 2, size // 2, points.shape[1])
        even, odd = blocks[:, 0], blocks[:, 1].copy()
        if size > 2:  # the first entry of each block is multiplied by 1
            twiddles = scalars.geometric(root, root, size // 2 - 1)
            factors = np.tile(twiddles, (len(blocks), 1))
            odd[:, 1:] = multiples(odd[:, 1:].reshape(-1, points.shape[1]), factors).reshape(odd[:, 1:].shape)
        sums, differences = sums_and_differences(*(half.reshape(-1, points.shape[1]) for half in (even, odd)))
        halves = (each.reshape(even.shape) for each in (sums, differences))
        points = np.stack(list(halves), axis=1).reshape(points.shape)
        size *= 2
        done()
    return points


def _reversed_bits(size: int) -> NDArray[np.int64]:
    """(size,): the indices below a power of two with their bits in reverse order."""
    order = np.zeros(1, np.int64)
    while len(order) < size:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order
