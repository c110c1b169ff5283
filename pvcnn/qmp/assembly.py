"""A matrix program while the compiler assembles it, layer by layer."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.layers import Shape
from pvcnn.program.linear_maps import LinearMap
from pvcnn.qmp.derived import Derivation
from pvcnn.qmp.hints import FromTrace, Hint, LowLimbs, Multiplicities, Traced
from pvcnn.qmp.matrix_program import (
    FIRST_OUTPUT,
    Gate,
    Lookup,
    LookupArgument,
    LookupTable,
    MatrixProgram,
)
from pvcnn.qmp.ranges import MAX_TABLE_BITS, Demand, LimbPlan, plan_limbs
from pvcnn.qmp.system import Segments
from pvcnn.qmp.views import COEFFICIENT_LIMIT, View

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Range:
    """`view` has entries in [0, demand.size)."""

    name: str
    view: View
    demand: Demand


class Assembly:
    """Collects gates, lookups and hints, and hands out the wires of stage one.

    `outputs`, `features`, `weights` and `labels` are their numbers, of all frames together. Ranges are
    planned in `finish`, when all of them are known and can share tables.
    """

    def __init__(self, frames: int, outputs: int, features: int, weights: int, labels: int = 0) -> None:
        self.frames = frames
        self._pub = FIRST_OUTPUT + outputs
        self._features = features
        self._weights = weights
        self._labels = labels
        self._next = self._first_auxiliary = self._pub + features + weights + labels
        self._derived = 0
        self._derivations: list[Derivation] = []
        self._gates: list[Gate] = []
        self._ranges: list[_Range] = []
        self._lookups: dict[LookupTable, list[Lookup]] = {}
        self._tables: dict[tuple[bytes, ...], LookupTable] = {}
        self.hints: list[Hint] = []

    def outputs(self) -> Integers:
        """The wires of the public outputs, frame by frame."""
        return np.arange(FIRST_OUTPUT, self._pub)

    def features(self) -> Integers:
        """The wires of segment `in`."""
        return self._pub + np.arange(self._features)

    def weights(self) -> Integers:
        """The wires of segment `w`, in the order of `Weights.flat`."""
        return self._pub + self._features + np.arange(self._weights)

    def labels(self) -> Integers:
        """The wires of segment `lab`, one a frame."""
        return self._first_auxiliary - self._labels + np.arange(self._labels)

    def auxiliary(self, *shape: int) -> Integers:
        """Fresh wires of segment `aux`."""
        first, self._next = self._next, self._next + prod(shape)
        return np.arange(first, self._next).reshape(shape)

    def traced(self, layer: int, what: Traced, shape: Shape, low: int, high: int) -> View:
        """Fresh wires for a tensor (frames, *shape) of the inference; the caller enforces [low, high]."""
        wires = self.auxiliary(self.frames, *shape)
        self.hints.append(FromTrace(wires.reshape(-1), layer, what))
        return View.of_wires(wires, low, high)

    def derive(self, name: str, linear_map: LinearMap, argument: View) -> Integers:
        """The numbers of the values linear_map(argument), (frames, *outputs): no wires, and no constraint."""
        shape = (self.frames, *linear_map.outputs)
        last, self._derived = -self._derived, self._derived + prod(shape)
        wires = np.arange(-self._derived, last)
        derivation = Derivation(name, linear_map, argument, wires)
        self._derivations.append(derivation)
        self.hints.append(derivation)
        return wires.reshape(shape)

    def gate(self, gate: Gate) -> None:
        self._gates.append(gate)

    def range(self, name: str, view: View, low: int, high: int, *, integers: bool = False) -> None:
        """Every entry of `view` lies in [low, high].

        `integers`: something else shows already that entries are integers, far below r in magnitude.
        """
        # A shared table takes a multiple of the view: not one whose coefficients have no room for that.
        stretches = integers and view.largest_number < COEFFICIENT_LIMIT >> (MAX_TABLE_BITS + 1)
        demand = Demand(high - low + 1, stretches)
        self._ranges.append(_Range(name, view.shifted(-low).reshape(view.entries), demand))

    def lookup(self, name: str, table: tuple[Integers, ...], *columns: View) -> None:
        """Every row of `columns` is a row of `table`, whose first column must ascend."""
        shared = LookupTable(table)
        shared = self._tables.setdefault(shared.key(), shared)
        rows = tuple(column.reshape(column.entries) for column in columns)
        self._lookups.setdefault(shared, []).append(Lookup(name, rows))

    def finish(self) -> MatrixProgram:
        """Plans the ranges, counts multiplicities, and checks the whole."""
        counts: dict[Demand, int] = defaultdict(int)
        for wanted in self._ranges:
            counts[wanted.demand] += wanted.view.entries
        plans = plan_limbs(counts)
        for wanted in self._ranges:
            self._look_up_limbs(wanted, plans[wanted.demand])
        arguments = tuple(self._argument(table, tuple(lookups)) for table, lookups in self._lookups.items())
        aux = self._next - self._first_auxiliary
        segments = Segments(self._pub, self._features, self._weights, aux, 0, self._labels)
        return MatrixProgram(segments, tuple(self._gates), arguments, tuple(self._derivations))

    def _look_up_limbs(self, wanted: _Range, plan: LimbPlan) -> None:
        top = wanted.view.scaled(plan.stretch)
        if plan.limbs > 1:
            wires = self.auxiliary(plan.limbs - 1, wanted.view.entries)
            self.hints.append(LowLimbs(wires.reshape(-1), wanted.view, plan))
            for i, limb_wires in enumerate(wires):
                limb = View.of_wires(limb_wires, 0, plan.radix - 1)
                self.lookup(wanted.name, (plan.low_limb_table(),), limb)
                top = top.minus(limb.scaled(plan.radix**i))
        self.lookup(wanted.name, (plan.top_table(),), top)

    def _argument(self, table: LookupTable, lookups: tuple[Lookup, ...]) -> LookupArgument:
        wires = self.auxiliary(table.size)
        self.hints.append(Multiplicities(wires, table, lookups))
        return LookupArgument(table, lookups, wires)
