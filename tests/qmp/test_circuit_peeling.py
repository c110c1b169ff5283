"""Columns that depend on each other are found, and get rows of their own."""

from __future__ import annotations

import numpy as np
import pytest

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.peeling import wires_without_position
from pvcnn.qmp.powers import bind_challenges
from pvcnn.qmp.system import Segments, SparseMatrix
from tests.qmp.programs import demo_program, small_case

#: pub: 1, rho, theta, chi, one output; in: 5, 6; w: 7; aux: 8.
SEGMENTS = Segments(5, 2, 1, 1, 0)


def wires(*indices: int) -> Combinations:
    return Combinations.of_wires(np.array(indices))


def builder_with_bound_public_wires() -> ConstraintBuilder:
    builder = ConstraintBuilder(SEGMENTS)
    bind_challenges(builder)
    builder.constrain("test", "constant and output", wires(0, 4), wires(0, 0), wires(0, 4))
    return builder


def test_two_features_that_only_occur_as_a_sum_depend_on_each_other() -> None:
    builder = builder_with_bound_public_wires()
    both = wires(5) + wires(6)
    builder.constrain("test", "sum", both, wires(7), wires(8))
    assert list(wires_without_position(builder.finish())) == [5, 6]
    builder.own_rows(np.array([5, 6]))
    assert len(wires_without_position(builder.finish())) == 0


def test_a_feature_that_occurs_nowhere_is_found() -> None:
    builder = builder_with_bound_public_wires()
    builder.constrain("test", "product", wires(5), wires(7), wires(8))
    assert list(wires_without_position(builder.finish())) == [6]


def test_a_feature_that_hides_behind_an_output_is_found() -> None:
    """Adding 1 to wire 5 and subtracting 1 from output 4 changes nothing: peeling must not pass it."""
    builder = ConstraintBuilder(SEGMENTS)
    bind_challenges(builder)
    builder.constrain("test", "constant", wires(0), wires(0), wires(0))
    builder.constrain("test", "sum", wires(4) + wires(5), wires(7), wires(8))
    builder.constrain("test", "product", wires(6), wires(7), wires(8))
    assert list(wires_without_position(builder.finish())) == [4, 5]


def test_peeling_takes_as_many_rounds_as_it_needs() -> None:
    """Wire 6 is alone only once 5, which is alone somewhere, has been taken away."""
    builder = builder_with_bound_public_wires()
    builder.constrain("test", "sum", wires(5) + wires(6), wires(7), wires(8))
    builder.constrain("test", "alone", wires(5), wires(7), wires(8))
    assert len(wires_without_position(builder.finish())) == 0


def test_columns_of_compiled_programs_are_independent() -> None:
    for program in (small_case().program, demo_program()):
        assert len(wires_without_position(compile_program(program).system)) == 0


@pytest.mark.parametrize("published", [False, True])
def test_every_challenge_is_alone_in_a_row_of_a(published: bool) -> None:
    """docs/security-argument.md, Theorem 1 (b), needs it: a D_s that contains A would have to foresee it."""
    case = small_case()
    a = compile_program(case.program, published=case.weights if published else None).system.a
    for challenge in (1, 2, 3):
        rows = np.flatnonzero(np.diff(a.starts) == 1)
        assert (a.columns[a.starts[rows]] == challenge).any()


def test_no_wire_occurs_twice_in_a_row_and_no_coefficient_is_zero() -> None:
    system = compile_program(small_case(2).program, 2).system

    def check(matrix: SparseMatrix) -> None:
        rows = np.repeat(np.arange(matrix.rows), np.diff(matrix.starts))
        places = rows * system.segments.total + matrix.columns
        assert (np.diff(places) > 0).all()
        assert (matrix.coefficients != 0).all()

    for matrix in (system.a, system.b, system.c):
        check(matrix)
