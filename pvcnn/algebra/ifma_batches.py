"""Batches of additions on eight lanes (`pvcnn.algebra.kernels.ifma`)."""

from __future__ import annotations

import numpy as np

from pvcnn.algebra.batches import Backend, Batch, PointVector, Rows
from pvcnn.algebra.kernels.ifma import additions, doublings
from pvcnn.algebra.kernels.ifma import rows as row_kernels
from pvcnn.algebra.memory import ARENA


class IfmaBatch(Batch):
    def __init__(self, capacity: int, degree: int) -> None:
        self.tasks = ARENA.array("tasks", (3, capacity + additions.SLACK), np.int64)
        self.point_bytes = 128 * degree
        self._degree = (0,) * degree
        self._workspace = ARENA.array("workspace", (additions.workspace_bytes(degree),), np.uint8)
        identity = ARENA.array("identity", (16 * degree,))
        self.identity = identity.ctypes.data
        row_kernels.store_identity(self.identity, 2 * degree)

    def add(self, count: int) -> None:
        additions.add_pairs(self._degree, self.tasks, count, self._workspace.ctypes.data)

    def double(self, count: int) -> None:
        workspace = self._workspace.ctypes.data
        doublings.double_points(self._degree, self.tasks, count, self.identity, workspace)

    def copy(self, count: int) -> None:
        row_kernels.copy_points(self._degree, self.tasks, count)


class IfmaBackend(Backend):
    """Eight lanes of 52-bit limbs, for processors with AVX-512 IFMA."""

    layout = "ifma"

    def row_words(self, degree: int) -> int:
        return 16 * degree

    def batch(self, capacity: int, degree: int) -> Batch:
        return IfmaBatch(capacity, degree)

    def enter(self, rows: Rows, points: PointVector, degree: int) -> None:
        row_kernels.enter((0,) * degree, rows.ctypes.data, points.ctypes.data, len(points))

    def leave(self, points: PointVector, rows: Rows, degree: int) -> None:
        row_kernels.leave((0,) * degree, points.ctypes.data, rows.ctypes.data, len(points))
