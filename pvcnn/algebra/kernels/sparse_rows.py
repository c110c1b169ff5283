"""Products of sparse integer rows with a vector over F_r."""

from __future__ import annotations

from typing import Any

from numba import uint64

from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import (
    add,
    load_index,
    load_scalar,
    load_signed,
    multiply,
    scalar_one,
    scalar_radix,
    scalar_zero,
    store,
    store_index,
    store_word,
    subtract,
    sum_is_small,
    sum_magnitude,
    sum_minus,
    sum_plus,
    sum_plus_multiple,
    sum_reduced,
    sum_zero,
)


@kernel
def reduce_sum(total: Any) -> Any:
    """A sum of multiples modulo r."""
    if sum_is_small(total):
        return sum_reduced(total)
    magnitude = sum_magnitude(total)
    low = multiply(scalar_one(), (magnitude[0], magnitude[1], magnitude[2], magnitude[3]))
    high = multiply(scalar_radix(), (magnitude[4], magnitude[5], uint64(0), uint64(0)))
    reduced = add(low, high)
    return subtract(scalar_zero(), reduced) if (total[5] >> uint64(63)) else reduced


@kernel
def rows_times(
    out: int, starts: int, columns: int, coefficients: int, values: int, first: int, stop: int
) -> None:
    """For the rows first <= j < stop, one after another to `out`: sum_k coefficients[k] values[columns[k]].

    Row j has the k with starts[j] <= k < starts[j + 1]. Terms are summed over the integers and reduced
    once a row. Two rows in three have a single coefficient, 1, and nine coefficients in ten are 1 or -1.
    """
    end = load_signed(starts + 8 * first)
    for row in range(first, stop):
        begin, end = end, load_signed(starts + 8 * row + 8)
        if end == begin + 1 and load_signed(coefficients + 8 * begin) == 1:
            element = load_scalar(values + 32 * load_index(columns + 4 * begin))
        else:
            total = sum_zero()
            for k in range(begin, end):
                coefficient = load_signed(coefficients + 8 * k)
                element = load_scalar(values + 32 * load_index(columns + 4 * k))
                if coefficient == 1:
                    total = sum_plus(total, element)
                elif coefficient == -1:
                    total = sum_minus(total, element)
                else:
                    total = sum_plus_multiple(total, element, coefficient)
            element = reduce_sum(total)
        store(out + 32 * (row - first), element)


@kernel
def transpose(
    places: Any, rows: int, coefficients: int, starts: int, columns: int, values: int, count: int
) -> None:
    """Entries of `count` rows (starts, columns, values) by column: to `rows` and `coefficients`.

    places: (columns,) int64, where each column's entries begin; counted up.
    """
    for row in range(count):
        for k in range(load_signed(starts + 8 * row), load_signed(starts + 8 * row + 8)):
            column = load_index(columns + 4 * k)
            place = places[column]
            places[column] = place + 1
            store_index(rows + 4 * place, row)
            store_word(coefficients + 8 * place, load_signed(values + 8 * k))
