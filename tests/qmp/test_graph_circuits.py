"""Circuits of programs that are no chains: true witnesses pass, false ones don't, and sizes are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvcnn.program.inference import trace
from pvcnn.program.layers import (
    AveragePool,
    Combine,
    Concatenate,
    Convolution,
    Flatten,
    Hadamard,
    Layer,
    Linear,
    Logits,
    MaxPool,
    Requantise,
)
from pvcnn.program.program import FEATURES, Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.windows import Windows
from pvcnn.qmp.api import prove, setup, verify
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.peeling import wires_without_position
from tests.qmp.forging import Parameters, run, wrong_product
from tests.qmp.graphs import GRAPHS, SAME, Network, graph_case
from tests.qmp.oracle import objections
from tests.qmp.programs import (
    GENERAL_WINDOWS,
    PRODUCT_IS_WRONG,
    Case,
    leaky_table,
    random_features,
    random_weights,
    windows_case,
)


def circuit_of(case: Case) -> ProgramCircuit:
    return compile_program(case.program, case.frames)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("name", GRAPHS)
def test_true_witness_satisfies_every_row(name: str, frames: int) -> None:
    case = graph_case(name, frames)
    circuit = circuit_of(case)
    stage_one = circuit.stage_one(case.weights, case.features)
    assert objections(circuit, stage_one) == set()
    assert len(wires_without_position(circuit.system)) == 0
    expected = trace(case.program, case.weights, case.features).outputs
    assert (stage_one.outputs == expected.reshape(-1)).all()


@pytest.mark.parametrize("name", GRAPHS)
def test_plain_interpreter_agrees_with_the_inference(name: str) -> None:
    case = graph_case(name, 3)
    ours = run(case.program, Parameters.of(case.program, case.weights.flat()), case.features)
    theirs = trace(case.program, case.weights, case.features).layers
    for left, right in zip(ours, theirs, strict=True):
        assert (left.output == right.output).all()


@pytest.mark.parametrize(
    ("name", "frames"), [("branches", 1), ("separable", 1), ("gated", 1), ("classes", 2), ("logits", 2)]
)
def test_proofs_verify(name: str, frames: int) -> None:
    case = graph_case(name, frames)
    part = PublicPart(case.program, case.weights)
    key, verification_key = setup(part, frames)
    proof = prove(key, part, case.features)
    verify(verification_key, proof.statement, proof)
    assert proof.statement.outputs == tuple(part(case.features).reshape(-1).tolist())


def test_no_committed_wire_is_free() -> None:
    """Whichever wire of stage one changes, some row objects."""
    for name in ("branches", "gated", "classes", "logits"):
        case = graph_case(name)
        circuit = circuit_of(case)
        honest = circuit.stage_one(case.weights, case.features)
        for part in ("outputs", "in_", "w", "aux"):
            for index in range(len(getattr(honest, part))):
                values = getattr(honest, part)
                values[index] += 1
                assert objections(circuit, honest), f"{name}: {part}[{index}] is free"
                values[index] -= 1


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize(("windows", "groups"), GENERAL_WINDOWS)
def test_convolutions_of_every_geometry(windows: Windows, groups: int, frames: int) -> None:
    case = windows_case(windows, groups, frames)
    circuit = circuit_of(case)
    stage_one = circuit.stage_one(case.weights, case.features)
    assert objections(circuit, stage_one) == set()
    objecting = objections(circuit, wrong_product(Convolution)(circuit, stage_one))
    assert objecting
    assert objecting <= PRODUCT_IS_WRONG


def head(features: int) -> tuple[Layer, Layer]:
    return Linear("head", features, 2, 3, 0), Logits("logits")


def test_a_depthwise_convolution_costs_what_a_dense_one_of_one_channel_does() -> None:
    """Weights that groups leave out cost nothing: |x| + |w| + |y| + 3 C Kh Kw, and powers."""
    channels, side = 8, 10
    layer = Convolution("conv", channels, channels, SAME, 8, 0, channels)
    program = Program.chain(
        (channels, side, side), -8, 7, (layer, Flatten("flatten"), *head(channels * side * side))
    )
    count = compile_program(program).counts()["convolution"]
    assert count <= 2 * channels * side**2 + 4 * channels * 9 + channels + 12


def comparisons(layer: MaxPool, side: int) -> int:
    tail = (Flatten("flatten"), Linear("head", outputs(layer, side), 1, 3, 0), Logits("logits"))
    program = Program.chain((1, side, side), -8, 7, (layer, *tail))
    groups = compile_program(program).lowered.groups
    return sum(group.count for group in groups if group.purpose == "pool: one factor is 0")


def outputs(layer: MaxPool, side: int) -> int:
    return int(np.prod(layer.windows.outputs(side, side)))


def test_windows_that_overlap_share_their_columns() -> None:
    """Each by itself would take eight comparisons, or less at an edge, where padding is left out."""
    assert comparisons(MaxPool("pool", Windows.square(3)), 10) == 8 * 10 * 2 + 8 * 8 * 2
    assert comparisons(MaxPool("pool", Windows.square(3, 2)), 9) == 4 * 9 * 2 + 4 * 4 * 2
    assert comparisons(MaxPool("pool", Windows.disjoint(3)), 9) == 9 * 8
    assert comparisons(MaxPool("pool", Windows.square(3, 1, 1)), 4) == 2 * 4 * (1 + 2 + 2 + 1)


def test_a_pool_is_moved_ahead_of_a_table_only_if_it_alone_takes_its_values() -> None:
    def pairs(alone: bool) -> int:
        network = Network((1, 4, 4), -8, 7)
        active = network.add(Requantise("act", 1, leaky_table(5, 0)), FEATURES)
        value = network.add(MaxPool("pool", Windows.disjoint(2)), active)
        if not alone:
            mean = network.add(AveragePool("mean", Windows.disjoint(2)), active)
            value = network.add(Combine("sum", (1, 1)), value, mean)
        groups = compile_program(network.decided(value)).lowered.groups
        return next(group.count for group in groups if group.purpose == "act: activations: pairs")

    assert (pairs(True), pairs(False)) == (4, 16)


@st.composite
def graphs(draw: st.DrawFn) -> Program:
    """A random program of up to eight nodes over maps of a few entries, all of them used."""
    network = Network((draw(st.integers(1, 2)), 3, 3), -4, 3)
    values = [FEATURES]
    for index in range(draw(st.integers(1, 6))):
        source = draw(st.sampled_from(values))
        kind = draw(st.sampled_from(["convolution", "depthwise", "max", "mean", "sum", "join", "product"]))
        name, alike = f"{kind}{index}", [v for v in values if network.shape(v) == network.shape(source)]
        if kind == "convolution":
            made = network.convolved(name, source, draw(st.integers(1, 2)))
        elif kind == "depthwise":
            made = network.convolved(name, source, network.shape(source)[0], groups=network.shape(source)[0])
        elif kind == "max":
            made = network.add(MaxPool(name, SAME), source)
        elif kind == "mean":
            sums = network.add(AveragePool(name, SAME), source)
            made = network.add(Requantise(f"{name}-act", 3, leaky_table(16, 5, -16, 15)), sums)
        elif kind == "sum":
            layer = Combine(name, (draw(st.sampled_from([-2, 1, 3])), 1))
            made = network.add(layer, source, draw(st.sampled_from(alike)))
        elif kind == "join":
            made = network.add(Concatenate(name), source, draw(st.sampled_from(values)))
        else:
            product = network.add(Hadamard(name), source, draw(st.sampled_from(alike)))
            made = network.add(Requantise(f"{name}-act", 2, leaky_table(16, 4, -16, 15)), product)
        values.append(made)
    joined = values[0] if len(values) == 1 else network.add(Concatenate("all"), *values)
    network.add(Logits("logits"), network.classified(joined, 2))
    return network.finish()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(graphs(), st.integers(0, 1 << 20))
def test_random_graphs_are_provable(program: Program, seed: int) -> None:
    case = Case(program, random_weights(program, seed, 2, 4), random_features(program, 1, seed, 2))
    circuit = compile_program(program)
    assert objections(circuit, circuit.stage_one(case.weights, case.features)) == set()
    assert Program.from_bytes(program.to_bytes()) == program
