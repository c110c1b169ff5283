"""Products of sparse integer rows with a vector over F_r."""

from __future__ import annotations

from typing import Any

from numba import uint64

from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import (
    accumulate,
    accumulator_zero,
    add,
    load_index,
    load_scalar,
    load_signed,
    multiply,
    scalar_one,
    scalar_radix,
    store,
    subtract,
)


@kernel
def _reduce(total: Any) -> Any:
    """A sum of seven words modulo r: the low four words plus the high three times 2^256."""
    low = multiply(scalar_one(), (total[0], total[1], total[2], total[3]))
    high = multiply(scalar_radix(), (total[4], total[5], total[6], uint64(0)))
    return add(low, high)


@kernel
def rows_times(
    out: int, starts: int, columns: int, coefficients: int, values: int, first: int, stop: int
) -> None:
    """out[j] = sum_k coefficients[k] values[columns[k]], k in row j, for the rows first <= j < stop.

    Row j has the k with starts[j] <= k < starts[j + 1]. Terms of either sign are summed over the
    integers and reduced once a row.
    """
    for row in range(first, stop):
        positive = negative = accumulator_zero()
        for k in range(load_signed(starts + 8 * row), load_signed(starts + 8 * row + 8)):
            coefficient = load_signed(coefficients + 8 * k)
            element = load_scalar(values + 32 * load_index(columns + 4 * k))
            if coefficient < 0:
                negative = accumulate(negative, element, uint64(-coefficient))
            else:
                positive = accumulate(positive, element, uint64(coefficient))
        store(out + 32 * row, subtract(_reduce(positive), _reduce(negative)))
