"""Kernels in which each element depends on earlier ones, on eight lanes.

A product has to be waited for, so CHAINS chains run side by side: element i belongs to chain i modulo
CHAINS, four blocks of eight lanes.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pvcnn.algebra.kernels import scalar_vectors
from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import load_scalar, multiply, store
from pvcnn.algebra.kernels.ifma_scalars.vectors import multiply_vectors, scale_vector

#: How many running products `running_products` makes: as many as its last elements.
CHAINS: Final = 32


@kernel
def power_sequence(out: int, first: int, ratio: int, count: int) -> None:
    """out[i] = first ratio^i, for elements at addresses `first` and `ratio`."""
    scalar_vectors.power_sequence(out, first, ratio, min(count, CHAINS))
    step = np.empty(4, np.uint64)
    power = load_scalar(ratio)
    for _ in range(5):  # ratio^CHAINS
        power = multiply(power, power)
    store(step.ctypes.data, power)
    for i in range(CHAINS, count, CHAINS):
        place = out + 32 * i
        scale_vector(place, place - 32 * CHAINS, step.ctypes.data, min(CHAINS, count - i))


@kernel
def running_products(out: int, values: int, count: int) -> None:
    """out[i] = values[i] values[i - CHAINS] values[i - 2 CHAINS] ..."""
    for i in range(0, 32 * min(count, CHAINS), 32):
        store(out + i, load_scalar(values + i))
    for i in range(CHAINS, count, CHAINS):
        place = out + 32 * i
        multiply_vectors(place, values + 32 * i, place - 32 * CHAINS, min(CHAINS, count - i))


@kernel
def invert_from_products(out: int, values: int, inverses: int, count: int) -> None:
    """Batch inversion's second pass: `out` holds the running products and receives the inverses.

    inverses: those of the last min(count, CHAINS) products; overwritten.
    """
    block = 32 * CHAINS
    stop = count
    while stop >= 2 * CHAINS:
        place = 32 * stop - block
        multiply_vectors(out + place, inverses, out + place - block, CHAINS)
        multiply_vectors(inverses, inverses, values + place, CHAINS)
        stop -= CHAINS
    # Of the second block only `length` elements are left: those of the last chains.
    length = max(stop - CHAINS, 0)
    used = inverses + block - 32 * length
    multiply_vectors(out + block, used, out, length)
    multiply_vectors(used, used, values + block, length)
    for i in range(min(count, CHAINS)):
        store(out + 32 * i, load_scalar(inverses + 32 * ((i - length) % CHAINS)))
