"""Ranges as lookups, wide ones as sums of looked-up limbs (docs/protocol.md, eq. (4)).

A value v in [0, size) is looked up in the table 0, 1, ..., size - 1; a signed range is shifted by a
view. With L limbs to the radix b and R = b^(L-1),

    v = l_0 + b l_1 + ... + b^(L-2) l_(L-2) + top,   l_i in [0, b),
    top in {0, R, 2R, ..., size - R}

The last table entry makes the range exact for every size: the sums of the low limbs fill [0, R), so
the reachable v are exactly [0, size). Low limbs are wires; `top` is a view, v less the low limbs.

Why a cheating prover fails: each limb and `top` is an integer of its table (eq. (4)), so v is congruent
to an integer in [0, size); with everything far below r no 1/2 and nothing that wraps around passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

#: The largest table that a range asks for.
MAX_TABLE_BITS = 16


@dataclass(frozen=True)
class LimbPlan:
    """How values in [0, size) are looked up: `limbs` limbs to the radix 2^bits (one: directly)."""

    size: int
    limbs: int
    bits: int

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
            return np.arange(self.size, dtype=np.int64)
        count = -(-self.size // self.reach)
        return np.minimum(np.arange(count, dtype=np.int64) * self.reach, self.size - self.reach)

    def low_limbs(self, values: Integers) -> Integers:
        """(limbs - 1, n): the low limbs of `values` (n,), right for those in [0, size)."""
        top = np.minimum(values // self.reach * self.reach, self.size - self.reach)
        shifts = self.bits * np.arange(self.limbs - 1, dtype=np.int64)
        return (values - top) >> shifts[:, None] & (self.radix - 1)

    def cost(self, count: int, plain_tables: set[int]) -> int:
        """Constraints of `count` lookups, given the sizes of the tables 0, 1, ... that exist anyway."""
        if self.limbs == 1:
            return count + (0 if self.size in plain_tables else self.size)
        shared = 0 if self.radix in plain_tables else self.radix
        return count * self.limbs + shared + -(-self.size // self.reach)


def plan_limbs(demands: Mapping[int, int]) -> dict[int, LimbPlan]:
    """The cheapest plan for each size, given how many values are to be looked up for each size.

    Sizes with the most values choose first; the others prefer to share their tables.
    """
    plans: dict[int, LimbPlan] = {}
    plain_tables: set[int] = set()
    for size, count in sorted(demands.items(), key=lambda item: (-item[1], item[0])):
        plan = min(_candidates(size), key=lambda plan: plan.cost(count, plain_tables))
        plans[size] = plan
        plain_tables.add(plan.size if plan.limbs == 1 else plan.radix)
    return plans


def _candidates(size: int) -> list[LimbPlan]:
    """Every plan with tables of at most 2^MAX_TABLE_BITS entries."""
    largest = 1 << MAX_TABLE_BITS
    plans = [LimbPlan(size, 1, 0)] if size <= largest else []
    for bits in range(1, MAX_TABLE_BITS + 1):
        limbs = 2
        while 1 << (bits * (limbs - 1)) < size:
            plan = LimbPlan(size, limbs, bits)
            if plan.size <= largest * plan.reach:
                plans.append(plan)
            limbs += 1
    return plans
