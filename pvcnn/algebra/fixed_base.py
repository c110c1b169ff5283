"""Many multiples of one point, by tables of its multiples."""

from __future__ import annotations

from functools import partial

import numpy as np

from pvcnn.algebra import backends, threads
from pvcnn.algebra.batches import PointVector, Rows
from pvcnn.algebra.kernels.digits import table_operands, unsummed_operands
from pvcnn.algebra.memory import ARENA, aligned
from pvcnn.algebra.recoding import SCALAR_BITS, recode, window_count
from pvcnn.algebra.scalars import ScalarVector

__all__ = ["Table", "table_exponents", "table_width"]

#: Few widths, so that tables are used again.
_WIDTHS = (4, 7, 10, 12)
_MINIMUM_SPAN = 64
#: Multiples computed at a time: their batches then have the size of the others.
_CHUNK = 1 << 13


def table_width(count: int) -> int:
    """The digits' width that costs least for `count` multiples, the table's own cost included."""

    def cost(width: int) -> int:
        return window_count(SCALAR_BITS, width) * (count + (1 << (width - 1)))

    return min(_WIDTHS, key=cost)


def table_exponents(width: int) -> list[int]:
    """The powers of two whose multiples of the base a table starts from."""
    return [width * window for window in range(window_count(SCALAR_BITS, width))]


class Table:
    """The multiples 1 to 2^(width - 1) of 2^(width w) times a base, for every digit w of a scalar."""

    def __init__(self, bases: PointVector, width: int, degree: int) -> None:
        """bases: (len(table_exponents(width)), 12 degree), 2^(width w) times the base in row w."""
        self._backend = backends.backend()
        self._degree = degree
        self._width = width
        self._rows = aligned((len(bases), 1 << (width - 1), self._backend.row_words(degree)))
        self._rows[:, 0] = self._backend.rows(bases, degree, parallel=False)
        spans = threads.spans(len(bases), 1)
        threads.run([partial(self._fill, self._rows[a:b]) for a, b in spans])

    def multiply(self, values: ScalarVector) -> PointVector:
        """(n, 12 degree): values[i] times the base."""
        out = np.empty((len(values), 12 * self._degree), np.uint64)
        spans = threads.spans(len(values), _MINIMUM_SPAN)
        threads.run([partial(self._multiply_span, values[a:b], out[a:b]) for a, b in spans])
        return out

    def _fill(self, rows: Rows) -> None:
        """Completes rows of multiples: those up to m, plus m times the base, give those up to 2 m."""
        windows, multiples, _ = rows.shape
        batch = self._backend.batch(windows * multiples // 2 + 1, self._degree)
        offsets = batch.point_bytes * np.arange(windows * multiples, dtype=np.int64)
        addresses = (rows.ctypes.data + offsets).reshape(windows, multiples)
        known = 1
        while known < multiples:
            count = windows * known
            batch.tasks[0, :count] = addresses[:, :known].reshape(-1)
            batch.tasks[1, :count] = np.repeat(addresses[:, known - 1], known)
            batch.tasks[2, :count] = addresses[:, known : 2 * known].reshape(-1)
            batch.add(count)
            known *= 2

    def _multiply_span(self, values: ScalarVector, out: PointVector) -> None:
        size = min(_CHUNK, len(values))
        batch = self._backend.batch(size, self._degree)
        sums = ARENA.array("sums", (size, self._rows.shape[2]))
        operands, digits = np.empty(size, np.int64), np.empty(size, np.int32)
        for start in range(0, len(values), _CHUNK):
            chunk = slice(start, min(start + _CHUNK, len(values)))
            count = chunk.stop - start
            recoding = recode(values[chunk], SCALAR_BITS, self._width)
            places = operands[:count]
            places[:] = 0
            for window in range(recoding.windows):
                queued = table_operands(
                    batch.tasks,
                    places,
                    sums.ctypes.data,
                    self._rows[window].ctypes.data,
                    batch.point_bytes,
                    recoding.digits(window, digits[:count]),
                )
                batch.add(queued)
            batch.copy(
                unsummed_operands(batch.tasks, places, sums.ctypes.data, batch.point_bytes, batch.identity)
            )
            self._backend.leave(out[chunk], sums[:count], self._degree)
