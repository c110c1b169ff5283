"""Quadratic matrix programs: matrix wires and the gates between them (docs/protocol.md, QMP).

A gate's operands are views of wires that are committed before any challenge is drawn: the constant
1, outputs, features, weights and the auxiliary wires of stage one, and known linear functions of
these. `MatrixProgram` refuses anything else, because a cheating prover could otherwise choose an
operand after seeing the challenge that checks it. It also refuses a gate whose integers could wrap
around r, where "equal modulo r" would no longer mean "equal".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.program.windows import Windows
from pvcnn.qmp.challenges import CHALLENGES
from pvcnn.qmp.derived import Derivation
from pvcnn.qmp.system import Segments
from pvcnn.qmp.views import View

Integers = NDArray[np.int64]

#: The wire that is always 1.
CONSTANT_WIRE = 0
#: Where the outputs start, after the constant and the challenges.
FIRST_OUTPUT = 1 + len(CHALLENGES)


@dataclass(frozen=True, eq=False)
class MatrixProduct:
    """left (n, k) times right (k, m) equals result (n, m): eq. (1)."""

    name: str
    left: View
    right: View
    result: View

    @property
    def summands(self) -> int:
        return self.left.shape[1]

    def operands(self) -> tuple[View, ...]:
        return self.left, self.right, self.result


@dataclass(frozen=True, eq=False)
class ConvolutionProduct:
    """The convolution of inputs (F, C, H, W) with kernels (O, C/G, Kh, Kw) is result (F, O, Ho, Wo): eq. (2).

    `result` is the output less its bias. There are G groups of channels.
    """

    name: str
    inputs: View
    kernels: View
    result: View
    windows: Windows

    @property
    def summands(self) -> int:
        return prod(self.kernels.shape[1:])

    @property
    def groups(self) -> int:
        return self.inputs.shape[1] // self.kernels.shape[1]

    def operands(self) -> tuple[View, ...]:
        return self.inputs, self.kernels, self.result


@dataclass(frozen=True, eq=False)
class EntrywiseProduct:
    """left * right = result, entry by entry (Hadamard)."""

    name: str
    left: View
    right: View
    result: View

    def operands(self) -> tuple[View, ...]:
        return self.left, self.right, self.result


@dataclass(frozen=True, eq=False)
class ZeroProduct:
    """left * right = 0, entry by entry: one of the two is 0."""

    name: str
    left: View
    right: View

    def operands(self) -> tuple[View, ...]:
        return self.left, self.right


@dataclass(frozen=True, eq=False)
class Equality:
    """left = right, entry by entry."""

    name: str
    left: View
    right: View

    def operands(self) -> tuple[View, ...]:
        return self.left, self.right


@dataclass(frozen=True, eq=False)
class Boolean:
    """Every entry is 0 or 1."""

    name: str
    entries: View

    def operands(self) -> tuple[View, ...]:
        return (self.entries,)


Gate: TypeAlias = MatrixProduct | ConvolutionProduct | EntrywiseProduct | ZeroProduct | Equality | Boolean


@dataclass(frozen=True, eq=False)
class LookupTable:
    """Rows of one or two integers. The first column's entries differ, and rise by `step` from `low`
    up to the last but one; the last may rise by less (see pvcnn.qmp.ranges).
    """

    columns: tuple[Integers, ...]

    def key(self) -> tuple[bytes, ...]:
        """Equal for equal tables, which share one argument."""
        return tuple(column.tobytes() for column in self.columns)

    @property
    def size(self) -> int:
        return len(self.columns[0])

    def positions(self, values: Integers) -> Integers:
        """Where each value stands in the first column; -1 if nowhere."""
        keys, last = self.columns[0], self.size - 1
        # Keys rise evenly but for the last: dividing finds them several times faster than searching.
        steps, offset = values - keys[0], int(keys[min(1, last)] - keys[0])
        found = np.clip(steps // offset if offset > 1 else steps, 0, last)
        found[values == keys[-1]] = last
        return np.where(keys[found] == values, found, -1)


@dataclass(frozen=True, eq=False)
class Lookup:
    """Each row (columns[0][i], columns[1][i]) must be a row of the argument's table."""

    name: str
    columns: tuple[View, ...]


@dataclass(frozen=True, eq=False)
class LookupArgument:
    """All lookups in one table: one sum, eq. (4). multiplicities: one aux wire for each row of the table."""

    table: LookupTable
    lookups: tuple[Lookup, ...]
    multiplicities: Integers


@dataclass(frozen=True, eq=False)
class MatrixProgram:
    """Gates and lookups over stage-one wires. `segments` counts the wires; its `priv` is 0.

    `derivations`: the values that are no wires but linear functions of some, in the order of their making.

    Raises ValueError, naming the gate, if an operand is not a view of stage-one wires or if a
    product may leave (-r/2, r/2).
    """

    segments: Segments
    gates: tuple[Gate, ...]
    arguments: tuple[LookupArgument, ...]
    derivations: tuple[Derivation, ...] = ()

    def __post_init__(self) -> None:
        derived = 0
        for derivation in self.derivations:
            self._check_stage_one(derivation.name, derivation.argument, derived)
            _require_small(derivation.name, derivation.peak)
            derived += len(derivation.wires)
            if not np.array_equal(derivation.wires, np.arange(len(derivation.wires)) - derived):
                raise ValueError(f"{derivation.name}: derived values are not numbered in their order")
        for gate in self.gates:
            for operand in gate.operands():
                self._check_stage_one(gate.name, operand, derived)
            _check_integers(gate)
        for argument in self.arguments:
            for lookup in argument.lookups:
                for column in lookup.columns:
                    self._check_stage_one(lookup.name, column, derived)
                    _require_small(lookup.name, column.magnitude)

    def _check_stage_one(self, name: str, view: View, derived: int) -> None:
        """`derived`: how many derived values there are by then."""
        used = view.wires[view.coefficients != 0]
        if not len(used):
            return
        challenge = (used > CONSTANT_WIRE) & (used < FIRST_OUTPUT)
        if challenge.any() or not -derived <= used.min() <= used.max() < self.segments.total:
            raise ValueError(f"{name}: an operand is not an affine view of stage-one wires")

    @property
    def derived(self) -> int:
        """How many derived values there are."""
        return sum(len(derivation.wires) for derivation in self.derivations)

    def lookups(self) -> Iterator[tuple[LookupArgument, Lookup]]:
        for argument in self.arguments:
            for lookup in argument.lookups:
                yield argument, lookup

    @cached_property
    def committed(self) -> int:
        """Wires of stage one, public ones included."""
        return self.segments.total


def _check_integers(gate: Gate) -> None:
    """An equation between integers below r/2 in magnitude holds if it holds modulo r."""
    match gate:
        case MatrixProduct():
            peak = gate.summands * gate.left.magnitude * gate.right.magnitude + gate.result.magnitude
        case ConvolutionProduct():
            peak = gate.summands * gate.inputs.magnitude * gate.kernels.magnitude + gate.result.magnitude
        case EntrywiseProduct():
            peak = gate.left.magnitude * gate.right.magnitude + gate.result.magnitude
        case Equality():
            peak = gate.left.magnitude + gate.right.magnitude
        case ZeroProduct() | Boolean():
            # A product vanishes in a field only if a factor does: only the factors must be exact.
            peak = max(view.magnitude for view in gate.operands())
    _require_small(gate.name, peak)


def _require_small(name: str, peak: int) -> None:
    if 2 * peak >= SCALAR_MODULUS:
        raise ValueError(f"{name}: values may reach r/2 and wrap around")
