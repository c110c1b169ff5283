"""Rows of points, batches of additions on them, and which kernels do the work.

Point vectors, the type outside pvcnn.algebra, look the same on every machine. Kernels work on *rows*:
with the portable kernels those are the vector's own, with the eight-lane kernels 52-bit limbs in lines
of 64 bytes. Sums of multiples and fixed bases convert what they are given, and convert back what they
return: about 10 ns a coordinate on eight lanes, against 40 ns an addition, so that files, other
processes and other machines need not know of it. Whoever implements `Backend` and `Batch` with other
instructions serves sums of multiples and fixed bases alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import threads
from pvcnn.algebra.kernels import additions
from pvcnn.algebra.kernels.selection import KERNELS, Kernels
from pvcnn.algebra.memory import ARENA

#: (n, 12 d) uint64: affine x and y in the extension of degree d over F_q; see pvcnn.algebra.curve.
PointVector: TypeAlias = NDArray[np.uint64]
#: (n, row_words) uint64: what kernels add. Belongs to one backend.
Rows: TypeAlias = NDArray[np.uint64]

#: Additions that share one inversion: more no longer fit the second-level cache.
_SHARED = 1024
#: Fewer points than this are not worth a thread of their own when they are converted.
_MINIMUM_CONVERTED = 2048


class Batch(ABC):
    """One thread's tasks for additions of rows in the extension of a degree.

    tasks: (3, at least capacity) int64, addresses of left operand, right operand and target;
    addresses plus 1 mean the point's negative. The caller keeps the arrays alive that they point into.
    A thread has one batch at a time.
    """

    tasks: NDArray[np.int64]
    #: Bytes of a row.
    point_bytes: int
    #: Address of a row that holds the identity.
    identity: int

    @abstractmethod
    def add(self, count: int) -> None:
        """Performs the first `count` tasks; a target may be an operand of its own task only."""

    @abstractmethod
    def copy(self, count: int) -> None:
        """Copies the left operands of the first `count` tasks to their targets."""


class Backend(ABC):
    """One implementation of rows."""

    @abstractmethod
    def row_words(self, degree: int) -> int:
        """How many uint64 a row has."""

    @abstractmethod
    def batch(self, capacity: int, degree: int) -> Batch:
        """Room for `capacity` tasks."""

    @abstractmethod
    def enter(self, rows: Rows, points: PointVector, degree: int) -> None:
        """Makes rows of the points of a contiguous vector."""

    @abstractmethod
    def leave(self, points: PointVector, rows: Rows, degree: int) -> None:
        """Makes points of rows, reduced, the identity all zero."""

    def rows(self, points: PointVector, degree: int, *, parallel: bool) -> Rows:
        """The rows of a contiguous vector, perhaps in memory of the calling thread's arena."""
        rows = ARENA.array("points", (len(points), self.row_words(degree)))

        def enter(first: int, last: int) -> None:
            self.enter(rows[first:last], points[first:last], degree)

        if parallel:
            spans = threads.spans(len(points), _MINIMUM_CONVERTED)
            threads.run([lambda span=span: enter(*span) for span in spans])  # type: ignore[misc]
        else:
            enter(0, len(points))
        return rows


class _PortableBatch(Batch):
    def __init__(self, capacity: int, degree: int) -> None:
        self.tasks = ARENA.array("tasks", (3, capacity), np.int64)
        self.point_bytes = 96 * degree
        self._degree = (0,) * degree
        self._workspace = ARENA.array("workspace", (min(capacity, _SHARED) + 1, 12 * degree))
        self._workspace[-1] = 0
        self.identity = self._workspace[-1:].ctypes.data

    def add(self, count: int) -> None:
        additions.add_pairs(self._degree, self.tasks, count, self._workspace.ctypes.data, _SHARED)

    def copy(self, count: int) -> None:
        additions.copy_points(self._degree, self.tasks, count)


class PortableBackend(Backend):
    """64-bit words, on any processor: rows are the vectors' own."""

    def row_words(self, degree: int) -> int:
        return 12 * degree

    def batch(self, capacity: int, degree: int) -> Batch:
        return _PortableBatch(capacity, degree)

    def enter(self, rows: Rows, points: PointVector, degree: int) -> None:
        rows[:] = points

    def leave(self, points: PointVector, rows: Rows, degree: int) -> None:
        points[:] = rows

    def rows(self, points: PointVector, degree: int, *, parallel: bool) -> Rows:
        return points


@lru_cache
def _make(kernels: Kernels) -> Backend:
    if kernels is Kernels.PORTABLE:
        return PortableBackend()
    from pvcnn.algebra.ifma_batches import IfmaBackend

    return IfmaBackend()


_active = _make(KERNELS)


def backend() -> Backend:
    """The backend in use: of `pvcnn.algebra.kernels.selection.KERNELS`."""
    return _active


@contextmanager
def use(kernels: Kernels) -> Iterator[Backend]:
    """Another backend in this process for a while, to test or measure it. Not for several threads."""
    global _active
    before, _active = _active, _make(kernels)
    try:
        yield _active
    finally:
        _active = before
