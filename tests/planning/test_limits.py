"""The cheapest cut within limits, of plans that are put together here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pvcnn.errors import CutRefused
from pvcnn.leak.summary import LeakSummary, PersonFigures
from pvcnn.partition.cut import cut_graph
from pvcnn.planning.cuts import Planner, Settings, automatic_cut
from pvcnn.planning.limits import Limits, cheapest
from pvcnn.planning.rows import CutPlan, CutRow, EncryptedCost, PublicCost
from tests.leak.synthetic import data
from tests.planning.networks import calibration, network


def leak(frames: int, people: int | None) -> LeakSummary:
    named = None if people is None else PersonFigures("person", 8, people, people, 125)
    shape = (1, 8, 8)
    return LeakSummary(
        *("1", "layers", "faces", shape, (1, 2, 2), 10, 1000, 5, 10_000, 500, 320, frames, frames),
        *(named, False, "imitation", 500, 400, 100),
    )


def cut(place: int, seconds: float, proof: float, features: int) -> CutRow:
    cost = EncryptedCost(8192, seconds, 10**6, 10**5, 10**5, 0.01, 0.2, 10, True, 8, 10**9)
    row = CutRow(place, f"layer{place}", "AveragePool", place, "layers", (1, 8, 8), (features, 1, 1))
    return replace(row, encrypted=cost, public=PublicCost(1000, 1024, proof))


NOTHING = CutRow(0, "", "", 0, "", (1, 8, 8), (1, 8, 8), public=PublicCost(9000, 16384, 0.1))
LINEAR = replace(NOTHING, place=9, blocks=9, public=None, refused="rule (a), a nonlinearity before the cut")
PLAN = CutPlan(
    "m",
    "committed",
    None,
    0,
    1.0,
    (NOTHING, LINEAR, cut(1, 0.1, 3.0, 30), cut(2, 0.5, 1.0, 20), cut(3, 9.0, 0.5, 4)),
)
#: What attacks find by cut: frames and people, per mille.
LEAKS = {1: leak(900, 800), 2: leak(500, 400), 3: leak(100, 150)}


def chosen(limits: Limits) -> tuple[int, list[int]]:
    """The cut, and which were attacked, in order."""
    attacked: list[int] = []

    def attack(row: CutRow) -> LeakSummary:
        attacked.append(row.place)
        return LEAKS[row.place]

    return cheapest(PLAN, limits, attack).row.place, attacked


@pytest.mark.parametrize(
    ("limits", "place", "attacked"),
    [
        (Limits(), 2, []),  # 1.5 s in all, the least
        (Limits(encrypted_seconds=0.1), 1, []),
        (Limits(proving_seconds=0.5), 3, []),
        (Limits(features=4), 3, []),
        (Limits(frame_retrieval=0.5), 2, [2]),
        (Limits(frame_retrieval=0.499), 3, [2, 1, 3]),
        (Limits(person_retrieval=0.2), 3, [2, 1, 3]),
        (Limits(person_retrieval=0.8, encrypted_seconds=0.2), 1, [1]),
    ],
)
def test_the_cheapest_cut_within_limits(limits: Limits, place: int, attacked: list[int]) -> None:
    assert chosen(limits) == (place, attacked)


def test_figures_that_are_there_are_taken() -> None:
    rows = tuple(replace(row, leak=LEAKS.get(row.place)) for row in PLAN.rows)

    def attack(row: CutRow) -> LeakSummary:
        raise AssertionError("it was attacked already")

    assert cheapest(replace(PLAN, rows=rows), Limits(frame_retrieval=0.2), attack).row.place == 3


def test_those_around_the_choice_are_named() -> None:
    choice = cheapest(PLAN, Limits(frame_retrieval=0.2, encrypted_seconds=10), lambda row: LEAKS[row.place])
    assert [(row.place, why) for row, why in choice.cheaper] == [
        (2, "right frame found for 50.0%, at most 20.0% are allowed"),
        (1, "right frame found for 90.0%, at most 20.0% are allowed"),
    ]
    assert (choice.row.place, choice.dearer) == (3, None)
    first = cheapest(PLAN, Limits(), lambda row: LEAKS[row.place])
    assert first.cheaper == ()
    assert first.dearer is not None
    assert first.dearer.place == 1


def test_of_equals_the_one_with_fewer_features_is_taken() -> None:
    rows = (NOTHING, cut(1, 1.0, 1.0, 30), cut(2, 1.0, 1.0, 20), cut(3, 1.0, 1.0, 25))
    assert cheapest(replace(PLAN, rows=rows), Limits(), lambda row: LEAKS[row.place]).row.place == 2


@pytest.mark.parametrize("share", [0.001, 0.29, 0.57, 0.999, 1.0])
def test_a_share_just_at_the_limit_is_allowed(share: float) -> None:
    found = leak(round(1000 * share), round(1000 * share))
    limits = Limits(frame_retrieval=share, person_retrieval=share)
    assert not list(limits.exceeded_by_leak(found))
    for less in (Limits(frame_retrieval=share - 0.0005), Limits(person_retrieval=share - 0.0005)):
        assert list(less.exceeded_by_leak(found))


def test_every_cut_has_its_reason_if_none_fits() -> None:
    with pytest.raises(CutRefused) as refused:
        chosen(Limits(encrypted_seconds=1, proving_seconds=2, features=20, frame_retrieval=0.4))
    lines = str(refused.value).splitlines()[1:]
    assert lines == [
        "  0: nothing is private",
        "  9: rule (a), a nonlinearity before the cut",
        "  1: proving seconds 3, at most 2 are allowed; features 30, at most 20 are allowed",
        "  2: right frame found for 50.0%, at most 40.0% are allowed",
        "  3: encrypted seconds 9, at most 1 are allowed",
    ]


def test_nobody_shown_is_nobody_found() -> None:
    (reason,) = Limits(person_retrieval=1).exceeded_by_leak(leak(0, None))
    assert "cannot be measured" in reason


def test_automatic_cuts() -> None:
    settings = Settings(budget=0.05)
    row = automatic_cut(network(), calibration(), Limits(features=8), settings=settings).row
    assert row.features <= 8
    assert row.leak is None
    found = automatic_cut(network(), calibration(), Limits(frame_retrieval=1), data(), settings).row
    assert found.leak is not None
    with pytest.raises(CutRefused, match="features 4, at most 3"):
        automatic_cut(network(), calibration(), Limits(features=3), settings=settings)
    with pytest.raises(ValueError, match="need attacks"):
        automatic_cut(network(), calibration(), Limits(person_retrieval=0.5), settings=settings)
    strangers = replace(data(), identity="")
    with pytest.raises(ValueError, match="nobody is shown"):
        automatic_cut(network(), calibration(), Limits(person_retrieval=0.5), strangers, settings)


def test_every_automatic_cut_is_one_that_split_takes() -> None:
    """Numbers of blocks and names of layers lead back to the value that was planned."""
    planner = Planner.of(network(), calibration(), Settings(budget=0))
    for place in planner.places:
        row = planner.blank(place)
        assert (
            cut_graph(planner.calibrated.graph, row.layer if row.blocks is None else row.blocks).place
            == place
        )
