"""Linear functions with integer coefficients, known as functions of float64, on vectors over F_r.

Elements are cut into limbs of so few bits that every sum stays below 2^53, where float64 is exact; the
function is applied to each limb of all elements, and the results are put together modulo r.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.scalars import ScalarVector, checked
from pvcnn.algebra.sparse import Rows

__all__ = ["apply_integer_map"]

#: (batch, inputs) float64 to (batch, outputs): the same linear function of each row.
FloatMap = Callable[[NDArray[np.float64]], NDArray[Any]]

_EXACT_BITS = 53
_SCALAR_BITS = 255
#: Limbs are as narrow as the function needs and no wider than this.
_WIDEST = 24
#: What the limbs that are worked on at once may take, inputs and outputs together.
_BLOCK_BYTES = 64 << 20


def apply_integer_map(function: FloatMap, gain: int, outputs: int, values: ScalarVector) -> ScalarVector:
    """function(values): (outputs, 4), for (n, 4).

    `gain` bounds the sum of magnitudes of the coefficients of any output. Raises ValueError if float64
    has no room for it. Buffers that held limbs are overwritten: `values` may be secret.
    """
    bits = min(_WIDEST, _EXACT_BITS - gain.bit_length())
    if bits < 1:
        raise ValueError("the coefficients' sums leave no room for limbs in float64")
    words = checked(values)
    count = -(-_SCALAR_BITS // bits)
    at_once = max(1, min(count, _BLOCK_BYTES // (8 * max(1, len(words) + outputs))))
    sums = np.empty((outputs, count), np.int64)
    for start in range(0, count, at_once):
        stop = min(count, start + at_once)
        limbs = np.empty((stop - start, len(words)))
        for place in range(start, stop):
            limb = _limb(words, bits * place, bits)
            limbs[place - start] = limb
            limb.fill(0)
        made = function(limbs).reshape(stop - start, outputs)
        sums[:, start:stop] = made.T
        limbs.fill(0)
        made.fill(0)
    result = _recombined(sums, bits)
    sums.fill(0)
    return result


def _limb(words: NDArray[np.uint64], offset: int, bits: int) -> NDArray[np.uint64]:
    """`bits` bits of each element from bit `offset` on."""
    word, shift = divmod(offset, 64)
    limb: NDArray[np.uint64] = words[:, word] >> np.uint64(shift)
    if shift + bits > 64 and word + 1 < words.shape[1]:
        above = words[:, word + 1] << np.uint64(64 - shift)
        limb |= above
        above.fill(0)
    limb &= np.uint64((1 << bits) - 1)
    return limb


def _recombined(sums: NDArray[np.int64], bits: int) -> ScalarVector:
    """sum_k 2^(bits k) sums[i, k] modulo r, for each i.

    Limbs are those of the Montgomery form, whose multiples are the Montgomery form of multiples.
    """
    outputs, count = sums.shape
    places = np.zeros((count, 4), np.uint64)
    for place in range(count):
        word, shift = divmod(bits * place, 64)
        places[place, word] = 1 << shift
    starts = count * np.arange(outputs + 1, dtype=np.int64)
    columns = np.tile(np.arange(count, dtype=np.int32), outputs)
    return Rows(starts, columns, sums.reshape(-1)).times(places)
