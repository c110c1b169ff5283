"""Matrix programs refuse operands that a prover could choose late, and integers that could wrap."""

from __future__ import annotations

import numpy as np
import pytest

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.qmp.matrix_program import (
    Boolean,
    EntrywiseProduct,
    Equality,
    Gate,
    Lookup,
    LookupArgument,
    LookupTable,
    MatrixProduct,
    MatrixProgram,
    ZeroProduct,
)
from pvcnn.qmp.system import Segments
from pvcnn.qmp.views import View, concatenated

#: pub: 1, rho, theta, chi, one output; in: 5, 6; w: 7; aux: 8, 9.
SEGMENTS = Segments(5, 2, 1, 2, 0)


def view(*wires: int, high: int = 10) -> View:
    return View.of_wires(np.array([wires]), -high, high)


def gates_with(operand: View) -> list[Gate]:
    sound = view(5)
    return [
        MatrixProduct("gate", operand, sound, sound),
        MatrixProduct("gate", sound, operand, sound),
        MatrixProduct("gate", sound, sound, operand),
        EntrywiseProduct("gate", sound, sound, operand),
        ZeroProduct("gate", operand, sound),
        ZeroProduct("gate", sound, operand),
        Equality("gate", operand, sound),
        Equality("gate", sound, operand),
        Boolean("gate", operand),
    ]


@pytest.mark.parametrize("wire", [1, 2, 3, 10, -1], ids=["rho", "theta", "chi", "stage two", "nowhere"])
@pytest.mark.parametrize("kind", range(9))
def test_gate_operands_must_be_of_stage_one(wire: int, kind: int) -> None:
    for late in (view(wire), view(5).plus(view(wire))):
        with pytest.raises(ValueError, match="gate: an operand is not an affine view"):
            MatrixProgram(SEGMENTS, (gates_with(late)[kind],), ())


@pytest.mark.parametrize("wire", [1, 2, 3, 10])
def test_looked_up_values_must_be_of_stage_one(wire: int) -> None:
    table = LookupTable((np.arange(4), np.arange(4)))
    for columns in ((view(wire), view(5)), (view(5), view(wire))):
        argument = LookupArgument(table, (Lookup("lookup", columns),), np.array([9]))
        with pytest.raises(ValueError, match="lookup: an operand"):
            MatrixProgram(SEGMENTS, (), (argument,))


def test_stage_one_operands_are_accepted() -> None:
    for wire in (0, 4, 5, 7, 9):
        MatrixProgram(SEGMENTS, tuple(gates_with(view(wire))), ())


def test_values_that_may_wrap_around_are_refused() -> None:
    large = 1 << 127
    fits = MatrixProduct("gate", view(5, high=large), view(7, high=large // 4), view(8))
    MatrixProgram(SEGMENTS, (fits,), ())
    for left, right, result in (
        (large, large, 10),
        (10, 10, SCALAR_MODULUS // 2),
        (1 << 126, (1 << 128) - 1, SCALAR_MODULUS // 4),
    ):
        operands = (view(5, high=left), view(7, high=right), view(8, high=result))
        for gate in (MatrixProduct("gate", *operands), EntrywiseProduct("gate", *operands)):
            with pytest.raises(ValueError, match="gate: values may reach r/2"):
                MatrixProgram(SEGMENTS, (gate,), ())


def test_views_are_affine_and_carry_their_bounds() -> None:
    wires = np.arange(20, dtype=np.int64) ** 2
    x = View.of_wires(np.arange(12).reshape(3, 4), -3, 5)
    y = x.scaled(-2).shifted(7)
    assert (y.low, y.high) == (-3, 13)
    assert (y.evaluate(wires) == 7 - 2 * wires[:12].reshape(3, 4)).all()
    difference = x.minus(y)
    assert (difference.low, difference.high) == (-16, 8)
    assert (difference.evaluate(wires) == 3 * wires[:12].reshape(3, 4) - 7).all()
    assert (x[1:, ::-1].evaluate(wires) == wires[:12].reshape(3, 4)[1:, ::-1]).all()
    assert (y.sum_last().evaluate(wires) == y.evaluate(wires).sum(axis=1)).all()
    assert (y.sum_last().low, y.sum_last().high) == (-12, 52)


def test_views_can_be_put_one_after_another() -> None:
    wires = np.arange(40, dtype=np.int64) ** 2
    x = View.of_wires(np.arange(12).reshape(2, 3, 2), -3, 5)
    y = View.of_wires(np.arange(12, 16).reshape(2, 1, 2), 0, 9)
    y = y.plus(y.shifted(4).scaled(-3))
    both = concatenated((x, View.of_constant(7, (2, 2, 2)), y), 1)
    expected = np.concatenate([x.evaluate(wires), np.full((2, 2, 2), 7), y.evaluate(wires)], axis=1)
    assert both.shape == (2, 6, 2)
    assert (both.evaluate(wires) == expected).all()
    assert (both.low, both.high) == (min(x.low, y.low), max(7, x.high, y.high))


def test_entries_that_are_not_there_are_zero() -> None:
    wires = np.arange(4, dtype=np.int64)
    x = View.of_wires(wires, 3, 5).shifted(10)
    padded = x.take_or_zero(np.array([[-1, 3], [0, -1]]))
    assert padded.evaluate(wires).tolist() == [[0, 13], [10, 0]]
    assert (padded.low, padded.high) == (0, 15)


def test_equations_refuse_values_that_may_wrap_around() -> None:
    MatrixProgram(SEGMENTS, (Equality("gate", view(5), view(7)),), ())
    with pytest.raises(ValueError, match="gate: values may reach r/2"):
        MatrixProgram(SEGMENTS, (Equality("gate", view(5), view(7, high=SCALAR_MODULUS // 2)),), ())
