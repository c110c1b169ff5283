"""Whether commitments bind: linear independence of a segment's columns, shown by peeling.

A commitment to segment s pins down its wires if the columns (u_i, v_i, w_i) of s and pub are linearly
independent. It is enough that the wires can be taken away one after another, each owning, when its
turn comes, a (matrix, row) position in which no other remaining wire of s or pub occurs: in a vanishing
combination the coefficient of that wire is zero, so it can be dropped, and so on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.proving_key import COMMITTED
from pvcnn.qmp.system import ConstraintSystem


def check_independent_columns(system: ConstraintSystem) -> None:
    """Raises ValueError, naming segment and wire, unless in, w and aux, each with pub, peel away."""
    wires, positions = _entries(system)
    for segment in COMMITTED:
        left = _unpeeled(wires, positions, _members(system, segment))
        if len(left):
            raise ValueError(
                f"{len(left)} wires of segment {segment!r} or of the public values, the first is wire "
                f"{left[0]}, are not independent of the others: each needs a row of its own"
            )


def _members(system: ConstraintSystem, segment: str) -> NDArray[np.bool_]:
    members = np.zeros(system.segments.total, np.bool_)
    members[system.segments.span("pub")] = True
    members[system.segments.span(segment)] = True
    return members


def _entries(system: ConstraintSystem) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Wire and position (matrix * rows + row) of every nonzero entry of the three matrices."""
    wires, positions = [], []
    for index, matrix in enumerate((system.a, system.b, system.c)):
        rows = np.repeat(np.arange(matrix.rows, dtype=np.int64), np.diff(matrix.starts))
        nonzero = matrix.coefficients != 0
        wires.append(matrix.columns[nonzero])
        positions.append(rows[nonzero] + index * system.constraints)
    return np.concatenate(wires), np.concatenate(positions)


def _unpeeled(
    wires: NDArray[np.int32], positions: NDArray[np.int64], members: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The members that cannot be peeled, all wires that can being taken away round by round."""
    remaining = members.copy()
    within = remaining[wires]
    wires, positions = wires[within], positions[within]
    while len(wires):
        alone = np.bincount(positions)[positions] == 1
        if not alone.any():
            break
        remaining[wires[alone]] = False
        within = remaining[wires]
        wires, positions = wires[within], positions[within]
    return np.flatnonzero(remaining)
