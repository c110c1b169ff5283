"""Stage two of the witness: the priv wires, over F_r, once the challenges are known.

Every such wire is computed from the row that defines it. Steps that do not wait for one another are
taken together: which ones, and their rows, depend on the circuit alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pvcnn.algebra import scalars
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.algebra.sparse import Rows
from pvcnn.qmp.builder import Rule, Step
from pvcnn.qmp.system import ConstraintSystem, StageOne


class SecondStage:
    """How the priv wires of one circuit follow from the others."""

    def __init__(self, system: ConstraintSystem, steps: Sequence[Step]) -> None:
        self._segments, self._width = system.segments, system.width
        self._batches = [_Batch.of(system, batch) for batch in independent(system, steps)]

    def __call__(
        self, stage_one: StageOne, challenges: tuple[int, int, int], derived: ScalarVector
    ) -> ScalarVector:
        """(priv, 4), for any stage one, right or wrong, and the derived values that follow from it.

        Raises ZeroDivisionError where theta equals a looked-up value, which happens with a probability
        of about lookups / r.
        """
        z = scalars.zeros(self._width)
        z[self._segments.total :] = derived
        start = 1 + len(challenges)
        z[:start] = scalars.from_integers([1, *challenges])
        for values in stage_one.in_order():
            z[start : start + len(values)] = scalars.as_elements(values)
            start += len(values)
        for batch in self._batches:
            found, place = batch.evaluate(z), 0
            for wires in batch.wires:  # spans, because an array of indices costs ten times as much
                length = wires.stop - wires.start
                z[wires] = found[place : place + length]
                place += length
        return z[self._segments.span("priv")]


def independent(system: ConstraintSystem, steps: Sequence[Step]) -> list[list[Step]]:
    """The steps, those together that have the same rule and read no wire of one another.

    A step's depth is one more than that of the wires it reads. Horner's chains stay alone, because their
    bases and lengths differ.
    """
    depth = np.zeros(system.width, np.int64)
    batches: dict[tuple[int, str, int], list[Step]] = defaultdict(list)
    for number, step in enumerate(steps):
        sides = (system.b, system.c) if step.rule is Rule.QUOTIENT else (system.a, system.b, system.c)
        read = np.concatenate([side.checked.columns_of(step.rows) for side in sides])
        others = read[(read < step.wires.start) | (read >= step.wires.stop)]
        level = 1 + int(depth[others].max(initial=0))
        depth[step.wires] = level
        batches[level, step.rule.value, number if step.rule is Rule.HORNER else -1].append(step)
    return [batches[key] for key in sorted(batches)]


@dataclass(frozen=True, eq=False)
class _Batch:
    """Steps of one rule, and the rows that define their wires."""

    rule: Rule
    wires: tuple[slice, ...]
    chains: int
    a: Rows
    b: Rows
    c: Rows

    @classmethod
    def of(cls, system: ConstraintSystem, steps: Sequence[Step]) -> _Batch:
        rows = np.concatenate([np.arange(step.rows.start, step.rows.stop) for step in steps])
        sides = (side.checked.taken(rows) for side in (system.a, system.b, system.c))
        return cls(steps[0].rule, tuple(step.wires for step in steps), steps[0].chains, *sides)

    def evaluate(self, z: ScalarVector) -> ScalarVector:
        """The batch's wires; they are still 0 in z."""
        b, c = self.b.times(z), self.c.times(z)
        match self.rule:
            case Rule.QUOTIENT:
                return scalars.multiply(c, scalars.inverse(b))
            case Rule.PRODUCT:
                return scalars.subtract(scalars.multiply(self.a.times(z), b), c)
            case Rule.HORNER:
                return self._horner(self.a.times(z), b, c)

    def _horner(self, a: ScalarVector, b: ScalarVector, c: ScalarVector) -> ScalarVector:
        """s_1, s_2, ... of each chain: y_0 is A z of its first row, the other y_k are -C z."""
        limbs = a.shape[1]
        first = a.reshape(self.chains, -1, limbs)[:, :1]
        rest = scalars.negate(c).reshape(self.chains, -1, limbs)
        values = np.concatenate([first, rest], axis=1)
        base = scalars.to_integers(b[:1])[0]
        sums = scalars.horner(np.ascontiguousarray(values.reshape(-1, limbs)), base, self.chains)
        return np.ascontiguousarray(sums.reshape(self.chains, -1, limbs)[:, 1:].reshape(-1, limbs))
