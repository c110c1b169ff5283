"""Sparse integer matrices times vectors over F_r against Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS as R
from pvcnn.algebra.sparse import columns_times, rows_times

Matrix = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]


def random_matrix(rows: int, width: int, count: int, seed: int) -> Matrix:
    """`count` coefficients of all magnitudes, some rows empty."""
    rng = np.random.default_rng(seed)
    inner = np.sort(rng.integers(0, count + 1, rows - 1))
    starts = np.concatenate([[0], inner, [count]]).astype(np.int64)
    columns = rng.integers(0, width, count).astype(np.int32)
    coefficients = rng.integers(-(2**63), 2**63 - 1, count) >> rng.integers(0, 63, count)
    coefficients[: min(count, 4)] = [-(2**63), 2**63 - 1, 0, -1][: min(count, 4)]
    return starts, columns, coefficients


def dense_product(matrix: Matrix, vector: list[int]) -> list[int]:
    starts, columns, coefficients = matrix
    return [
        sum(int(coefficients[k]) * vector[columns[k]] for k in range(starts[row], starts[row + 1])) % R
        for row in range(len(starts) - 1)
    ]


def dense_transposed_product(matrix: Matrix, width: int, vector: list[int]) -> list[int]:
    starts, columns, coefficients = matrix
    out = [0] * width
    for row in range(len(starts) - 1):
        for k in range(starts[row], starts[row + 1]):
            out[columns[k]] = (out[columns[k]] + int(coefficients[k]) * vector[row]) % R
    return out


@pytest.mark.parametrize(
    ("rows", "width", "count"), [(1, 1, 1), (1, 5, 0), (7, 3, 20), (300, 200, 3000), (5000, 100, 9000)]
)
def test_both_products_agree_with_integers(rows: int, width: int, count: int) -> None:
    matrix = random_matrix(rows, width, count, seed=rows)
    z, x = scalars.random(width), scalars.random(rows)
    assert scalars.to_integers(rows_times(*matrix, z)) == dense_product(matrix, scalars.to_integers(z))
    product = columns_times(*matrix, width, x)
    assert product.shape == (width, 4)
    assert scalars.to_integers(product) == dense_transposed_product(matrix, width, scalars.to_integers(x))


def test_sums_of_extremes_do_not_overflow() -> None:
    """Ten thousand times -2^63 (r - 1), and as many of the other sign."""
    count = 20_000
    coefficients = np.full(count, -(2**63), np.int64)
    coefficients[::2] = 2**63 - 1
    starts = np.array([0, count], np.int64)
    columns = np.zeros(count, np.int32)
    expected = sum(int(c) for c in coefficients) * (R - 1) % R
    assert scalars.to_integers(rows_times(starts, columns, coefficients, scalars.from_integers([-1]))) == [
        expected
    ]


def test_no_rows() -> None:
    empty = np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64)
    assert rows_times(*empty, scalars.zeros(0)).shape == (0, 4)
    assert scalars.to_integers(columns_times(*empty, 3, scalars.zeros(0))) == [0, 0, 0]


STARTS, COLUMNS, COEFFICIENTS = np.array([0, 1, 2]), np.array([0, 1], np.int32), np.array([1, 1])


@pytest.mark.parametrize(
    "matrix",
    [
        (STARTS, np.array([0, 2], np.int32), COEFFICIENTS),
        (STARTS, np.array([0, -1], np.int32), COEFFICIENTS),
        (np.array([0, 1, 3]), COLUMNS, COEFFICIENTS),
        (np.array([1, 1, 2]), COLUMNS, COEFFICIENTS),
        (np.array([0, 3, 2]), COLUMNS, COEFFICIENTS),
        (STARTS, COLUMNS, np.array([1])),
        (STARTS, COLUMNS.astype(np.int64), COEFFICIENTS),
        (np.zeros(0, np.int64), COLUMNS, COEFFICIENTS),
    ],
)
def test_inconsistent_matrices_never_reach_the_kernel(matrix: Matrix) -> None:
    with pytest.raises(ValueError, match=r"matrix|starts|column"):
        rows_times(*matrix, scalars.zeros(2))
    with pytest.raises(ValueError, match=r"matrix|starts|column"):
        columns_times(*matrix, 2, scalars.zeros(2))
