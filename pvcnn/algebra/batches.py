"""Rows of points and batches of additions on them, whichever kernels do the work.

Point vectors look the same on every machine: they are what files and other machines get. Kernels work
on *rows*: with the portable kernels those are the vector's own, with the eight-lane kernels 52-bit limbs
in lines of 64 bytes. Sums of multiples take either and convert a vector on the way, about 10 ns a
coordinate on eight lanes; points that are summed in every proof are better kept as rows. Whoever
implements `Backend` and `Batch` with other instructions serves sums of multiples and fixed bases alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import threads
from pvcnn.algebra.memory import ALIGNMENT, ARENA, aligned

#: (n, 12 d) uint64: affine x and y in the extension of degree d over F_q; see pvcnn.algebra.curve.
PointVector: TypeAlias = NDArray[np.uint64]
#: (n, row_words) uint64: what kernels add. Belongs to one backend.
Rows: TypeAlias = NDArray[np.uint64]
#: Either of them. Their widths tell which, and in which degree.
Points: TypeAlias = NDArray[np.uint64]

#: Words of one element of F_q in a point vector, x and y: times the degree, a point's.
VECTOR_WORDS: Final = 12
#: Degrees of the fields of coordinates: of G1 and of G2.
DEGREES: Final = (1, 2)
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
    def double(self, count: int) -> None:
        """Doubles the left operands of the first `count` tasks; a target may be its own task's operand.

        Right operands are overwritten.
        """

    @abstractmethod
    def copy(self, count: int) -> None:
        """Copies the left operands of the first `count` tasks to their targets."""


class Backend(ABC):
    """One implementation of rows."""

    #: What a file of rows is called by: rows of one name look the same wherever they were made.
    layout: str

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

    def degree(self, points: Points) -> int:
        """The degree of the points' coordinates, which no two widths share; ValueError if it has none."""
        for degree in DEGREES:
            if points.ndim == 2 and points.shape[1] in (VECTOR_WORDS * degree, self.row_words(degree)):
                return degree
        raise ValueError(f"not a vector of points: {points.dtype} {points.shape}")

    def checked(self, points: Points, degree: int) -> Points:
        """The points as `rows` takes them: contiguous, and rows at multiples of 64 bytes.

        Raises ValueError for anything but a point vector or rows of this backend.
        """
        widths = (VECTOR_WORDS * degree, self.row_words(degree))
        if points.dtype != np.uint64 or points.ndim != 2 or points.shape[1] not in widths:
            raise ValueError(f"not a vector of points: {points.dtype} {points.shape}")
        points = np.ascontiguousarray(points)
        if points.shape[1] == VECTOR_WORDS * degree or points.ctypes.data % ALIGNMENT == 0:
            return points
        copy = aligned(points.shape)
        copy[:] = points
        return copy

    def rows(self, points: Points, degree: int, *, parallel: bool) -> Rows:
        """The rows of `checked` points, perhaps in memory of the calling thread's arena.

        Rows are given back as they are, so that what holds them already pays nothing.
        """
        words = self.row_words(degree)
        if points.shape[1] == words:
            return points
        rows = ARENA.array("points", (len(points), words))
        self.convert(rows, points, degree, parallel=parallel)
        return rows

    def convert(self, rows: Rows, points: PointVector, degree: int, *, parallel: bool) -> None:
        """Makes rows of the points of a contiguous vector, on all threads if `parallel`."""

        def enter(first: int, last: int) -> None:
            self.enter(rows[first:last], points[first:last], degree)

        if parallel:
            threads.run_spans(enter, len(points), _MINIMUM_CONVERTED)
        else:
            enter(0, len(points))
