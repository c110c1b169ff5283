"""The rows of `plan_cuts`, against what splitting, compiling and evaluating really give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import nn

from pvcnn.he.parameters import plan as encryption_plan
from pvcnn.partition.split import split
from pvcnn.planning import costs, cuts
from pvcnn.planning.cuts import Settings, plan_cuts
from pvcnn.planning.limits import merged
from pvcnn.planning.rows import CutPlan, CutRow
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.proving_key import domain_size
from tests.leak.synthetic import data
from tests.planning.networks import calibration, network, single, unfit

COSTS = Settings(measures=False, budget=0)


@pytest.fixture(scope="module")
def planned() -> CutPlan:
    return plan_cuts(network(), calibration(), settings=COSTS, name="small")


def row(plan: CutPlan, cut: str) -> CutRow:
    (found,) = (row for row in plan.rows if row.cut == cut)
    return found


def test_every_cut_has_a_row(planned: CutPlan) -> None:
    assert [row.cut for row in planned.rows] == ["0", "'0'", "'1'", "1", "'3'", "2", "'5'", "3"]
    assert [row.cut for row in planned.rows if row.fits] == ["1", "'3'", "2", "'5'"]
    assert row(planned, "1").feature_shape == (2, 4, 4)
    assert row(planned, "1").ratio == 32 / 256


def test_what_does_not_fit_says_why(planned: CutPlan) -> None:
    assert "rule (a)" in row(planned, "'0'").refused
    assert "rule (b)" in row(planned, "'1'").refused
    assert "6 (ReLU): not supported before the cut" in row(planned, "3").refused
    for refused in (row(planned, cut) for cut in ("'0'", "'1'", "3")):
        assert (refused.encrypted, refused.public, refused.leak) == (None, None, None)


def test_cut_zero_is_there_for_reference(planned: CutPlan) -> None:
    first = planned.rows[0]
    assert (first.blocks, first.fits, first.refused, first.ratio) == (0, False, "", 1.0)
    assert first.public is not None


@pytest.mark.parametrize("cut", [1, 2])
def test_costs_are_those_of_the_split_model(planned: CutPlan, cut: int) -> None:
    parts, found = split(network(), calibration(), cut), row(planned, str(cut))
    made = encryption_plan(parts.private)
    assert found.encrypted is not None
    assert (found.encrypted.degree, found.encrypted.flooding_bits) == (made.degree, made.flooding_bits)
    assert 0 < found.encrypted.noise_steps < found.encrypted.error_steps < 0.25
    circuit = compile_program(parts.public.program, 1)
    assert found.public is not None
    assert found.public.constraints == pytest.approx(circuit.system.constraints, rel=0.02)
    assert found.public.domain == domain_size(found.public.constraints)


def test_published_weights_cost_less(planned: CutPlan) -> None:
    published = plan_cuts(network(), calibration(), settings=replace(COSTS, weights="published"))
    ours, theirs = row(planned, "1").public, row(published, "1").public
    assert ours is not None
    assert theirs is not None
    assert theirs.constraints < ours.constraints


def test_a_frame_is_measured_and_features_attacked() -> None:
    settings = Settings(budget=0.05)
    seen: list[tuple[int, int, str, str]] = []

    def planned() -> CutPlan:
        return plan_cuts(single(), calibration(), data(), settings, progress=lambda *step: seen.append(step))

    plan = planned()
    found = row(plan, "1")
    assert found.encrypted is not None
    measured = found.encrypted.measured
    assert measured is not None
    assert 0 < measured.error_steps < 0.25
    assert measured.evaluate_seconds > 0
    assert measured.upload <= found.encrypted.upload
    assert measured.evaluation_keys == pytest.approx(found.encrypted.evaluation_keys, rel=0.02)
    assert found.leak is not None
    assert (found.leak.feature_shape, found.leak.cut) == ((2, 4, 4), "1")
    assert plan.rows[0].leak is None
    assert ("1", "one frame on ciphertexts") in {step[2:] for step in seen}
    again = row(planned(), "1")
    assert again.leak == found.leak
    assert json.loads(json.dumps(plan.to_dict()))["cuts"][3]["leak"]["person_retrieval"]["count"] == 6


def test_what_would_take_the_machine_down_is_not_measured(
    planned: CutPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = row(planned, "1").encrypted
    assert cost is not None
    monkeypatch.setattr(costs, "MEASURED_MEMORY", cost.memory - 1)
    plan = plan_cuts(single(), calibration(), settings=replace(COSTS, measures=True))
    assert row(plan, "1").encrypted == cost


def test_what_is_free_is_known(planned: CutPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert costs.free_memory() > 10**8
    told = tmp_path / "meminfo"
    monkeypatch.setattr(costs, "_MEMORY", told)
    assert costs.free_memory() > costs.MEASURED_MEMORY
    told.write_text("MemTotal: 2 kB\nMemAvailable:       1 kB\n")
    assert costs.free_memory() == 1024
    found = row(plan_cuts(single(), calibration(), settings=replace(COSTS, measures=True)), "1")
    assert found.encrypted == row(planned, "1").encrypted


def test_activations_without_a_fit_refuse_the_cut_alone() -> None:
    model = nn.Sequential(*list(network().children())[:5], nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)).eval()
    with torch.no_grad():
        cast(nn.Conv2d, model[3]).weight.zero_()
    plan = plan_cuts(model, calibration(), settings=replace(COSTS, polynomials=2))
    assert row(plan, "1").fits
    assert "do not determine a polynomial" in row(plan, "2").refused
    assert "more varied frames" in row(plan, "2").refused


def test_activations_can_be_counted_as_polynomials() -> None:
    model = unfit()
    model.insert(2, nn.AvgPool2d(8))
    model[4] = nn.Linear(2, 2)
    as_it_is = plan_cuts(model, calibration(), settings=COSTS)
    assert not any(row.fits for row in as_it_is.rows)
    found = row(plan_cuts(model, calibration(), settings=replace(COSTS, polynomials=2)), "1")
    assert found.fits
    assert found.private == "Conv2d 1-2 3x3, Polynomial, AveragePool 8x8"


def test_same_reasons_share_a_line() -> None:
    reasons = [("1", "x"), ("2", "x"), ("3", ""), ("4", "x")]
    assert merged(reasons) == [("1 to 2", "x"), ("3", ""), ("4", "x")]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"weights": "secret"}, "weights"),
        ({"reveal": "all"}, "reveal"),
        ({"polynomials": 5}, "degree 5"),
        ({"budget": -1.0}, "budget"),
        ({"budget": float("nan")}, "budget"),
    ],
)
def test_settings_that_there_are_not(changes: dict[str, object], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        replace(COSTS, **changes)  # type: ignore[arg-type]


def test_attacks_need_data_of_the_models_shape() -> None:
    with pytest.raises(ValueError, match="need data"):
        plan_cuts(network(), calibration(), settings=Settings(budget=1))
    with pytest.raises(ValueError, match="frames to attack have the shape"):
        plan_cuts(network(), calibration()[..., :8], data(), Settings(budget=1))


def test_the_command_knows_the_default_budget() -> None:
    from pvcnn.cli import plan

    assert plan.DEFAULT_BUDGET == cuts.DEFAULT_BUDGET
