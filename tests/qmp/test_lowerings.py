"""Every lowering accepts what is true, costs what it predicts, and refuses every forgery."""

from __future__ import annotations

import pytest

from pvcnn.program.layers import Convolution
from pvcnn.program.windows import Windows
from pvcnn.qmp import lower_convolution, lower_every_product, lower_matmul, lower_polynomials
from pvcnn.qmp.challenges import CHALLENGES
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.lowering_plan import Lowering, option
from pvcnn.qmp.matrix_program import ConvolutionProduct, MatrixProduct
from pvcnn.qmp.peeling import wires_without_position
from tests.qmp.bare_products import PURE
from tests.qmp.forging import wrong_product
from tests.qmp.graph_moves import swapped_channels
from tests.qmp.moves import MOVES
from tests.qmp.oracle import objections
from tests.qmp.programs import (
    GENERAL_WINDOWS,
    PRODUCT_IS_WRONG,
    Case,
    convolution_case,
    small_case,
    windows_case,
)

GEOMETRIES = [
    (2, (3, 7, 6), 4, 3, 1, 1),
    (2, (2, 8, 9), 3, 3, 2, 1),
    (1, (2, 9, 9), 3, 3, 2, 0),
    (1, (1, 11, 10), 2, 5, 3, 2),
    (1, (2, 8, 8), 2, 3, 2, 2),
    (1, (2, 6, 6), 2, 1, 1, 3),
    (2, (1, 7, 7), 1, 1, 3, 0),
    (1, (1, 4, 4), 1, 4, 1, 0),
    (1, (2, 1, 1), 3, 3, 1, 1),  # all but one kernel entry meet padding alone
    (1, (1, 2, 2), 1, 1, 5, 3),  # meets nothing but padding
]
#: Whose rows a product's are.
GADGETS = (
    "powers",
    lower_matmul.GADGET,
    lower_convolution.GADGET,
    lower_polynomials.GADGET,
    lower_every_product.GADGET,
)

each_lowering = pytest.mark.parametrize("lowering", PURE, ids=lambda lowering: lowering.value)


def of_case(case: Case, lowering: Lowering) -> ProgramCircuit:
    return compile_program(case.program, case.frames, lowering)


@pytest.mark.parametrize("lowering", Lowering, ids=lambda lowering: lowering.value)
@pytest.mark.parametrize(("frames", "shape", "outputs", "kernel", "stride", "padding"), GEOMETRIES)
def test_truth_of_every_geometry_is_accepted_at_the_predicted_cost(
    frames: int,
    shape: tuple[int, int, int],
    outputs: int,
    kernel: int,
    stride: int,
    padding: int,
    lowering: Lowering,
) -> None:
    check_truth_and_cost(convolution_case(frames, shape, outputs, kernel, stride, padding), lowering)


@pytest.mark.parametrize("lowering", Lowering, ids=lambda lowering: lowering.value)
@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize(("windows", "groups"), GENERAL_WINDOWS)
def test_rectangles_dilation_groups_and_padding_on_one_side(
    windows: Windows, groups: int, frames: int, lowering: Lowering
) -> None:
    case = windows_case(windows, groups, frames)
    check_truth_and_cost(case, lowering)
    made = of_case(case, lowering)
    honest = made.stage_one(case.weights, case.features)
    for move in (wrong_product(Convolution), swapped_channels(Convolution)):
        objecting = objections(made, move(made, honest))
        assert objecting
        assert objecting <= PRODUCT_IS_WRONG
    chosen = dict(made.plan.products())["conv"]
    assert lowering in (chosen, Lowering.AUTO)


def check_truth_and_cost(case: Case, lowering: Lowering) -> None:
    """The true witness satisfies all rows, and there are as many as predicted."""
    made = of_case(case, lowering)
    assert objections(made, made.stage_one(case.weights, case.features)) == set()
    assert len(wires_without_position(made.system)) == 0
    chosen = [
        option(gate, choice.lowering)
        for gate, choice in zip(made.plan.program.gates, made.plan.choices, strict=True)
        if choice is not None and isinstance(gate, MatrixProduct | ConvolutionProduct)
    ]
    powers = max(0, max(cost.highest_power for cost in chosen) - 1)
    counts = made.counts()
    of_products = sum(counts.get(gadget, 0) for gadget in GADGETS)
    bound = len(CHALLENGES)
    assert of_products == bound + powers + sum(cost.rows for cost in chosen)


@each_lowering
@pytest.mark.parametrize("name", MOVES)
def test_every_forgery_is_caught_by_the_attacked_gadget(name: str, lowering: Lowering) -> None:
    case = small_case(2)
    made = of_case(case, lowering)
    honest = made.stage_one(case.weights, case.features)
    objecting = objections(made, MOVES[name].move(made, honest))
    assert objecting, "the forgery passes"
    others = {purpose for purpose in objecting if MOVES[name].caught_by not in purpose}
    if lowering is Lowering.QPP and ("half" in name or "wraps" in name):
        others -= {"conv: both sides agree"}  # integers in the overhang don't follow from fractions
    assert not others, objecting
    assert any(MOVES[name].caught_by in purpose for purpose in objecting)
