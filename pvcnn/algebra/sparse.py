"""Sparse integer matrices times vectors over F_r.

A matrix is in compressed rows: row j has columns[starts[j]:starts[j + 1]] (int32) with as many
coefficients (int64); starts is int64. ValueError if these are inconsistent with the vector.

Sums are made over the integers, a row at a time, with 64-bit words on every processor: coefficients are
mostly 1 and -1, so what a row costs is the way of its elements through the caches, which lanes don't
shorten.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import threads
from pvcnn.algebra.kernels import sparse_rows
from pvcnn.algebra.scalars import ScalarVector, checked

__all__ = ["Rows", "columns_times", "rows_times"]

_MINIMUM_ROWS = 1024


class Rows:
    """A matrix whose arrays have been checked, once for many products; they must not change any more.

    height: how many rows; width: the least length of the vectors that it can be multiplied with.
    """

    def __init__(
        self, starts: NDArray[np.int64], columns: NDArray[np.int32], coefficients: NDArray[np.int64]
    ) -> None:
        _check_matrix(starts, columns, coefficients)
        self._starts = np.ascontiguousarray(starts)
        self._columns = np.ascontiguousarray(columns)
        self._coefficients = np.ascontiguousarray(coefficients)
        self.height = len(starts) - 1
        self.width = int(columns.max()) + 1 if len(columns) else 0

    def times(self, z: ScalarVector, rows: slice | None = None) -> ScalarVector:
        """M z, (height, 4), or only the given rows of it, a span of step 1."""
        vector = checked(z)
        if self.width > len(vector):
            raise ValueError(f"column {self.width - 1} lies outside of a vector of {len(vector)}")
        first, stop, _ = (rows or slice(None)).indices(self.height)
        out = np.empty((max(0, stop - first), 4), np.uint64)
        matrix = (self._starts.ctypes.data, self._columns.ctypes.data, self._coefficients.ctypes.data)
        target, source = out.ctypes.data, vector.ctypes.data

        def multiply(begin: int, end: int) -> None:
            sparse_rows.rows_times(target + 32 * begin, *matrix, source, first + begin, first + end)

        threads.run_spans(multiply, len(out), _MINIMUM_ROWS)
        return out

    def taken(self, rows: NDArray[np.int64]) -> Rows:
        """The matrix of the given rows of this one, in their order."""
        lengths = np.diff(self._starts)[rows]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        # Entry k of the new matrix is this many places on in the old one.
        moved = np.repeat(self._starts[rows] - starts[:-1], lengths)
        entries = np.arange(starts[-1]) + moved
        return Rows(starts, self._columns[entries], self._coefficients[entries])

    def columns_of(self, rows: slice) -> NDArray[np.int32]:
        """The columns of all coefficients in a span of rows."""
        return self._columns[self._starts[rows.start] : self._starts[rows.stop]]

    def transposed(self, width: int) -> Rows:
        """M^T, for a matrix of `width` columns."""
        if self.width > width:
            raise ValueError(f"a column lies outside [0, {width})")
        starts = np.zeros(width + 1, np.int64)
        np.cumsum(np.bincount(self._columns, minlength=width), out=starts[1:])
        rows, coefficients = np.empty_like(self._columns), np.empty_like(self._coefficients)
        sparse_rows.transpose(
            starts[:-1].copy(),
            rows.ctypes.data,
            coefficients.ctypes.data,
            self._starts.ctypes.data,
            self._columns.ctypes.data,
            self._coefficients.ctypes.data,
            self.height,
        )
        return Rows(starts, rows, coefficients)


def rows_times(
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    coefficients: NDArray[np.int64],
    z: ScalarVector,
) -> ScalarVector:
    """M z: (rows, 4)."""
    return Rows(starts, columns, coefficients).times(z)


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
    return Rows(starts, columns, coefficients).transposed(width).times(x)


def _check_matrix(
    starts: NDArray[np.int64], columns: NDArray[np.int32], coefficients: NDArray[np.int64]
) -> None:
    """Raises ValueError unless every index is in range: the kernel trusts them."""
    if starts.dtype != np.int64 or columns.dtype != np.int32 or coefficients.dtype != np.int64:
        raise ValueError("a sparse matrix has int64 starts, int32 columns and int64 coefficients")
    if starts.ndim != 1 or columns.ndim != 1 or columns.shape != coefficients.shape or len(starts) < 1:
        raise ValueError("a sparse matrix has one starts entry more than rows, and a coefficient a column")
    if starts[0] != 0 or starts[-1] != len(columns) or (np.diff(starts) < 0).any():
        raise ValueError("starts must rise from 0 to the number of coefficients")
    if len(columns) and columns.min() < 0:
        raise ValueError("a column is negative")
