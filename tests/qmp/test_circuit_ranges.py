"""Limbs reach exactly the range, and tables are shared where that is cheaper."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pvcnn.qmp.matrix_program import LookupTable
from pvcnn.qmp.ranges import LimbPlan, plan_limbs


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
    plans = plan_limbs({256: 20000, 4096: 2000})
    assert plans == {256: LimbPlan(256, 1, 0), 4096: LimbPlan(4096, 2, 8)}


def test_widest_range_needs_no_large_table() -> None:
    size = (1 << 61) + 12345
    plan = plan_limbs({size: 1})[size]
    assert plan.radix <= 1 << 16
    assert len(plan.top_table()) <= 1 << 16
    values = np.array([0, size // 3, size - 1], np.int64)
    low = plan.low_limbs(values)
    top = values - (low << (plan.bits * np.arange(plan.limbs - 1)[:, None])).sum(axis=0)
    assert (LookupTable((plan.top_table(),)).positions(top) >= 0).all()
