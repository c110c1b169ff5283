"""Gadgets in combinations that the demo does not have, and at the edges of their ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pvcnn.algebra import scalars
from pvcnn.errors import RangeError
from pvcnn.program.inference import trace
from pvcnn.program.layers import (
    AveragePool,
    Convolution,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Requantise,
    Shape,
    Sign,
)
from pvcnn.program.program import Program
from pvcnn.program.table import Table
from pvcnn.program.weights import Weights
from pvcnn.program.windows import Windows
from pvcnn.qmp.circuit import compile_program
from tests.qmp.forging import Parameters, continued, run
from tests.qmp.forging_activations import (
    Lie,
    false_maxima,
    no_entry,
    not_the_largest,
    the_first_is_lost,
    wrapping_entry,
)
from tests.qmp.oracle import all_columns, broken_rows, objections, random_challenges
from tests.qmp.programs import Integers, leaky_table, random_features, random_weights, small_case

IDENTITY = Table(-16, np.arange(-16, 16))
FLATTEN, DECISION = Flatten("flatten"), Sign("decision")
POOL = (MaxPool("pool", Windows.disjoint(2)), FLATTEN)
HEAD_1, HEAD_4, HEAD_8, HEAD_9 = (Linear("head", size, 1, 4, 6) for size in (1, 4, 8, 9))

CHAINS: dict[str, tuple[Shape, tuple[Layer, ...]]] = {
    "features are vectors": ((5,), (Linear("head", 5, 1, 4, 6),)),
    "linear layers in a row": ((5,), (Linear("first", 5, 3, 4, 6), Linear("head", 3, 1, 4, 6))),
    "requantised without a shift": (
        (1, 3, 3),
        (
            Convolution("conv", 1, 1, Windows.square(1, 1, 0), 2, 2),
            Requantise("act", 0, leaky_table(7, 0)),
            FLATTEN,
            HEAD_9,
        ),
    ),
    "pooled sums requantised": (
        (2, 4, 4),
        (
            AveragePool("sum", Windows.disjoint(2)),
            Requantise("act", 2, leaky_table(6, 0)),
            FLATTEN,
            HEAD_8,
        ),
    ),
    "features requantised without a shift": (
        (1, 2, 2),
        (Requantise("act", 0, IDENTITY), FLATTEN, HEAD_4),
    ),
    "requantised twice": (
        (1, 2, 2),
        (Requantise("act", 0, IDENTITY), Requantise("again", 1, IDENTITY), FLATTEN, HEAD_4),
    ),
    "features pooled at once": (
        (1, 5, 7),
        (MaxPool("pool", Windows.disjoint(3)), FLATTEN, Linear("head", 2, 1, 4, 6)),
    ),
    "windows of one": ((1, 2, 2), (MaxPool("pool", Windows.disjoint(1)), FLATTEN, HEAD_4)),
    "convolution pooled before any requantisation": (
        (1, 4, 4),
        (
            Convolution("conv", 1, 2, Windows.square(3, 1, 1), 8, 12),
            MaxPool("pool", Windows.disjoint(2)),
            FLATTEN,
            HEAD_8,
        ),
    ),
    "quotients pooled, without a shift": (
        (1, 5, 4),
        (
            Convolution("conv", 1, 2, Windows.square(3, 1, 1), 2, 2),
            Requantise("act", 0, leaky_table(8, 0)),
            *POOL,
            HEAD_8,
        ),
    ),
    "quotients pooled twice, with entries left over": (
        (1, 7, 6),
        (
            Requantise("act", 1, leaky_table(5, 0)),
            MaxPool("pool", Windows.disjoint(2)),
            MaxPool("again", Windows.disjoint(2)),
            FLATTEN,
            HEAD_1,
        ),
    ),
    "quotients of sums pooled": (
        (2, 8, 8),
        (AveragePool("sum", Windows.disjoint(2)), Requantise("act", 2, leaky_table(6, 0)), *POOL, HEAD_8),
    ),
    "windows of one behind a table": (
        (1, 2, 2),
        (Requantise("act", 1, leaky_table(5, 0)), MaxPool("pool", Windows.disjoint(1)), FLATTEN, HEAD_4),
    ),
    "a decreasing table, pooled": (
        (2, 4, 4),
        (Requantise("act", 1, Table(-8, -np.arange(-8, 9))), *POOL, HEAD_8),
    ),
    "the sign of an activation": (
        (3,),
        (Linear("head", 3, 1, 4, 6), Requantise("act", 4, leaky_table(6, 0))),
    ),
    "no weights at all": ((1, 1, 1), (FLATTEN,)),
}


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("name", CHAINS)
def test_every_chain_of_layers_is_provable(name: str, frames: int) -> None:
    shape, layers = CHAINS[name]
    program = Program.chain(shape, -16, 15, (*layers, DECISION))
    weights = random_weights(program, 5, 2, 2)
    features = random_features(program, frames, 6)
    circuit = compile_program(program, frames)
    stage_one = circuit.stage_one(weights, features)
    assert objections(circuit, stage_one) == set()
    if frames == 1:
        flipped = replace(stage_one, outputs=1 - stage_one.outputs)
        assert objections(circuit, flipped)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("lie", [no_entry, not_the_largest, the_first_is_lost])
@pytest.mark.parametrize(
    "name", [name for name in CHAINS if "pool" in name and "sums requantised" not in name]
)
def test_false_maxima_are_caught_wherever_they_are_taken(name: str, lie: Lie, frames: int) -> None:
    shape, layers = CHAINS[name]
    program = Program.chain(shape, -16, 15, (*layers, DECISION))
    circuit = compile_program(program, frames)
    weights, features = random_weights(program, 5, 2, 2), random_features(program, frames, 6)
    purposes = objections(circuit, false_maxima(lie)(circuit, circuit.stage_one(weights, features)))
    caught_by = "pool: one factor is 0" if lie is no_entry else "pool: differences"
    assert purposes
    assert all(caught_by in purpose for purpose in purposes), purposes


def test_pairs_are_looked_up_for_the_largest_of_each_window_only() -> None:
    def pairs(table: Table) -> int:
        layers = (Requantise("act", 1, table), *POOL, HEAD_8, DECISION)
        groups = compile_program(Program.chain((2, 4, 4), -16, 15, layers)).lowered.groups
        return next(group.count for group in groups if group.purpose == "act: activations: pairs")

    assert pairs(Table(-8, np.arange(-8, 9))) == 8
    assert pairs(Table(-8, -np.arange(-8, 9))) == 32


@pytest.mark.parametrize(
    ("window", "objecting"),
    [
        ((-8, -8, 7, 7), None),
        ((-9, -9, 0, -9), None),
        ((-9, -9, -9, -9), "act: activations"),
        ((8, 0, 0, 0), "act: activations"),
        ((7, -9, 7, 7), "pool: differences"),
        ((-9, 7, 7, 7), "pool: differences"),
    ],
)
def test_only_the_largest_quotient_of_a_window_must_be_in_the_table(
    window: tuple[int, ...], objecting: str | None
) -> None:
    """One below the domain changes nothing; the inference refuses it all the same."""
    layers = (Requantise("act", 2, Table(-8, np.arange(-8, 8))), *POOL, HEAD_1, DECISION)
    program = Program.chain((1, 2, 2), -60, 60, layers)
    circuit = compile_program(program)
    weights = Weights(program, {"head": np.array([[3]])}, {"head": np.array([2])}, 1)
    honest = circuit.stage_one(weights, np.zeros((1, 1, 2, 2), np.int64))
    features = 4 * np.array(window).reshape(1, 1, 2, 2)
    purposes = objections(circuit, continued(circuit, honest, features=features))
    if objecting is None:
        assert not purposes
    else:
        assert all(objecting in purpose for purpose in purposes)
        assert purposes
    if any(not -8 <= q <= 7 for q in window):
        with pytest.raises(RangeError, match=r"act \(quotient\)"):
            circuit.stage_one(weights, features)


def test_differences_are_not_stretched() -> None:
    """That they are integers is for their lookup to show: a table of twice the size would accept a half."""
    layers = (
        Convolution("conv", 1, 1, Windows.square(1, 1, 0), 4, 4),
        Requantise("act", 4, Table(-4, np.arange(-4, 4))),
        *POOL,
        HEAD_4,
        DECISION,
    )
    program = Program.chain((1, 4, 4), -8, 7, layers)
    circuit = compile_program(program)
    assert {argument.table.size for argument in circuit.compiled.matrix_program.arguments} >= {8, 16}
    for _, lookup in circuit.compiled.matrix_program.lookups():
        if lookup.name == "pool: differences":
            assert (abs(lookup.columns[0].coefficients) == 1).all()
    honest = circuit.stage_one(random_weights(program, 2, 6, 6), random_features(program, 1, 3))
    assert objections(circuit, honest) == set()
    purposes = objections(circuit, wrapping_entry(8)(circuit, honest))
    assert purposes
    assert all("pool: differences" in purpose for purpose in purposes), purposes


def test_plain_interpreter_agrees_with_the_inference() -> None:
    case = small_case(3)
    ours = run(case.program, Parameters.of(case.program, case.weights.flat()), case.features)
    theirs = trace(case.program, case.weights, case.features).layers
    for left, right in zip(ours, theirs, strict=True):
        assert (left.output == right.output).all()


@pytest.mark.parametrize("low", [-2047, -2048, -3000, 0])
def test_features_of_wide_ranges_are_accepted_to_their_ends(low: int) -> None:
    program = Program.chain((4,), low, 2999, (Linear("head", 4, 1, 8, 20), DECISION))
    weights = random_weights(program, 1)
    circuit = compile_program(program)
    ends = np.array([[low, 2999, 0, 2998]])
    honest = circuit.stage_one(weights, ends)
    assert objections(circuit, honest) == set()
    for beyond in (low - 1, 3000, 1 << 20, -(1 << 40)):
        features = ends.astype(np.float64)
        features[0, 1] = beyond
        assert any(
            "features" in purpose
            for purpose in objections(circuit, continued(circuit, honest, features=features))
        )


@pytest.mark.parametrize("logit", [-31, -1, 0, 1, 30])
def test_decision_is_exact_at_zero(logit: int) -> None:
    program = Program.chain((1,), -16, 15, (Linear("head", 1, 1, 4, 6), DECISION))
    weights = Weights(program, {"head": np.array([[1]])}, {"head": np.array([logit - 1])}, 1)
    circuit = compile_program(program)
    honest = circuit.stage_one(weights, np.array([[1]]))
    assert list(honest.outputs) == [int(logit > 0)]
    assert objections(circuit, honest) == set()
    other = continued(circuit, honest, outputs=1 - honest.outputs)
    assert all("decision: margin" in purpose for purpose in objections(circuit, other))
    assert objections(circuit, other)


def test_no_committed_wire_is_free() -> None:
    """Whichever wire of stage one changes, some row objects."""
    case = small_case()
    circuit = compile_program(case.program)
    honest = circuit.stage_one(case.weights, case.features)

    def changed(values: Integers, index: int) -> Integers:
        copy = values.copy()
        copy[index] += 1
        return copy

    for name in ("outputs", "in_", "w", "aux"):
        values = getattr(honest, name)
        for index in range(len(values)):
            forged = replace(honest, **{name: changed(values, index)})
            assert objections(circuit, forged), f"{name}[{index}] is free"


def test_no_wire_of_stage_two_is_free() -> None:
    case = small_case()
    circuit = compile_program(case.program)
    stage_one = circuit.stage_one(case.weights, case.features)
    wires = all_columns(circuit, stage_one, random_challenges())
    one = scalars.from_integers([1])
    span = circuit.system.segments.span("priv")
    for index in range(span.start, span.stop):
        forged = wires.copy()
        forged[index : index + 1] = scalars.add(forged[index : index + 1], one)
        assert len(broken_rows(circuit.system, forged)), f"wire {index} is free"


@pytest.mark.parametrize("position", [0, 1, 2])
def test_second_stage_depends_on_every_challenge(position: int) -> None:
    case = small_case()
    circuit = compile_program(case.program)
    stage_one = circuit.stage_one(case.weights, case.features)
    challenges = list(random_challenges())
    none = scalars.zeros(0)
    before = circuit.second_stage(stage_one, (challenges[0], challenges[1], challenges[2]), none)
    challenges[position] += 1
    after = circuit.second_stage(stage_one, (challenges[0], challenges[1], challenges[2]), none)
    assert (before != after).any()
