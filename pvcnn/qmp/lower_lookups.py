"""Lookups as constraints: eq. (4), one sum for each table.

    sum_i 1/(theta - f_i) = sum_t m_t/(theta - t),   f = q or q + chi act, t likewise

A single value costs one constraint, a pair two (one makes chi act), a table's row one.

Why a cheating prover fails: the f_i, the m_t and the table are fixed before theta and chi are drawn.
As rational functions in theta the sides are equal only if every pole on the left is one on the right
(a pole's residue on the left counts lookups, and r exceeds their number), that is if every f_i is in
the table. A false identity, of degree at most lookups + rows in theta and chi, holds with at most that
probability over r; where theta is a row's t, its fraction is free, which adds the rows once more
(docs/security-argument.md, section "Gadgets").
"""

from __future__ import annotations

import numpy as np

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.matrix_program import CONSTANT_WIRE, Lookup, LookupArgument, LookupTable
from pvcnn.qmp.powers import CHI, THETA

LOOKUPS = "lookups"
TABLES = "lookup tables"


def lower(builder: ConstraintBuilder, argument: LookupArgument) -> None:
    """One constraint for each single value and each row of the table, two for each pair, one sum."""
    left = Combinations.zero(1)
    for lookup in argument.lookups:
        looked_up = _packed(builder, lookup)
        ones = Combinations.of_constants(np.ones(looked_up.count, np.int64))
        inverses = builder.quotients(LOOKUPS, lookup.name, ones, _theta(looked_up.count) - looked_up)
        left = left + Combinations.of_wires(inverses).total()
    name = _table_name(argument)
    rows = _packed_table(argument.table)
    multiplicities = Combinations.of_wires(argument.multiplicities)
    fractions = builder.quotients(TABLES, name, multiplicities, _theta(rows.count) - rows)
    difference = left - Combinations.of_wires(fractions).total()
    one = Combinations.of_constants(np.ones(1, np.int64))
    builder.constrain(TABLES, f"{name}: sums agree", difference, one, Combinations.zero(1))


def _table_name(argument: LookupArgument) -> str:
    purposes = dict.fromkeys(lookup.name for lookup in argument.lookups)
    return f"table of {argument.table.size} for {', '.join(purposes)}"


def _theta(count: int) -> Combinations:
    return Combinations.of_wires(np.full(count, THETA))


def _packed(builder: ConstraintBuilder, lookup: Lookup) -> Combinations:
    """f: the single value, or q + chi act, where chi act is a fresh wire."""
    first, *second = (Combinations.of_view(column) for column in lookup.columns)
    for column in second:
        chi = Combinations.of_wires(np.full(column.count, CHI))
        first = first + Combinations.of_wires(builder.products(LOOKUPS, f"{lookup.name}: pairs", column, chi))
    return first


def _packed_table(table: LookupTable) -> Combinations:
    """t: linear in the public wires 1 and chi."""
    packed = Combinations.zero(table.size)
    for wire, column in zip((CONSTANT_WIRE, CHI), table.columns, strict=False):
        rows = np.arange(table.size)
        packed = packed + Combinations(table.size, rows, np.full(table.size, wire), column)
    return packed
