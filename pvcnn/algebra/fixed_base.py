"""Many multiples of one point, by tables of its multiples."""

from __future__ import annotations

from functools import partial

import numpy as np

from pvcnn.algebra import threads
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.kernels import tables
from pvcnn.algebra.multiexponentiation import BATCH, PointVector, recode
from pvcnn.algebra.scalars import ScalarVector, checked

__all__ = ["Table", "table_width"]

_BITS = (SCALAR_MODULUS // 2).bit_length()
_MINIMUM_SPAN = 64


def table_width(count: int) -> int:
    """The digit width that costs least for `count` multiples, among few, so that tables are reused."""

    def cost(width: int) -> int:
        return window_count(width) * (count + (1 << (width - 1)))

    return min((4, 7, 10, 12), key=cost)


def window_count(width: int) -> int:
    return -(-(_BITS + 1) // width)


class Table:
    """The multiples 1 to 2^(width - 1) of 2^(width w) times a base, for every digit w of a scalar."""

    def __init__(self, bases: PointVector, width: int, degree: int) -> None:
        """bases: (window_count(width), 12 degree), 2^(width w) times the base in row w."""
        self._extension = (0,) * degree
        self._width = width
        self._multiples = 1 << (width - 1)
        self._points = np.empty((len(bases), self._multiples, 12 * degree), np.uint64)
        self._points[:, 0] = bases
        spans = threads.spans(len(bases), 1)
        threads.run([partial(self._fill, first, stop) for first, stop in spans])

    def multiply(self, values: ScalarVector) -> PointVector:
        """(n, 12 degree): values[i] times the base."""
        source = checked(values)
        out = np.zeros((len(source), self._points.shape[2]), np.uint64)
        spans = threads.spans(len(source), _MINIMUM_SPAN)
        threads.run([partial(self._multiply, source[a:b], out[a:b]) for a, b in spans])
        return out

    def _fill(self, first: int, stop: int) -> None:
        tasks, workspace = self._memory()
        tables.fill_table(
            self._extension,
            self._points[first:].ctypes.data,
            stop - first,
            self._multiples,
            tasks,
            workspace.ctypes.data,
        )

    def _multiply(self, values: ScalarVector, out: PointVector) -> None:
        recoding = recode(values, len(self._points), self._width)
        tasks, workspace = self._memory()
        tables.multiply_base(
            self._extension,
            out.ctypes.data,
            self._points.ctypes.data,
            self._multiples,
            recoding.words,
            recoding.negative,
            recoding.windows,
            recoding.width,
            tasks,
            workspace.ctypes.data,
        )

    def _memory(self) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int64]], PointVector]:
        """Memory for one thread's batches of additions."""
        return np.empty((3, BATCH), np.int64), np.empty((BATCH, self._points.shape[2]), np.uint64)
