"""Rows of points and batches of additions on them, whichever kernels do the work.

Point vectors, the type outside pvcnn.algebra, look the same on every machine. Kernels work on *rows*:
with the portable kernels those are the vector's own, with the eight-lane kernels 52-bit limbs in lines
of 64 bytes. Sums of multiples and fixed bases convert what they are given, and convert back what they
return: about 10 ns a coordinate on eight lanes, against 40 ns an addition, so that files, other
processes and other machines need not know of it. Whoever implements `Backend` and `Batch` with other
instructions serves sums of multiples and fixed bases alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import threads
from pvcnn.algebra.memory import ARENA

#: (n, 12 d) uint64: affine x and y in the extension of degree d over F_q; see pvcnn.algebra.curve.
PointVector: TypeAlias = NDArray[np.uint64]
#: (n, row_words) uint64: what kernels add. Belongs to one backend.
Rows: TypeAlias = NDArray[np.uint64]

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
