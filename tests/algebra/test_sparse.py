"""Sparse integer matrices times vectors over F_r against Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS as R
from pvcnn.algebra.sparse import Rows, columns_times, rows_times

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


def test_sums_are_reduced_at_every_edge() -> None:
    """Around multiples of r up to the largest sums, of either sign: where a quotient may be off by one."""
    largest = 2**63 - 1
    vectors = [[R - 1, 1], [R - 1, R - 1], [R // 2, 1], [1, 0], [(1 << 250) - 1, 1]]
    firsts = [0, 1, 2, 3, 1 << 31, 1 << 57, (1 << 58) - 1, 1 << 58, (1 << 59) - 1, 1 << 62, largest]
    pairs = [(s * a, b) for s in (1, -1) for a in firsts for b in (-largest - 1, -2, -1, 0, 1, 2, largest)]
    rows = [(*pair, *extra) for pair in pairs for extra in ((0, 0), pair, (-pair[0], -2))]
    starts = np.arange(0, 4 * len(rows) + 1, 4)
    columns = np.tile(np.array([0, 1, 0, 1], np.int32), len(rows))
    matrix = starts, columns, np.array(rows, np.int64).reshape(-1)
    for vector in vectors:
        product = rows_times(*matrix, scalars.from_integers(vector))
        assert scalars.to_integers(product) == dense_product(matrix, vector)


def test_spans_of_rows_and_chosen_rows() -> None:
    matrix = random_matrix(300, 50, 2000, seed=5)
    z = scalars.random(50)
    whole, rows = rows_times(*matrix, z), Rows(*matrix)
    assert (rows.height, rows.width) == (300, int(matrix[1].max()) + 1)
    for span in (slice(0, 0), slice(3, 4), slice(17, 211), slice(290, 300)):
        assert (rows.times(z, span) == whole[span]).all()
        entries = slice(matrix[0][span.start], matrix[0][span.stop])
        assert (rows.columns_of(span) == matrix[1][entries]).all()
    chosen = np.array([5, 299, 5, 0, 17])
    assert (rows.taken(chosen).times(z) == whole[chosen]).all()
    assert rows.taken(chosen[:0]).times(z).shape == (0, 4)


def test_vectors_shorter_than_the_matrix_is_wide_are_refused() -> None:
    rows = Rows(np.array([0, 1]), np.array([3], np.int32), np.array([1]))
    with pytest.raises(ValueError, match="column 3"):
        rows.times(scalars.zeros(3))
    with pytest.raises(ValueError, match="column"):
        rows.transposed(3)


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
