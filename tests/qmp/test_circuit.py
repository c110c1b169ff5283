"""The circuit accepts what the program computes, and costs what it should."""

from __future__ import annotations

import numpy as np
import pytest

from pvcnn.errors import RangeError
from pvcnn.program.inference import trace
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.peeling import wires_without_position
from tests.qmp.oracle import objections
from tests.qmp.programs import Case, convolution_case, demo_program, random_weights, small_case


def circuit_of(case: Case) -> ProgramCircuit:
    return compile_program(case.program, case.frames)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_true_witness_satisfies_every_row(frames: int) -> None:
    case = small_case(frames)
    circuit = circuit_of(case)
    stage_one = circuit.stage_one(case.weights, case.features)
    expected = trace(case.program, case.weights, case.features).decisions
    assert (stage_one.outputs == expected).all()
    assert (stage_one.w == case.weights.flat()).all()
    assert (stage_one.in_ == case.features.ravel()).all()
    assert objections(circuit, stage_one) == set()


@pytest.mark.parametrize(
    ("frames", "shape", "outputs", "kernel", "stride", "padding"),
    [
        (2, (3, 7, 6), 4, 3, 1, 1),
        (2, (2, 8, 9), 3, 3, 2, 1),
        (1, (2, 9, 9), 3, 3, 2, 0),
        (1, (1, 11, 10), 2, 5, 3, 2),
        (1, (2, 8, 8), 2, 3, 2, 2),
        (1, (2, 6, 6), 2, 2, 1, 0),
        (1, (2, 6, 6), 2, 1, 1, 3),
        (2, (1, 7, 7), 1, 1, 3, 0),
        (1, (1, 4, 4), 1, 4, 1, 0),
        (1, (1, 2, 2), 1, 1, 5, 3),  # meets nothing but padding
    ],
)
def test_convolutions_of_every_geometry(
    frames: int, shape: tuple[int, int, int], outputs: int, kernel: int, stride: int, padding: int
) -> None:
    case = convolution_case(frames, shape, outputs, kernel, stride, padding)
    circuit = circuit_of(case)
    stage_one = circuit.stage_one(case.weights, case.features)
    assert objections(circuit, stage_one) == set()
    assert len(wires_without_position(circuit.system)) == 0


def test_demo_circuit_is_of_the_known_size() -> None:
    circuit = compile_program(demo_program())
    assert circuit.counts() == {
        "powers": 361,
        "convolution": 36094,
        "entrywise products": 5378,
        "products of scalars": 256,
        "lookups": 42975,
        "lookup tables": 16670,
    }
    assert circuit.system.constraints == sum(circuit.counts().values()) == 101734 < 1 << 17


def test_demo_circuit_accepts_a_frame() -> None:
    program = demo_program()
    features = np.random.default_rng(3).integers(-50, 50, (1, 8, 16, 16))
    weights = random_weights(program, 4, 30)
    circuit = compile_program(program)
    assert objections(circuit, circuit.stage_one(weights, features)) == set()


def test_wrong_batch_length_is_refused() -> None:
    case = small_case()
    with pytest.raises(ValueError, match="frames"):
        circuit_of(case).stage_one(case.weights, np.repeat(case.features, 2, axis=0))


def test_feature_out_of_range_is_named() -> None:
    case = small_case()
    features = case.features.copy()
    features[0, 1, 2, 3] = 16
    with pytest.raises(RangeError, match=r"features.*\(1, 2, 3\).*16"):
        circuit_of(case).stage_one(case.weights, features)


def test_circuits_are_cached() -> None:
    assert compile_program(small_case().program) is compile_program(small_case().program)
