"""The picture of a plan: one line a cut, whatever is known of the cuts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pvcnn.planning.picture import draw
from pvcnn.planning.rows import CutPlan, CutRow, EncryptedCost, MeasuredFrame, PublicCost
from tests.planning.test_limits import NOTHING, PLAN, leak

MEASURED = MeasuredFrame(1.0, 0.1, 2.0, 0.1, 10**6, 10**5, 10**5)


def fitting(count: int, leaks: bool, people: int | None = None) -> CutPlan:
    rows = []
    for number in range(1, count + 1):
        cost = EncryptedCost(8192, number / 7, 10**6, 10**5, 10**5, 0.01, 0.2, 10, True, 8, 10**9, MEASURED)
        row = CutRow(number, f"layer.{number}", "AveragePool", number, "", (1, 8, 8), (number, 1, 1))
        found = leak(900 - number, people) if leaks else None
        rows.append(replace(row, encrypted=cost, public=PublicCost(10**6 // number, 1024, 0.1), leak=found))
    return replace(PLAN, rows=(NOTHING, *rows))


@pytest.mark.parametrize(
    "plan",
    [
        fitting(1, leaks=False),
        fitting(3, leaks=True),
        fitting(3, leaks=True, people=500),
        replace(PLAN, rows=(NOTHING,)),
        replace(PLAN, polynomials=2),
    ],
)
def test_every_plan_can_be_drawn_and_is_drawn_the_same_again(plan: CutPlan) -> None:
    picture = draw(plan)
    assert picture == draw(plan)
    assert b"<svg" in picture


def test_more_cuts_make_a_higher_picture() -> None:
    def height(count: int) -> float:
        text = draw(fitting(count, leaks=True)).decode()
        return float(text.partition('height="')[2].partition("pt")[0])

    assert height(9) > height(3) + 120
