"""Lists of linear combinations of wires, stage two included, as index arrays: one side of many rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.matrix_program import CONSTANT_WIRE
from pvcnn.qmp.views import View

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Combinations:
    """`count` combinations: number i is the sum of coefficients[t] z[wires[t]] over t with rows[t] = i.

    Numbers of `wires` below 0 are those of derived values, as in views.
    """

    count: int
    rows: Integers
    wires: Integers
    coefficients: Integers

    @classmethod
    def zero(cls, count: int) -> Combinations:
        nothing = np.zeros(0, np.int64)
        return cls(count, nothing, nothing, nothing)

    @classmethod
    def of_wires(cls, wires: Integers) -> Combinations:
        """One wire each, in C order."""
        flat = wires.reshape(-1).astype(np.int64)
        return cls(len(flat), np.arange(len(flat)), flat, np.ones(len(flat), np.int64))

    @classmethod
    def of_constants(cls, constants: Integers) -> Combinations:
        """Public integers."""
        wires = np.full(len(constants), CONSTANT_WIRE, np.int64)
        return cls(len(constants), np.arange(len(constants)), wires, constants)

    @classmethod
    def of_view(cls, view: View) -> Combinations:
        """The entries of a view, in C order."""
        entries, terms = view.wires.shape
        rows = np.repeat(np.arange(entries), terms)
        linear = cls(entries, rows, view.wires.reshape(-1), view.coefficients.reshape(-1))
        return linear + cls.of_constants(view.constants) if view.constants.any() else linear

    def __add__(self, other: Combinations) -> Combinations:
        assert self.count == other.count
        return Combinations(
            self.count,
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.wires, other.wires]),
            np.concatenate([self.coefficients, other.coefficients]),
        )

    def __neg__(self) -> Combinations:
        return Combinations(self.count, self.rows, self.wires, -self.coefficients)

    def __sub__(self, other: Combinations) -> Combinations:
        return self + -other

    def grouped(self, groups: Integers, count: int) -> Combinations:
        """`count` sums: combination i is added to the sum number groups[i]."""
        return Combinations(count, groups[self.rows], self.wires, self.coefficients)

    def total(self) -> Combinations:
        """The sum of all, as a single combination."""
        return self.grouped(np.zeros(self.count, np.int64), 1)
