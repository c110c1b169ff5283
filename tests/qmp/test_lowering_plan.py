"""Which lowering `auto` takes, and what each costs."""

from __future__ import annotations

import pytest

from pvcnn.bench.products import ConvolutionShape, MatrixShape, ProductShape, circuit, compiled_product
from pvcnn.program.windows import Windows
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.lowering_plan import Lowering, option, plan_lowerings
from pvcnn.qmp.matrix_program import MatrixProduct
from tests.qmp.bare_products import PURE, each_shape, lowerings_of
from tests.qmp.programs import demo_program


def test_auto_takes_the_cheapest_of_each_gate() -> None:
    program = demo_program()
    counts = {lowering: compile_program(program, 1, lowering).system.constraints for lowering in PURE}
    chosen = compile_program(program)
    assert chosen.system.constraints == 101734 < min(counts.values())
    assert dict(chosen.plan.products()) == {
        "conv2": Lowering.QMP,
        "conv3": Lowering.QMP,
        "conv4": Lowering.QMP,
        "head": Lowering.QAP,
    }
    assert counts[Lowering.QMP] < counts[Lowering.QPP] < counts[Lowering.IM2COL] < counts[Lowering.QAP]


@each_shape
def test_auto_is_no_dearer_than_any(shape: ProductShape) -> None:
    chosen = circuit(shape, Lowering.AUTO).system.constraints
    for lowering in lowerings_of(shape):
        margin = 1.05 if lowering is Lowering.QPP else 1.0
        assert chosen <= margin * circuit(shape, lowering).system.constraints


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (MatrixShape(1, 64, 16), Lowering.QAP),
        (MatrixShape(64, 16, 1), Lowering.QAP),
        (MatrixShape.square(8), Lowering.QMP),
        (ConvolutionShape(16, 32, 32), Lowering.QMP),
        (ConvolutionShape(512, 8, 4), Lowering.QPP),
        (ConvolutionShape(256, 64, 2), Lowering.QMP),  # 2% more constraints than QPP, and faster
        (ConvolutionShape(8, 8, 1, Windows.square(1)), Lowering.QAP),
    ],
)
def test_auto_chooses_by_shape(shape: ProductShape, expected: Lowering) -> None:
    ((_, chosen),) = plan_lowerings(compiled_product(shape), Lowering.AUTO).products()
    assert chosen is expected


def test_a_matrix_product_is_no_polynomial() -> None:
    (gate,) = circuit(MatrixShape.square(2), Lowering.QMP).plan.program.gates
    assert isinstance(gate, MatrixProduct)
    for lowering in (Lowering.QPP, Lowering.IM2COL):
        with pytest.raises(ValueError, match="has no lowering"):
            option(gate, lowering)
