"""Sparse integer matrices times vectors over F_r.

A matrix is in compressed rows: row j has columns[starts[j]:starts[j + 1]] (int32) with as many
coefficients (int64); starts is int64. ValueError if these are inconsistent with the vector.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import threads
from pvcnn.algebra.kernels import sparse_rows
from pvcnn.algebra.scalars import ScalarVector, checked

__all__ = ["columns_times", "rows_times"]

_MINIMUM_ROWS = 1024


def rows_times(
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    coefficients: NDArray[np.int64],
    z: ScalarVector,
) -> ScalarVector:
    """M z: (rows, 4)."""
    vector = checked(z)
    starts, columns, coefficients = _checked_matrix(starts, columns, coefficients, len(vector))
    rows = len(starts) - 1
    out = np.empty((rows, 4), np.uint64)
    matrix = (starts.ctypes.data, columns.ctypes.data, coefficients.ctypes.data)
    target, source = out.ctypes.data, vector.ctypes.data

    def multiply(first: int, stop: int) -> None:
        sparse_rows.rows_times(target, *matrix, source, first, stop)

    threads.run([partial(multiply, first, stop) for first, stop in threads.spans(rows, _MINIMUM_ROWS)])
    return out


def columns_times(
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    coefficients: NDArray[np.int64],
    width: int,
    x: ScalarVector,
) -> ScalarVector:
    """M^T x: (width, 4), for a matrix of `width` columns and a vector of one element a row."""
    if len(x) != len(starts) - 1:
        raise ValueError(f"a matrix of {len(starts) - 1} rows and a vector of {len(x)} elements")
    starts, columns, coefficients = _checked_matrix(starts, columns, coefficients, width)
    order = np.argsort(columns, kind="stable")
    rows = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    column_starts = np.zeros(width + 1, np.int64)
    np.cumsum(np.bincount(columns, minlength=width), out=column_starts[1:])
    return rows_times(column_starts, rows[order], coefficients[order], x)


def _checked_matrix(
    starts: NDArray[np.int64], columns: NDArray[np.int32], coefficients: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Contiguous arrays whose every index is in range: the kernel trusts them."""
    if starts.dtype != np.int64 or columns.dtype != np.int32 or coefficients.dtype != np.int64:
        raise ValueError("a sparse matrix has int64 starts, int32 columns and int64 coefficients")
    if starts.ndim != 1 or columns.ndim != 1 or columns.shape != coefficients.shape or len(starts) < 1:
        raise ValueError("a sparse matrix has one starts entry more than rows, and a coefficient a column")
    if starts[0] != 0 or starts[-1] != len(columns) or (np.diff(starts) < 0).any():
        raise ValueError("starts must rise from 0 to the number of coefficients")
    if len(columns) and (columns.min() < 0 or columns.max() >= width):
        raise ValueError(f"a column lies outside [0, {width})")
    return np.ascontiguousarray(starts), np.ascontiguousarray(columns), np.ascontiguousarray(coefficients)
