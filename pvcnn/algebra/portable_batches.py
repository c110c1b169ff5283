"""Batches of additions on 64-bit words (`pvcnn.algebra.kernels.additions`)."""

from __future__ import annotations

import numpy as np

from pvcnn.algebra.batches import Backend, Batch, PointVector, Rows
from pvcnn.algebra.kernels import additions
from pvcnn.algebra.memory import ARENA

#: Additions that share one inversion: more no longer fit the second-level cache.
_SHARED = 1024


class PortableBatch(Batch):
    def __init__(self, capacity: int, degree: int) -> None:
        self.tasks = ARENA.array("tasks", (3, capacity), np.int64)
        self.point_bytes = 96 * degree
        self._degree = (0,) * degree
        self._workspace = ARENA.array("workspace", (min(capacity, _SHARED) + 1, 12 * degree))
        self._workspace[-1] = 0
        self.identity = self._workspace[-1:].ctypes.data

    def add(self, count: int) -> None:
        additions.add_pairs(self._degree, self.tasks, count, self._workspace.ctypes.data, _SHARED)

    def double(self, count: int) -> None:
        self.tasks[1, :count] = self.tasks[0, :count]
        self.add(count)

    def copy(self, count: int) -> None:
        additions.copy_points(self._degree, self.tasks, count)


class PortableBackend(Backend):
    """64-bit words, on any processor: rows are the vectors' own."""

    layout = "portable"

    def row_words(self, degree: int) -> int:
        return 12 * degree

    def batch(self, capacity: int, degree: int) -> Batch:
        return PortableBatch(capacity, degree)

    def enter(self, rows: Rows, points: PointVector, degree: int) -> None:
        rows[:] = points

    def leave(self, points: PointVector, rows: Rows, degree: int) -> None:
        points[:] = rows
