"""Transposed integer matrices times vectors of points: what a column's entries make of the rows' points.

The entries of a column are written in bits (of a non-adjacent form, which has the fewest that are not 0).
Points with the same column and bit are added up, all columns in one stream of batches, and the sums by bit
put together with a doubling a bit. Most entries are 1 or -1, which is one addition.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import backends, threads
from pvcnn.algebra.batches import Batch, PointVector, Rows
from pvcnn.algebra.memory import ARENA, aligned
from pvcnn.algebra.streams import sum_stream

__all__ = ["columns_times_points"]

Integers = NDArray[np.int64]

_BITS = 64
_MINIMUM_TERMS = 1024
#: Terms that are summed at a time, at least.
_CHUNK = 1 << 15


def columns_times_points(
    rows: Integers, columns: NDArray[np.int32], coefficients: Integers, width: int, points: PointVector
) -> PointVector:
    """(width, 12 d): sum_k coefficients[k] points[rows[k]] over the k with columns[k] = i, for each i.

    rows, columns, coefficients: (entries,); points: a vector of G1 or of G2. A column without entries gives
    the identity. ValueError for indices out of range or a coefficient of -2^63.
    """
    backend = backends.backend()
    degree = backend.degree(points)
    _check(rows, columns, coefficients, width, len(points))
    source = aligned((len(points), backend.row_words(degree)))
    backend.convert(source, backend.checked(points, degree), degree, parallel=True)
    terms = _Terms.of(rows, columns, coefficients, width)
    sums = aligned((len(terms.starts), source.shape[1]))

    def add(first: int, last: int) -> None:
        _sum_terms(terms, first, last, source, sums, degree)

    threads.run_spans(add, len(terms.starts), _MINIMUM_TERMS)
    return _by_column(terms, sums, width, degree)


def _check(rows: Integers, columns: NDArray[np.int32], values: Integers, width: int, height: int) -> None:
    if not rows.shape == columns.shape == values.shape or rows.ndim != 1:
        raise ValueError("an entry has a row, a column and a coefficient")
    for indices, limit in ((rows, height), (columns, width)):
        if len(indices) and not 0 <= indices.min() <= indices.max() < limit:
            raise ValueError(f"an index lies outside [0, {limit})")
    if (values == np.iinfo(np.int64).min).any():
        raise ValueError("a coefficient is -2^63")


class _Terms:
    """Signed points to be added by label, label = bit * width + column, in the order of labels.

    places: 2 row + sign of each; starts: where each label's begin; labels: those that occur, ascending.
    """

    def __init__(self, labels: Integers, places: Integers, width: int) -> None:
        order = np.argsort(labels, kind="stable")
        self.places = places[order]
        self.labels, self.starts = np.unique(labels[order], return_index=True)
        self.ends = np.append(self.starts[1:], len(order))
        self.bits, self.columns = np.divmod(self.labels, width)

    @classmethod
    def of(cls, rows: Integers, columns: NDArray[np.int32], values: Integers, width: int) -> _Terms:
        magnitude = np.abs(values).astype(np.uint64)
        half = magnitude >> np.uint64(1)
        sums = magnitude + half
        changed = half ^ sums
        by_sign = (sums & changed, half & changed)  # the digits 1 and -1 of the non-adjacent form
        labels, places = [], []
        for bit in range(_BITS):
            for negative, digits in enumerate(by_sign):
                chosen = np.flatnonzero((digits >> np.uint64(bit)) & np.uint64(1))
                labels.append(bit * width + columns[chosen].astype(np.int64))
                places.append(2 * rows[chosen] + ((values[chosen] < 0) ^ bool(negative)))
        return cls(np.concatenate(labels), np.concatenate(places), width)


def _sum_terms(terms: _Terms, first: int, last: int, source: Rows, sums: Rows, degree: int) -> None:
    """sums[i] becomes the sum of the terms with label number i, for first <= i < last."""
    backend = backends.backend()
    size = source.strides[0]
    start = first
    while start < last:
        wanted = terms.starts[start] + _CHUNK // degree
        stop = min(last, max(start + 1, int(np.searchsorted(terms.ends, wanted))))
        span = slice(terms.starts[start], terms.ends[stop - 1])
        places = terms.places[span]
        count = len(places)
        batch = backend.batch(count + 1, degree)
        operands = source.ctypes.data + size * (places >> 1) + (places & 1)
        lengths = (terms.ends - terms.starts)[start:stop]
        labels = np.repeat(np.arange(stop - start, dtype=np.int32), lengths)
        pool = ARENA.array("pool", (count, source.shape[1]))
        pending = np.zeros(stop - start, np.int64)
        sum_stream(batch, labels, operands, count, pending, pool, sums[start:stop])
        start = stop


def _by_column(terms: _Terms, sums: Rows, width: int, degree: int) -> PointVector:
    """The sums by bit of each column, put together: doubled from the top bit down."""
    backend = backends.backend()
    totals = aligned((width, sums.shape[1]))
    size = totals.strides[0]
    own = totals.ctypes.data + size * np.arange(width, dtype=np.int64)
    places = np.zeros(width, np.int64)
    batch = backend.batch(width, degree)
    for bit in range(int(terms.bits.max(initial=0)), -1, -1):
        _double(batch, places, own)
        chosen = terms.bits == bit
        columns = terms.columns[chosen]
        added = sums.ctypes.data + size * np.flatnonzero(chosen)
        waits = places[columns] != 0
        count = int(waits.sum())
        batch.tasks[0, :count] = places[columns[waits]]
        batch.tasks[1, :count] = added[waits]
        batch.tasks[2, :count] = own[columns[waits]]
        batch.add(count)
        places[columns] = np.where(waits, own[columns], added)
    batch.tasks[0, :width] = np.where(places == 0, batch.identity, places)
    batch.tasks[2, :width] = own
    moved = batch.tasks[0, :width] != own
    count = int(moved.sum())
    batch.tasks[:, :count] = batch.tasks[:, :width][:, moved]
    batch.copy(count)
    out = np.empty((width, 12 * degree), np.uint64)
    backend.leave(out, totals, degree)
    return out


def _double(batch: Batch, places: Integers, own: Integers) -> None:
    """Doubles the sums that are not empty, each to its own place."""
    present = np.flatnonzero(places)
    batch.tasks[0, : len(present)] = places[present]
    batch.tasks[2, : len(present)] = own[present]
    batch.double(len(present))
    places[present] = own[present]
