"""Accumulates rank-1 constraints as index arrays and hands out the wires of stage two.

Every wire of segment `priv` is defined by a row of its own, so the rows say how to compute it: a
`Step` names rows, wires and the rule, and the second stage of the witness follows the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.derived import Derivation
from pvcnn.qmp.system import AppliedMap, ConstraintSystem, Segments, SparseMatrix
from pvcnn.qmp.views import COEFFICIENT_LIMIT

Integers = NDArray[np.int64]

#: Wires and derived values, whose numbers are kept in 32 bits: others would be taken for one another.
MAX_COLUMNS = (1 << 31) - 1


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
    """Rows and second-stage wires, on top of the stage-one wires of `segments` and of derived values."""

    def __init__(self, segments: Segments, derivations: Sequence[Derivation] = ()) -> None:
        self._segments = segments
        self._derivations = derivations
        self._derived = sum(len(derivation.wires) for derivation in derivations)
        self._wires = segments.total
        self._rows = 0
        self._sides: tuple[list[SparseMatrix], list[SparseMatrix], list[SparseMatrix]] = ([], [], [])
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
            side.append(compress(part, purpose))
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
        """All of it so far. Raises ValueError for more wires and derived values than 32 bits can number."""
        if self._wires + self._derived > MAX_COLUMNS:
            raise ValueError(f"the circuit has more than {MAX_COLUMNS} wires: prove fewer frames at once")
        a, b, c = (self._stacked(side) for side in self._sides)
        priv = self._wires - self._segments.total
        applied = tuple(map(self._applied, self._derivations))
        return ConstraintSystem(replace(self._segments, priv=priv), a, b, c, applied)

    def _applied(self, derivation: Derivation) -> AppliedMap:
        argument = self._stacked([compress(Combinations.of_view(derivation.argument), derivation.name)])
        first = self._wires + self._derived + int(derivation.wires[0])
        return AppliedMap(derivation.map, argument, slice(first, first + len(derivation.wires)))

    def _fresh(self, count: int) -> tuple[Integers, slice]:
        span = slice(self._wires, self._wires + count)
        self._wires = span.stop
        return np.arange(span.start, span.stop), span

    def _stacked(self, parts: list[SparseMatrix]) -> SparseMatrix:
        """The rows of all parts; numbers below 0 become columns behind those of the wires."""
        counts = np.cumsum([0, *(len(part.columns) for part in parts)])
        starts = [part.starts[1:] + before for part, before in zip(parts, counts, strict=False)]
        columns = np.concatenate([np.zeros(0, np.int32), *(part.columns for part in parts)])
        columns[columns < 0] += self._wires + self._derived
        coefficients = np.concatenate([np.zeros(0, np.int64), *(part.coefficients for part in parts)])
        return SparseMatrix(np.concatenate([np.zeros(1, np.int64), *starts]), columns, coefficients)


def compress(combinations: Combinations, purpose: str) -> SparseMatrix:
    """A row for each combination; terms of the same wire add, zeros vanish. Columns are as the wires are.

    Raises ValueError, naming `purpose`, where a sum of coefficients may reach 2^63.
    """
    places = (combinations.rows << 32) + combinations.wires
    coefficients = combinations.coefficients
    if not (places[1:] > places[:-1]).all():
        order = np.argsort(places, kind="stable")  # most of it is sorted already
        places = places[order]
        first = np.flatnonzero(np.append(True, places[1:] != places[:-1]))[: len(places)]
        most = int(np.diff(np.append(first, len(order))).max(initial=0))
        if most > 1 and most * max(int(coefficients.max()), -int(coefficients.min())) >= COEFFICIENT_LIMIT:
            raise ValueError(f"{purpose}: coefficients of one wire may add up to 2^63")
        places, coefficients = places[first], np.add.reduceat(coefficients[order], first)
    present = coefficients != 0
    places, coefficients = places[present], coefficients[present]
    rows = (places + (1 << 31)) >> 32  # numbers below 0 borrow from their row
    starts = np.searchsorted(rows, np.arange(combinations.count + 1))
    return SparseMatrix(starts.astype(np.int64), places.astype(np.int32), coefficients)
