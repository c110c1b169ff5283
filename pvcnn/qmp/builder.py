"""Accumulates rank-1 constraints as index arrays and hands out the wires of stage two.

Every wire of segment `priv` is defined by a row of its own, so the rows say how to compute it: a
`Step` names rows, wires and the rule, and the second stage of the witness follows the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.system import ConstraintSystem, Segments, SparseMatrix

Integers = NDArray[np.int64]


class Rule(Enum):
    """How the wires of a step follow from its rows (A z)(B z) = C z."""

    #: C z contains the wire once: it is the product less the rest of C z.
    PRODUCT = "product"
    #: A z is the wire: it is C z / B z.
    QUOTIENT = "quotient"
    #: Chains s_k = s_(k-1) base + y_k: A z is s_(k-1) (at first y_0), B z the base, C z = s_k - y_k.
    HORNER = "horner"


@dataclass(frozen=True)
class Step:
    """rows and wires are spans of equal length; `chains` of equal length for HORNER, else 1."""

    rule: Rule
    rows: slice
    wires: slice
    chains: int


@dataclass(frozen=True)
class RowGroup:
    """Consecutive rows of one gadget ("lookup", ...), for one purpose ("conv2: weights", ...)."""

    gadget: str
    purpose: str
    rows: slice

    @property
    def count(self) -> int:
        return int(self.rows.stop - self.rows.start)


class ConstraintBuilder:
    """Rows and second-stage wires, on top of the stage-one wires that `segments` counts."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._wires = segments.total
        self._rows = 0
        self._sides: tuple[list[Combinations], list[Combinations], list[Combinations]] = ([], [], [])
        self.steps: list[Step] = []
        self.groups: list[RowGroup] = []

    def constrain(
        self, gadget: str, purpose: str, a: Combinations, b: Combinations, c: Combinations
    ) -> slice:
        """The rows a_i b_i = c_i."""
        assert a.count == b.count == c.count
        rows = slice(self._rows, self._rows + a.count)
        self._rows = rows.stop
        for side, part in zip(self._sides, (a, b, c), strict=True):
            side.append(replace(part, rows=part.rows + rows.start))
        if a.count:
            self.groups.append(RowGroup(gadget, purpose, rows))
        return rows

    def products(self, gadget: str, purpose: str, a: Combinations, b: Combinations) -> Integers:
        """Fresh wires a_i b_i, one row each."""
        wires, span = self._fresh(a.count)
        rows = self.constrain(gadget, purpose, a, b, Combinations.of_wires(wires))
        if a.count:
            self.steps.append(Step(Rule.PRODUCT, rows, span, 1))
        return wires

    def quotients(
        self, gadget: str, purpose: str, numerator: Combinations, denominator: Combinations
    ) -> Integers:
        """Fresh wires numerator_i / denominator_i, one row each: wire * denominator = numerator."""
        wires, span = self._fresh(numerator.count)
        rows = self.constrain(gadget, purpose, Combinations.of_wires(wires), denominator, numerator)
        if numerator.count:
            self.steps.append(Step(Rule.QUOTIENT, rows, span, 1))
        return wires

    def sums(self, gadget: str, purpose: str, combinations: Combinations) -> Integers:
        """Fresh wires that equal the combinations, one row each: wire * 1 = combination.

        What is summed stands on the right, where it adds nothing to A and B of a proof.
        """
        ones = Combinations.of_constants(np.ones(combinations.count, np.int64))
        return self.quotients(gadget, purpose, combinations, ones)

    def horner(
        self, gadget: str, purpose: str, first: Combinations, rest: Combinations, base: int
    ) -> Integers:
        """Fresh wires s_1, s_2, ... (chains, k) of Horner chains: s_0 = y_0, s_k = s_(k-1) base + y_k.

        first: y_0 of each chain; rest: y_1..y_k of each chain, chain by chain (k >= 1); base: a wire.
        """
        chains, length = first.count, rest.count // first.count
        flat, span = self._fresh(rest.count)
        wires = flat.reshape(chains, length)
        follows = np.arange(rest.count).reshape(chains, length)[:, 1:].reshape(-1)
        previous = Combinations.of_wires(wires[:, :-1])
        a = first.grouped(np.arange(chains) * length, rest.count) + previous.grouped(follows, rest.count)
        b = Combinations.of_wires(np.full(rest.count, base))
        rows = self.constrain(gadget, purpose, a, b, Combinations.of_wires(flat) - rest)
        self.steps.append(Step(Rule.HORNER, rows, span, chains))
        return wires

    def own_rows(self, wires: Integers) -> None:
        """A row wire * 0 = 0 for each of `wires`, true of any value: a position that it owns."""
        nothing = Combinations.zero(len(wires))
        self.constrain("independence", "positions", Combinations.of_wires(wires), nothing, nothing)

    def finish(self) -> ConstraintSystem:
        a, b, c = (self._matrix(side) for side in self._sides)
        priv = self._wires - self._segments.total
        return ConstraintSystem(replace(self._segments, priv=priv), a, b, c)

    def _fresh(self, count: int) -> tuple[Integers, slice]:
        span = slice(self._wires, self._wires + count)
        self._wires = span.stop
        return np.arange(span.start, span.stop), span

    def _matrix(self, side: list[Combinations]) -> SparseMatrix:
        rows, wires, coefficients = (
            np.concatenate([getattr(part, name) for part in side] or [np.zeros(0, np.int64)])
            for name in ("rows", "wires", "coefficients")
        )
        return compress(self._rows, self._wires, rows, wires, coefficients)


def compress(
    height: int, width: int, rows: Integers, columns: Integers, coefficients: Integers
) -> SparseMatrix:
    """The (height, width) matrix with these entries; entries at the same place add, zeros vanish."""
    places = rows * width + columns
    if not (places[1:] > places[:-1]).all():
        order = np.argsort(places, kind="stable")  # most of it is sorted already
        places = places[order]
        first = np.flatnonzero(np.append(True, places[1:] != places[:-1]))[: len(places)]
        places, coefficients = places[first], np.add.reduceat(coefficients[order], first)
    present = coefficients != 0
    places, coefficients = places[present], coefficients[present]
    starts = np.searchsorted(places, np.arange(height + 1) * width)
    return SparseMatrix(starts.astype(np.int64), (places % width).astype(np.int32), coefficients)
