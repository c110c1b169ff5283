"""Limbs reach exactly the range, and tables are shared where that is cheaper."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pvcnn.qmp.matrix_program import LookupTable
from pvcnn.qmp.ranges import MAX_TABLE_BITS, Demand, LimbPlan, plan_limbs


def reachable(plan: LimbPlan) -> set[int]:
    """Every sum of a value of each limb's table."""
    limbs = [plan.radix**i * plan.low_limb_table() for i in range(plan.limbs - 1)]
    return {int(sum(values)) for values in itertools.product(*limbs, plan.top_table())}


@pytest.mark.parametrize("size", [1, 2, 3, 16, 17, 31, 100, 128, 255, 257, 1000])
def test_limbs_reach_exactly_the_range(size: int) -> None:
    plans = [LimbPlan(size, 1, 0)] + [
        LimbPlan(size, limbs, bits)
        for bits in (1, 2, 3, 4)
        for limbs in (2, 3, 4)
        if 1 << (bits * (limbs - 1)) < size
    ]
    for plan in plans:
        assert reachable(plan) == set(range(size)), plan
        assert (np.diff(plan.top_table()) > 0).all()


@pytest.mark.parametrize("plan", [LimbPlan(1000, 1, 0), LimbPlan(1000, 3, 4), LimbPlan(999, 2, 8)])
def test_every_value_splits_into_limbs_of_the_tables(plan: LimbPlan) -> None:
    values = np.arange(plan.size, dtype=np.int64)
    low = plan.low_limbs(values)
    assert low.shape == (plan.limbs - 1, plan.size)
    assert ((low >= 0) & (low < plan.radix)).all()
    top = values - sum((plan.radix**i * limb for i, limb in enumerate(low)), np.zeros_like(values))
    assert (LookupTable((plan.top_table(),)).positions(top) >= 0).all()


def test_values_outside_the_range_have_no_top_limb() -> None:
    plan = LimbPlan(999, 2, 8)
    values = np.array([-1, -300, 999, 1 << 40], np.int64)
    top = values - plan.low_limbs(values)[0]
    assert (LookupTable((plan.top_table(),)).positions(top) == -1).all()


def test_few_values_of_a_wide_range_share_the_table_of_many() -> None:
    plans = plan_limbs({Demand(256): 20000, Demand(4096): 2000})
    assert plans == {Demand(256): LimbPlan(256, 1, 0), Demand(4096): LimbPlan(4096, 2, 8)}


def test_many_values_of_a_wide_range_get_a_table() -> None:
    plans = plan_limbs({Demand(256): 20000, Demand(4096): 7000})
    assert plans == {Demand(256): LimbPlan(256, 1, 0), Demand(4096): LimbPlan(4096, 1, 0)}


def test_only_integers_are_stretched() -> None:
    demands = {Demand(512): 5000, Demand(512, integers=True): 3000, Demand(4096): 9000}
    plans = plan_limbs(demands)
    assert plans[Demand(512)] == LimbPlan(512, 1, 0)
    assert plans[Demand(512, integers=True)].stretch in (1, 8)
    alone = plan_limbs({Demand(512, integers=True): 3000, Demand(4096): 9000})
    assert alone[Demand(512, integers=True)] == LimbPlan(512, 1, 0, 8)
    uneven = plan_limbs({Demand(500, integers=True): 3000, Demand(4096): 9000})
    assert uneven[Demand(500, integers=True)].stretch == 1


@pytest.mark.parametrize("stretch", [1, 2, 8])
def test_a_stretched_integer_is_in_the_table_exactly_if_it_is_in_range(stretch: int) -> None:
    plan = LimbPlan(20, 1, 0, stretch)
    values = np.arange(-50, 70, dtype=np.int64)
    found = LookupTable((plan.top_table(),)).positions(values * stretch) >= 0
    assert (found == ((values >= 0) & (values < 20))).all()


def cost(demands: dict[Demand, int], plans: dict[Demand, LimbPlan]) -> int:
    """Constraints of all lookups and of their tables, each of them once."""
    rows, tables = 0, set()
    for demand, count in demands.items():
        plan = plans[demand]
        rows += count * plan.limbs
        tables.add(plan.top_table().tobytes())
        if plan.limbs > 1:
            tables.add(plan.low_limb_table().tobytes())
    return rows + sum(len(table) // 8 + 1 for table in tables)


def every_plan(demand: Demand, tables: list[int]) -> list[LimbPlan]:
    plans = [LimbPlan(demand.size, 1, 0)]
    plans += [
        LimbPlan(demand.size, 1, 0, table // demand.size)
        for table in tables
        if demand.integers and table % demand.size == 0
    ]
    for bits in range(1, MAX_TABLE_BITS):
        plans += [LimbPlan(demand.size, n, bits) for n in (2, 3, 4) if 1 << (bits * (n - 1)) < demand.size]
    return [plan for plan in plans if len(plan.top_table()) <= 1 << MAX_TABLE_BITS]


@pytest.mark.parametrize(
    "demands",
    [
        {Demand(256): 24448, Demand(4096): 7424, Demand(512, True): 5120},
        {Demand(256): 300, Demand(4096): 500, Demand(1000): 20},
        {Demand(100): 10, Demand(1 << 18): 96, Demand(4096): 2048},
        {Demand(16): 93, Demand(128): 63, Demand(4, True): 3},
        {Demand(1): 5, Demand(512, True): 600, Demand(717): 900},
    ],
)
def test_no_combination_of_plans_is_cheaper(demands: dict[Demand, int]) -> None:
    options = [every_plan(demand, [1 << 8, 1 << 9, 1 << 12, 16, 128]) for demand in demands]
    least = min(
        cost(demands, dict(zip(demands, plans, strict=True))) for plans in itertools.product(*options)
    )
    assert cost(demands, plan_limbs(demands)) == least


def test_widest_range_needs_no_large_table() -> None:
    size = (1 << 61) + 12345
    plan = plan_limbs({Demand(size): 1})[Demand(size)]
    assert plan.radix <= 1 << 16
    assert len(plan.top_table()) <= 1 << 16
    values = np.array([0, size // 3, size - 1], np.int64)
    low = plan.low_limbs(values)
    top = values - (low << (plan.bits * np.arange(plan.limbs - 1)[:, None])).sum(axis=0)
    assert (LookupTable((plan.top_table(),)).positions(top) >= 0).all()
