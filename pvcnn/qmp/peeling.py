"""Are the columns of a constraint system linearly independent, so that commitments bind?

Wire i has the columns (u_i, v_i, w_i) of A, B and C, one under the other: its entries lie at positions
(matrix, row). D_s commits to one list of values only if these columns are linearly independent within
segment s; across `pub` too, so that no change of a commitment equals a change of a public value
(docs/protocol.md, "Why a cheating prover fails"). Peeling proves it: a wire that is the only one left at
some position cannot be a combination of the others left; take it away, and go on until none is left.

A derived value stands for many wires, which are not looked at: a position where one occurs is nobody's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.system import SEGMENTS, ConstraintSystem

Integers = NDArray[np.int64]


def check_binding(system: ConstraintSystem) -> None:
    """Raises ValueError if one commitment, or one set of public values, could mean two things."""
    if any((matrix.coefficients == 0).any() for matrix in (system.a, system.b, system.c)):
        raise ValueError("a constraint has a coefficient of zero, which peeling would take for an entry")
    left_over = wires_without_position(system)
    if len(left_over):
        raise ValueError(
            f"{len(left_over)} wires, the first is wire {left_over[0]}, may depend linearly on others of "
            "their segment: each needs a row of its own"
        )


def wires_without_position(system: ConstraintSystem) -> Integers:
    """The wires that peeling leaves over, for any segment together with `pub`; empty if all peel off.

    Giving each of them a row of its own makes the columns independent.
    """
    rows, wires = _entries(system)
    left_over = [_left_over(system, rows, wires, name) for name in SEGMENTS]
    return np.unique(np.concatenate(left_over))


def _entries(system: ConstraintSystem) -> tuple[Integers, Integers]:
    """(position, wire) of all entries of A, B, C without derived values; position = matrix * rows + row."""
    positions, wires = [], []
    for index, matrix in enumerate((system.a, system.b, system.c)):
        rows = np.repeat(np.arange(matrix.rows), np.diff(matrix.starts))
        derived = np.zeros(matrix.rows, bool)
        derived[rows[matrix.columns >= system.segments.total]] = True
        usable = ~derived[rows]
        positions.append(index * system.constraints + rows[usable])
        wires.append(matrix.columns[usable].astype(np.int64))
    return np.concatenate(positions), np.concatenate(wires)


def _left_over(system: ConstraintSystem, positions: Integers, wires: Integers, name: str) -> Integers:
    """The wires of segment `name` and of `pub` that cannot be peeled off."""
    remains = np.zeros(system.segments.total, bool)
    remains[system.segments.span("pub")] = True
    remains[system.segments.span(name)] = True
    relevant = remains[wires]
    positions, wires = positions[relevant], wires[relevant]
    while len(wires):
        alone = np.bincount(positions)[positions] == 1
        if not alone.any():
            break
        remains[wires[alone]] = False
        kept = remains[wires]
        positions, wires = positions[kept], wires[kept]
    return np.flatnonzero(remains)
