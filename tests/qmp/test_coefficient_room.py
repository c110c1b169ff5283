"""Coefficients of views are int64: a program whose values are small may have ones that do not fit.

A coefficient that wrapped around would be another one: the circuit would prove another function than the
inference computes, and whoever wrote the program would know which.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pvcnn.errors import RangeError, VerificationError
from pvcnn.program.builder import ProgramBuilder
from pvcnn.program.inference import LayerTrace
from pvcnn.program.layers import AveragePool, Combine, Flatten, Logits, Requantise
from pvcnn.program.program import FEATURES, Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.table import Table
from pvcnn.program.weights import Weights
from pvcnn.program.windows import Windows
from pvcnn.qmp.api import setup
from pvcnn.qmp.builder import MAX_COLUMNS, ConstraintBuilder, compress
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.system import Segments
from pvcnn.qmp.verifier import verify
from pvcnn.qmp.views import FEW_TERMS, View
from pvcnn.qmp.witness import fill_stage_one

#: Together 2^59: what they make of a bit has 60 bits.
FACTORS = (1 << 16, 1 << 16, 1 << 16, 1 << 11)
COUNT = 300


def far_beyond_its_table() -> Program:
    """A bit times 2^59, requantised: only 0 has a quotient in the table. Remainders have a large table to
    share, for which their factor would be 128.
    """
    network = ProgramBuilder((COUNT,), 0, 255)
    other = network.add(Requantise("other", 8, Table(0, np.arange(2))), FEATURES)
    value = network.add(Requantise("bit", 0, Table(0, np.minimum(np.arange(256), 1))), FEATURES)
    for i, factor in enumerate(FACTORS):
        value = network.add(Combine(f"times{i}", (factor,)), value)
    act = network.add(Requantise("act", 1, Table(-2, np.array([0, 0, 7, 7, 7]))), value)
    network.add(Logits("logits"), network.add(Combine("sum", (1, 1)), other, act))
    return network.finish()


def test_a_multiple_of_a_remainder_does_not_wrap_around() -> None:
    """With 2^59 * 128 = 2^66 = 0 the quotient 0 would do for a bit that is 1."""
    program = far_beyond_its_table()
    weights = Weights(program, {}, {}, 3)
    part = PublicPart(program, weights)
    features = np.full((1, COUNT), 200)
    with pytest.raises(RangeError, match="act"):
        part(features)
    nothing = np.zeros_like(features)
    layers = [
        LayerTrace(nothing + 1, nothing + 1, features - 128),
        LayerTrace(nothing + 1, features, nothing),
    ]
    value = nothing + 1
    for factor in FACTORS:
        value = value * factor
        layers.append(LayerTrace(value))
    layers += [LayerTrace(nothing + 7, nothing, nothing), LayerTrace(nothing + 8), LayerTrace(nothing + 8)]
    circuit = compile_program(program)
    none = np.zeros(0, np.int64)
    forged = fill_stage_one(circuit.compiled, nothing + 8, features, none, layers, none)
    proving_key, key = setup(part)
    proof = prove_witness(proving_key, circuit, forged, b"", weights.blinding, check=False)
    with pytest.raises(VerificationError):
        verify(key, proof.statement, proof)


@pytest.mark.parametrize("of", ["wires", "a constant"])
def test_multiples_of_nothing_are_refused(of: str) -> None:
    """Their bounds are 0 and 0, whatever the factors; a number beyond 2^63 would make them no 0."""
    network = ProgramBuilder((2,), 0, 1)
    three, one = (
        network.add(Requantise(f"always{n}", 0, Table(0, np.array([n, n]))), FEATURES) for n in (3, 1)
    )
    less_three = Combine("nothing", (1, -3)) if of == "wires" else Combine("nothing", (1, 1), -4)
    value = network.add(less_three, three, one)
    for i in range(5):
        value = network.add(Combine(f"times{i}", (65535,)), value)
    network.add(Logits("logits"), value)
    program = network.finish()
    assert program.ranges[-1] == (0, 0)
    with pytest.raises(ValueError, match="times3: coefficients of what was computed without requantising"):
        compile_program(program)


def test_views_have_room() -> None:
    most = (1 << 63) - 1
    view, half = View.of_constant(most, (2,)), View.of_constant(1 << 62, (2,))
    wire = View.of_wires(np.array([7]), 0, 0)
    attempts: tuple[Callable[[], View], ...] = (
        lambda: view.shifted(1),
        lambda: view.scaled(2),
        lambda: half.plus(half),
        lambda: half.sum_last(),
        lambda: wire.scaled(1 << 32).scaled(-(1 << 31)),
    )
    for wraps in attempts:
        with pytest.raises(OverflowError, match="2\\^63"):
            wraps()
    assert view.scaled(-1).constants.tolist() == [-most] * 2


def test_sums_of_a_wires_coefficients_have_room() -> None:
    both = np.full(2, 5)
    fits, too_large = (
        Combinations(1, np.zeros(2, np.int64), both, np.array([1 << 61, last])) for last in (1 << 61, 1 << 62)
    )
    assert compress(fits, "fits").coefficients.tolist() == [1 << 62]
    with pytest.raises(ValueError, match="too large: coefficients of one wire"):
        compress(too_large, "too large")


@pytest.mark.parametrize("wires", [MAX_COLUMNS, MAX_COLUMNS + 1])
def test_wires_have_numbers_of_32_bits(wires: int) -> None:
    builder = ConstraintBuilder(Segments(wires, 0, 0, 0, 0))
    if wires == MAX_COLUMNS:
        assert builder.finish().width == wires
    else:
        with pytest.raises(ValueError, match="fewer frames"):
            builder.finish()


def test_sums_of_sums_have_as_many_terms_as_wires() -> None:
    """Not 6^6, and not 2^40 of 1600 bytes of program."""
    network = ProgramBuilder((2, 1, 3), 0, 1)
    value = FEATURES
    for i in range(6):
        value = network.add(Combine(f"twice{i}", (1, 1)), value, value)
        value = network.add(AveragePool(f"pool{i}", Windows((1, 3), (1, 1), (0, 0, 1, 1))), value)
    network.add(Logits("logits"), network.add(Flatten("flatten"), value))
    part = PublicPart(network.finish(), Weights(network.finish(), {}, {}, 3))
    features = np.array([[[[1, 0, 1]], [[0, 1, 0]]]])
    circuit = compile_program(part.program)
    outputs = part(features)
    assert circuit.stage_one(part.weights, features).outputs.tolist() == outputs[0].tolist()
    revealed = next(gate for gate in circuit.compiled.matrix_program.gates if gate.name == "logits: revealed")
    view = revealed.operands()[1]
    assert view.wires.shape[1] <= 3 * FEW_TERMS
    values = np.concatenate([np.zeros(4 + outputs.size, np.int64), features.reshape(-1)])
    assert view.evaluate(values).tolist() == outputs.tolist()


def test_merged_views_show_the_same() -> None:
    rng = np.random.default_rng(3)
    wires = rng.integers(-3, 4, (5, 40))
    coefficients, constants = rng.integers(-9, 9, (5, 40)), rng.integers(-9, 9, 5)
    view = View((5,), wires, coefficients, constants, -1000, 1000)
    merged = view.merged()
    assert merged.wires.shape[1] == 7
    values = rng.integers(-50, 50, 7)
    assert np.array_equal(merged.evaluate(values), view.evaluate(values))
    with pytest.raises(OverflowError, match="2\\^63"):
        View((1,), wires[:1], np.full((1, 40), 1 << 60), constants[:1], 0, 0).merged()
