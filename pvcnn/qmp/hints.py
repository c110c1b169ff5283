"""How an honest prover fills the auxiliary wires of stage one, in int64.

Hints are advice to the prover and part of no statement: whatever they compute, only the gates and
lookups decide what passes. They never fail, so that tests can make them continue from a false start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.inference import LayerTrace
from pvcnn.qmp.matrix_program import Lookup, LookupTable
from pvcnn.qmp.ranges import LimbPlan
from pvcnn.qmp.views import View

Integers = NDArray[np.int64]


class Hint(Protocol):
    """Fills `wires` (flat) from what the trace says and from wires that earlier hints filled."""

    @property
    def wires(self) -> Integers: ...

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers: ...


class Traced(Enum):
    """Which of a layer's values."""

    OUTPUT = "output"
    QUOTIENT = "quotient"
    REMAINDER = "remainder"


@dataclass(frozen=True, eq=False)
class FromTrace:
    """A tensor of the inference."""

    wires: Integers
    layer: int
    what: Traced

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        tensor: Integers | None = getattr(layers[self.layer], self.what.value)
        assert tensor is not None
        return tensor.reshape(-1)


@dataclass(frozen=True, eq=False)
class Larger:
    """max(left, right), entry by entry: eq. (5)."""

    wires: Integers
    left: View
    right: View

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        left, right = (view.evaluate(stage_one).reshape(-1) for view in (self.left, self.right))
        return np.maximum(left, right)


@dataclass(frozen=True, eq=False)
class DecisionMargin:
    """d (2y - 1) - y: eq. (6)."""

    wires: Integers
    decision: View
    logit: View

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        d, y = (view.evaluate(stage_one).reshape(-1) for view in (self.decision, self.logit))
        return d * (2 * y - 1) - y


@dataclass(frozen=True, eq=False)
class Positive:
    """1 where the logit is positive, else 0."""

    wires: Integers
    logit: View

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        return (self.logit.evaluate(stage_one).reshape(-1) > 0).astype(np.int64)


@dataclass(frozen=True, eq=False)
class FromLargest:
    """For each frame the bits j >= index of its largest logit, j < logits - 1: eq. (22)."""

    wires: Integers
    logits: View

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        logits = self.logits.evaluate(stage_one)
        return _bits_from(logits.argmax(axis=1), logits.shape[1])


@dataclass(frozen=True, eq=False)
class FromPlace:
    """For each frame the bits j >= index, j < count - 1: eqs. (22), (23)."""

    wires: Integers
    index: View
    count: int

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        return _bits_from(self.index.evaluate(stage_one), self.count)


def _bits_from(index: Integers, count: int) -> Integers:
    return (np.arange(count - 1) >= index.reshape(-1, 1)).astype(np.int64).reshape(-1)


@dataclass(frozen=True, eq=False)
class Chosen:
    """For each frame the logit at `index`: eq. (22)."""

    wires: Integers
    index: View
    logits: View

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        logits = self.logits.evaluate(stage_one)
        index = np.clip(self.index.evaluate(stage_one), 0, logits.shape[1] - 1)
        return logits[np.arange(len(logits)), index]


@dataclass(frozen=True, eq=False)
class LowLimbs:
    """The low limbs of a view with entries in [0, plan.size), limb by limb."""

    wires: Integers
    view: View
    plan: LimbPlan

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        return self.plan.low_limbs(self.view.evaluate(stage_one).reshape(-1)).reshape(-1)


@dataclass(frozen=True, eq=False)
class Multiplicities:
    """How often each row of a table is looked up; values outside the table are not counted."""

    wires: Integers
    table: LookupTable
    lookups: tuple[Lookup, ...]

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        counts = np.zeros(self.table.size, np.int64)
        for lookup in self.lookups:
            positions = self.table.positions(lookup.columns[0].evaluate(stage_one).reshape(-1))
            counts += np.bincount(positions[positions >= 0], minlength=self.table.size)
        return counts
