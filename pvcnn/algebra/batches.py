"""One thread's memory for batches of affine additions, and their execution.

The seam to other processors: whoever implements `Batch` with other instructions serves sums of
multiples and fixed bases alike.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.kernels import additions

#: (n, 12 d) uint64: affine x and y in the extension of degree d over F_q; see pvcnn.algebra.curve.
PointVector: TypeAlias = NDArray[np.uint64]

#: Additions that share one inversion: more no longer fit the second-level cache.
_SHARED = 1024


class Batch:
    """Tasks for additions in the extension of the given degree.

    tasks: (3, capacity) int64, addresses of left operand, right operand and target; addresses plus
    1 mean the point's negative. The caller keeps the arrays alive that they point into.
    """

    def __init__(self, capacity: int, degree: int) -> None:
        self.tasks = np.empty((3, capacity), np.int64)
        self.point_bytes = 96 * degree
        self._degree = (0,) * degree
        self._workspace = np.empty((min(capacity, _SHARED), 12 * degree), np.uint64)

    def add(self, count: int) -> None:
        """Performs the first `count` tasks; a target may be an operand of its own task only."""
        additions.add_pairs(self._degree, self.tasks, count, self._workspace.ctypes.data, _SHARED)

    def copy(self, count: int) -> None:
        """Copies the left operands of the first `count` tasks to their targets."""
        additions.copy_points(self._degree, self.tasks, count)
