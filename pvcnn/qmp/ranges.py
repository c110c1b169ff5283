"""Ranges as lookups, wide ones as sums of looked-up limbs (docs/protocol.md, eq. (4)).

A value v in [0, size) is looked up in the table 0, 1, ..., size - 1; a signed range is shifted by a
view. With L limbs to the radix b and R = b^(L-1),

    v = l_0 + b l_1 + ... + b^(L-2) l_(L-2) + top,   l_i in [0, b),
    top in {0, R, 2R, ..., size - R}

The last table entry makes the range exact for every size: the sums of the low limbs fill [0, R), so
the reachable v are exactly [0, size). Low limbs are wires; `top` is a view, v less the low limbs. And a
v that is known to be an integer may share a table of k size entries: k v is looked up in it.

Why a cheating prover fails: each limb and `top` is an integer of its table (eq. (4)), so v is congruent
to an integer in [0, size); with everything far below r no 1/2 and nothing that wraps around passes.
An integer v with k v in [0, k size) lies in [0, size). Without knowing that v is an integer it
could be 1/k, so only that knowledge, from elsewhere, admits a stretch k.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

#: The largest table that a range asks for.
MAX_TABLE_BITS = 16
_LARGEST = 1 << MAX_TABLE_BITS


@dataclass(frozen=True, order=True)
class Demand:
    """Values are to be shown to lie in [0, size). `integers`: that they are integers is known already."""

    size: int
    integers: bool = False


@dataclass(frozen=True)
class LimbPlan:
    """How values in [0, size) are looked up: `limbs` limbs to the radix 2^bits (one: directly).

    A direct lookup is that of `stretch` times the value, in a table of as many times the size.
    """

    size: int
    limbs: int
    bits: int
    stretch: int = 1

    @property
    def radix(self) -> int:
        return 1 << self.bits

    @property
    def reach(self) -> int:
        """R: the low limbs' sums fill [0, R)."""
        return 1 << (self.bits * (self.limbs - 1))

    def low_limb_table(self) -> Integers:
        return np.arange(self.radix, dtype=np.int64)

    def top_table(self) -> Integers:
        if self.limbs == 1:
            return np.arange(self.size * self.stretch, dtype=np.int64)
        count = -(-self.size // self.reach)
        return np.minimum(np.arange(count, dtype=np.int64) * self.reach, self.size - self.reach)

    def low_limbs(self, values: Integers) -> Integers:
        """(limbs - 1, n): the low limbs of `values` (n,), right for those in [0, size)."""
        top = np.minimum(values // self.reach * self.reach, self.size - self.reach)
        shifts = self.bits * np.arange(self.limbs - 1, dtype=np.int64)
        return (values - top) >> shifts[:, None] & (self.radix - 1)

    def cost(self, count: int) -> int:
        """Constraints of `count` lookups, those of a table 0, 1, ... that may be shared left out."""
        own_table = 0 if self.limbs == 1 else -(-self.size // self.reach) + 1
        return count * self.limbs + own_table


def plan_limbs(demands: Mapping[Demand, int]) -> dict[Demand, LimbPlan]:
    """A plan for each demand, given how many values it has, that costs least for all together.

    A table 0, 1, ..., n - 1 costs n + 1 constraints once, whoever shares it, and every plan needs one.
    The search starts from the tables that serve each demand by itself, and from the best one or two
    tables for all; it adds, drops and exchanges tables as long as that makes the whole cheaper.
    """
    ordered = sorted(demands)
    tables = sorted({1 << bits for bits in range(1, MAX_TABLE_BITS + 1)}.union(_own_sizes(ordered)))
    options = [[_cheapest(demand, table, demands[demand]) for table in tables] for demand in ordered]
    costs = np.array(
        [
            [np.inf if plan is None else plan.cost(demands[demand]) for plan in plans]
            for demand, plans in zip(ordered, options, strict=True)
        ]
    ).reshape(len(ordered), len(tables))
    own = frozenset(tables.index(size) for size in (*_own_sizes(ordered), 1 << 8))
    chosen = sorted(_search(costs, np.array(tables) + 1, own))
    plans: dict[Demand, LimbPlan] = {}
    for demand, row, choices in zip(ordered, costs, options, strict=True):
        best = choices[chosen[int(np.argmin(row[chosen]))]]
        assert best is not None
        plans[demand] = best
    return plans


def _own_sizes(demands: list[Demand]) -> list[int]:
    """The tables that demands can have for themselves. Wider ones have limbs of eight bits."""
    return [demand.size for demand in demands if demand.size <= _LARGEST]


def _cheapest(demand: Demand, table: int, count: int) -> LimbPlan | None:
    """The cheapest plan that needs the table 0, 1, ..., table - 1 and, for a top limb, one of its own."""
    return min(_plans(demand, table), key=lambda plan: plan.cost(count), default=None)


def _plans(demand: Demand, table: int) -> Iterator[LimbPlan]:
    size, bits = demand.size, table.bit_length() - 1
    if table == size or (demand.integers and table % size == 0):
        yield LimbPlan(size, 1, 0, table // size)
    if table == 1 << bits and bits:
        limbs = 2
        while 1 << (bits * (limbs - 1)) < size:
            plan = LimbPlan(size, limbs, bits)
            if size <= _LARGEST * plan.reach:
                yield plan
            limbs += 1


def _search(costs: NDArray[np.float64], prices: Integers, own: frozenset[int]) -> frozenset[int]:
    """The columns that serve all demands at least cost, as far as single changes find them.

    costs (demands, tables): of each demand with each table, infinite where it is of no use; prices: of the
    tables; own: a choice that serves all.
    """

    def total(chosen: frozenset[int]) -> float:
        columns = sorted(chosen)
        if not columns:
            return float("inf")
        return float(costs[:, columns].min(axis=1).sum() + prices[columns].sum())

    def improved(chosen: frozenset[int]) -> frozenset[int]:
        while True:
            changed = [chosen ^ {table} for table in everything]
            changed += [chosen - {old} | {new} for old in sorted(chosen) for new in everything]
            best = min(changed, key=total)
            if total(best) >= total(chosen):
                return chosen
            chosen = best

    everything = range(len(prices))
    few = min((frozenset({one, other}) for one in everything for other in everything), key=total)
    return min(improved(own), improved(few), key=total)
