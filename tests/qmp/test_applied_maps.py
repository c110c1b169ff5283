"""Columns that stand for linear functions of wires: as if every product were a coefficient of its row."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields, replace

import numpy as np
import pytest

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.program.layers import Convolution, Flatten, Linear, Logits, Requantise
from pvcnn.program.linear_maps import LinearMap
from pvcnn.program.program import Program
from pvcnn.program.windows import Windows
from pvcnn.qmp.applied_maps import column_sums, derived_values
from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.derived import Derivation
from pvcnn.qmp.matrix_program import Equality, MatrixProgram
from pvcnn.qmp.peeling import wires_without_position
from pvcnn.qmp.powers import bind_challenges
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.setup import Trapdoors, generate, keys_of_trapdoors
from pvcnn.qmp.system import ConstraintSystem, Segments, SparseMatrix, StageOne
from pvcnn.qmp.views import View
from tests.program.test_linear_maps import dense
from tests.qmp.circuits import sparse
from tests.qmp.graphs import graph_case
from tests.qmp.programs import Case, leaky_table, random_features, random_weights, small_case

Row = dict[int, int]


def rows_of(matrix: SparseMatrix) -> list[Row]:
    entries = list(zip(matrix.columns.tolist(), matrix.coefficients.tolist(), strict=True))
    return [dict(entries[a:b]) for a, b in zip(matrix.starts[:-1], matrix.starts[1:], strict=True)]


def combined(row: Row, meanings: list[Row]) -> Row:
    """A row with every column replaced by what it means, without coefficients that vanish."""
    sums: Row = defaultdict(int)
    for column, coefficient in row.items():
        for wire, factor in meanings[column].items():
            sums[wire] += coefficient * factor
    return {wire: value for wire, value in sorted(sums.items()) if value}


def meanings(system: ConstraintSystem) -> list[Row]:
    """For each column the combination of wires that it stands for: an entry for each product."""
    known: list[Row] = [{wire: 1} for wire in range(system.segments.total)]
    known += [{}] * (system.width - len(known))
    for each in system.applied:
        arguments = [combined(row, known) for row in rows_of(each.argument)]
        matrix = dense(each.map)
        frames = each.count // len(matrix)
        for frame in range(frames):
            inputs = arguments[frame * matrix.shape[1] : (frame + 1) * matrix.shape[1]]
            for output, coefficients in enumerate(matrix.tolist()):
                of_inputs = {place: value for place, value in enumerate(coefficients) if value}
                column = each.columns.start + frame * len(matrix) + output
                known[column] = combined(of_inputs, inputs)
    return known


def expanded(system: ConstraintSystem) -> ConstraintSystem:
    """The same constraints, with wires alone."""
    known = meanings(system)
    a, b, c = (
        sparse([combined(row, known) for row in rows_of(matrix)]) for matrix in (system.a, system.b, system.c)
    )
    return ConstraintSystem(system.segments, a, b, c)


def two_maps() -> Case:
    """A convolution of a convolution's output, and a linear layer behind, without a table between them."""
    layers = (
        Convolution("first", 1, 2, Windows.square(3, 1, 1), 4, 5),
        Convolution("second", 2, 2, Windows.square(2, 1, 0), 4, 5),
        Requantise("act", 4, leaky_table(10, 2)),
        Flatten("flatten"),
        Linear("head", 18, 2, 4, 6),
        Logits("logits"),
    )
    program = Program.chain((1, 4, 4), -8, 7, layers)
    return Case(program, random_weights(program, 5, 8, 16), random_features(program, 2, 6))


CASES = {
    "small": small_case(2),
    "two maps": two_maps(),
    "separable": graph_case("separable"),
    "branches": graph_case("branches"),
    "raw output twice": graph_case("raw_output_twice"),
}
each_case = pytest.mark.parametrize("name", CASES)


def system_of(case: Case) -> ConstraintSystem:
    return compile_program(case.program, case.frames, published=case.weights).system


def trapdoors() -> Trapdoors:
    gamma = {"pub": 13, "in": 17, "w": 19, "aux": 23}
    return Trapdoors(3, 5, 7, 11, gamma, {"in": 29, "w": 31, "aux": 37})


@each_case
def test_keys_are_those_of_the_expanded_constraints(name: str) -> None:
    """Every point, and which wires A and B have."""
    system = system_of(CASES[name])
    written_out = expanded(system)
    assert system.applied
    assert len(written_out.b.columns) > len(system.b.columns)
    assert len(wires_without_position(written_out)) == 0
    made, expected = (keys_of_trapdoors(each, bytes(32), 1, trapdoors())[0] for each in (system, written_out))
    for item in fields(ProvingKey):
        left, right = getattr(made, item.name), getattr(expected, item.name)
        assert np.array_equal(left, right) if isinstance(left, np.ndarray) else left == right, item.name


def values_by(known: list[Row], first: int, wires: list[int]) -> list[int]:
    return [
        sum(factor * wires[wire] for wire, factor in row.items()) % SCALAR_MODULUS for row in known[first:]
    ]


