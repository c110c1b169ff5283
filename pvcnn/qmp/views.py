"""Views: matrices whose entries are affine combinations of stage-one wires (docs/protocol.md, QMP).

Padding, flattening, window sums, additions, concatenation and requantised values are views. They are
index arrays, and cost no constraint.

A wire's number is its place among the wires. Numbers below 0 are those of derived values, which are linear
functions of wires (`pvcnn.qmp.derived`): wherever values are held, they stand behind those of the wires, and
are counted from the end as NumPy does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.layers import Shape

Integers = NDArray[np.int64]

#: Coefficients and constants are int64, of smaller magnitude than this.
COEFFICIENT_LIMIT = 1 << 63
#: So many terms of one wire are no matter.
FEW_TERMS = 16


@dataclass(frozen=True, eq=False)
class View:
    """Entry e is constants[e] + sum_t coefficients[e, t] z[wires[e, t]], entries in C order of `shape`.

    z holds wires and derived values.

    wires, coefficients: (entries, terms) int64; constants: (entries,) int64; a term that an entry
    does not need has coefficient 0. Every entry lies in [low, high]: bounds that lookups or the
    gates that define the wires enforce. Coefficients may be far larger than entries, as those of a wire that
    can only be 0: so what would make a coefficient or constant wrap around at 2^63, and with it prove another
    function, raises OverflowError.
    """

    shape: Shape
    wires: Integers
    coefficients: Integers
    constants: Integers
    low: int
    high: int

    @classmethod
    def of_wires(cls, wires: Integers, low: int, high: int) -> View:
        """The view that shows `wires` (any shape) as they are."""
        flat = wires.reshape(-1, 1).astype(np.int64)
        return cls(wires.shape, flat, np.ones_like(flat), np.zeros(len(flat), np.int64), low, high)

    @classmethod
    def of_constant(cls, value: int, shape: Shape) -> View:
        """`value` everywhere."""
        none = np.zeros((prod(shape), 0), np.int64)
        return cls(shape, none, none, np.full(prod(shape), value, np.int64), value, value)

    @classmethod
    def of_constants(cls, values: Integers) -> View:
        """Known integers, an array of any shape."""
        none = np.zeros((values.size, 0), np.int64)
        bounds = (int(values.min(initial=0)), int(values.max(initial=0)))
        return cls(values.shape, none, none, values.reshape(-1), *bounds)

    @property
    def entries(self) -> int:
        return len(self.wires)

    @property
    def magnitude(self) -> int:
        """The largest absolute value that an entry can have."""
        return max(abs(self.low), abs(self.high))

    def reshape(self, *shape: int) -> View:
        assert prod(shape) == self.entries
        return View(shape, self.wires, self.coefficients, self.constants, self.low, self.high)

    def take(self, index: Integers) -> View:
        """The view of index's shape whose entries are those of this one at flat positions `index`."""
        flat = index.reshape(-1)
        parts = (self.wires[flat], self.coefficients[flat], self.constants[flat])
        return View(index.shape, *parts, self.low, self.high)

    def __getitem__(self, key: slice | int | tuple[slice | int, ...]) -> View:
        """Entries by NumPy's rules of basic indexing."""
        positions = np.arange(self.entries).reshape(self.shape)
        return self.take(np.asarray(positions[key]))

    def take_or_zero(self, index: Integers) -> View:
        """As `take`, with 0 where the index is -1."""
        taken, there = self.take(np.maximum(index, 0)), index.reshape(-1) >= 0
        coefficients, constants = taken.coefficients * there[:, None], taken.constants * there
        low, high = min(self.low, 0), max(self.high, 0)
        return View(index.shape, taken.wires, coefficients, constants, low, high)

    @property
    def largest_number(self) -> int:
        """The largest magnitude of a coefficient or constant."""
        return max(_largest(self.coefficients), _largest(self.constants))

    def scaled(self, factor: int) -> View:
        _require_room(abs(factor) * self.largest_number)
        bounds = sorted((self.low * factor, self.high * factor))
        return View(self.shape, self.wires, self.coefficients * factor, self.constants * factor, *bounds)

    def shifted(self, constant: int) -> View:
        _require_room(abs(constant) + _largest(self.constants))
        bounds = (self.low + constant, self.high + constant)
        return View(self.shape, self.wires, self.coefficients, self.constants + constant, *bounds)

    def plus(self, other: View) -> View:
        assert self.shape == other.shape
        _require_room(_largest(self.constants) + _largest(other.constants))
        return View(
            self.shape,
            np.hstack([self.wires, other.wires]),
            np.hstack([self.coefficients, other.coefficients]),
            self.constants + other.constants,
            self.low + other.low,
            self.high + other.high,
        )

    def minus(self, other: View) -> View:
        return self.plus(other.scaled(-1))

    def sum_last(self) -> View:
        """Sums over the last axis."""
        *shape, length = self.shape
        entries = prod(shape)
        _require_room(length * _largest(self.constants))
        return View(
            tuple(shape),
            self.wires.reshape(entries, -1),
            self.coefficients.reshape(entries, -1),
            self.constants.reshape(entries, length).sum(axis=1),
            self.low * length,
            self.high * length,
        )

    def merged(self) -> View:
        """The same entries, each with one term for a wire: else sums of sums double terms without end."""
        entries, terms = self.wires.shape
        if terms <= FEW_TERMS:
            return self
        _require_room(terms * _largest(self.coefficients))
        order = np.argsort(self.wires, axis=1, kind="stable")
        sorted_wires = np.take_along_axis(self.wires, order, axis=1)
        places = np.zeros_like(order)
        np.cumsum(sorted_wires[:, 1:] != sorted_wires[:, :-1], axis=1, out=places[:, 1:])
        rows = np.arange(entries)[:, None]
        wires = np.zeros((entries, int(places.max(initial=0)) + 1), np.int64)
        coefficients = np.zeros_like(wires)
        wires[rows, places] = sorted_wires
        np.add.at(coefficients, (rows, places), np.take_along_axis(self.coefficients, order, axis=1))
        return View(self.shape, wires, coefficients, self.constants, self.low, self.high)

    def evaluate(self, wires: Integers) -> Integers:
        """The entries, in `shape`, given the int64 values of stage-one wires and, behind, derived values."""
        values: Integers = (self.coefficients * wires[self.wires]).sum(axis=1) + self.constants
        return values.reshape(self.shape)


def concatenated(views: Sequence[View], axis: int) -> View:
    """The entries of several views, one after another along `axis`; their other axes agree."""
    terms = max(view.wires.shape[1] for view in views)
    starts = np.cumsum([0, *(view.entries for view in views)])
    places = [
        start + np.arange(view.entries).reshape(view.shape)
        for start, view in zip(starts, views, strict=False)
    ]
    stacked = View(
        (int(starts[-1]),),
        np.concatenate([_widened(view.wires, terms) for view in views]),
        np.concatenate([_widened(view.coefficients, terms) for view in views]),
        np.concatenate([view.constants for view in views]),
        min(view.low for view in views),
        max(view.high for view in views),
    )
    return stacked.take(np.concatenate(places, axis=axis))


def _largest(numbers: Integers) -> int:
    return max(int(numbers.max(initial=0)), -int(numbers.min(initial=0)))


def _require_room(magnitude: int) -> None:
    if magnitude >= COEFFICIENT_LIMIT:
        raise OverflowError("coefficients of what was computed without requantising may reach 2^63")


def _widened(terms: Integers, count: int) -> Integers:
    """(entries, count): zeros, which are terms of no weight, behind those that there are."""
    return np.pad(terms, ((0, 0), (0, count - terms.shape[1])))