@each_case
@pytest.mark.parametrize("kind", ["true", "random", "large", "elements"])
def test_derived_values_are_what_they_stand_for(name: str, kind: str) -> None:
    """Whatever stage one holds: integers of every size, and field elements."""
    case = CASES[name]
    circuit = compile_program(case.program, case.frames, published=case.weights)
    system, segments = circuit.system, circuit.system.segments
    rng = np.random.default_rng(7)
    stage_one = circuit.stage_one(case.weights, case.features)
    counts = (segments.outputs, segments.in_, 0, segments.aux)
    if kind != "true":
        bound = {"random": 1 << 40, "large": (1 << 63) - 1, "elements": 1 << 20}[kind]
        drawn = [rng.integers(-bound, bound, count) for count in counts]
        stage_one = StageOne(*drawn)
    if kind == "elements":
        noise = [scalars.random(count) for count in counts]
        stage_one = StageOne(*noise)  # type: ignore[arg-type]
    parts = (stage_one.outputs, stage_one.in_, stage_one.w, stage_one.aux)
    known = [value for part in parts for value in scalars.to_integers(scalars.as_elements(part))]
    wires = [1, 0, 0, 0, *known, *[0] * segments.priv]
    expected = values_by(meanings(system), segments.total, wires)
    assert scalars.to_integers(derived_values(system, stage_one)) == expected


@each_case
def test_column_sums_are_the_transpose(name: str) -> None:
    """<M z, y> = <z, M^T y> for random z and y over F_r, with the derived values of z in M z."""
    system = system_of(CASES[name])
    segments = system.segments
    stage_one = StageOne(
        *(scalars.random(count) for count in (segments.outputs, segments.in_, 0, segments.aux))  # type: ignore[arg-type]
    )
    derived = derived_values(system, stage_one)
    parts: list[ScalarVector] = [stage_one.outputs, stage_one.in_, stage_one.w, stage_one.aux]  # type: ignore[list-item]
    fixed = np.concatenate([scalars.element(1), scalars.zeros(3)])
    wires = np.concatenate([fixed, *parts, scalars.random(segments.priv)])
    y = scalars.random(system.constraints)
    for matrix in (system.a, system.b, system.c):
        left = scalars.dot(matrix.checked.times(np.concatenate([wires, derived])), y)
        assert left == scalars.dot(wires, column_sums(system, matrix, y))


def doubled(argument: View) -> Derivation:
    """Twice each of the argument's two entries."""
    twice = LinearMap(np.array([[[[2]]]]), Windows.square(1), 1, (1, 1, 2), (1, 1, 2))
    return Derivation("twice", twice, argument.reshape(1, 1, 1, 2), np.array([-2, -1]))


AUX = View.of_wires(np.array([4, 5]), 0, 9)


class TestIndependence:
    def system(self, own_row: bool) -> ConstraintSystem:
        """Two wires that a derived value stands for; its rows are theirs only if they are looked into."""
        builder = ConstraintBuilder(Segments(4, 0, 0, 2, 0), [doubled(AUX)])
        bind_challenges(builder)
        twice = Combinations.of_wires(np.array([-2, -1]))
        builder.quotients("test", "test", Combinations.of_wires(np.array([2, 2])), twice)
        builder.own_rows(np.array([0, 4, 5] if own_row else [0]))
        return builder.finish()

    def test_a_row_with_a_derived_value_is_nobodys(self) -> None:
        assert wires_without_position(self.system(own_row=False)).tolist() == [4, 5]
        assert wires_without_position(self.system(own_row=True)).tolist() == []
        with pytest.raises(ValueError, match="linearly"):
            generate(self.system(own_row=False), bytes(32), 1)

    def test_a_wire_beside_a_derived_value_does_not_own_the_place(self) -> None:
        """x and 2 x + z at one position: that z is alone among the wires there shows nothing."""
        builder = ConstraintBuilder(Segments(4, 0, 0, 2, 0), [doubled(AUX)])
        bind_challenges(builder)
        beside = Combinations.of_wires(np.array([5])) + Combinations.of_wires(np.array([-2]))
        one = Combinations.of_constants(np.ones(1, np.int64))
        builder.constrain("test", "test", beside, one, Combinations.zero(1))
        assert 5 in wires_without_position(builder.finish())


class TestMatrixPrograms:
    """What is refused: see MatrixProgram."""

    SEGMENTS = Segments(4, 0, 0, 2, 0)

    def test_derived_values_that_there_are_not(self) -> None:
        unknown = View.of_wires(np.array([-3]), 0, 1)
        gate = Equality("gate", unknown, unknown)
        with pytest.raises(ValueError, match="gate: an operand is not"):
            MatrixProgram(self.SEGMENTS, (gate,), (), (doubled(AUX),))

    def test_maps_of_their_own_values(self) -> None:
        itself = View.of_wires(np.array([-2, -1]), 0, 1)
        with pytest.raises(ValueError, match="twice: an operand is not"):
            MatrixProgram(self.SEGMENTS, (), (), (doubled(itself),))

    def test_maps_of_challenges(self) -> None:
        with pytest.raises(ValueError, match="twice: an operand is not"):
            MatrixProgram(self.SEGMENTS, (), (), (doubled(View.of_wires(np.array([1, 2]), 0, 1)),))

    def test_sums_that_wrap_around(self) -> None:
        large = View.of_wires(np.array([4, 5]), 0, SCALAR_MODULUS // 4 + 1)
        with pytest.raises(ValueError, match="twice: values may reach"):
            MatrixProgram(self.SEGMENTS, (), (), (doubled(large),))
        MatrixProgram(self.SEGMENTS, (), (), (doubled(replace(large, high=SCALAR_MODULUS // 4)),))

    def test_numbers_out_of_order(self) -> None:
        moved = replace(doubled(AUX), wires=np.array([-3, -2]))
        with pytest.raises(ValueError, match="twice: derived values are not numbered"):
            MatrixProgram(self.SEGMENTS, (), (), (moved,))
