"""Every lowering accepts what is true, costs what it predicts, and refuses every forgery."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.bench.products import (
    ConvolutionShape,
    MatrixShape,
    ProductCircuit,
    ProductShape,
    circuit,
    compiled_product,
    operands,
    predicted,
)
from pvcnn.program.layers import Convolution
from pvcnn.program.windows import Windows
from pvcnn.qmp import lower_convolution, lower_every_product, lower_matmul, lower_polynomials
from pvcnn.qmp.challenges import CHALLENGES
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.lower_polynomials import Overhang
from pvcnn.qmp.lowering_plan import Lowering, option, plan_lowerings
from pvcnn.qmp.matrix_program import ConvolutionProduct, MatrixProduct
from pvcnn.qmp.peeling import wires_without_position
from pvcnn.qmp.polynomial_layout import PolynomialLayout
from pvcnn.qmp.system import StageOne
from tests.qmp.forging import placed, wrong_product
from tests.qmp.graph_moves import swapped_channels
from tests.qmp.moves import MOVES
from tests.qmp.oracle import broken_rows, elements, objections
from tests.qmp.programs import (
    GENERAL_WINDOWS,
    PRODUCT_IS_WRONG,
    Case,
    convolution_case,
    demo_program,
    small_case,
    windows_case,
)

PURE = (Lowering.QMP, Lowering.QPP, Lowering.QAP, Lowering.IM2COL)
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
SHAPES: list[ProductShape] = [
    MatrixShape.square(4),
    ConvolutionShape(2, 3, 5),
    ConvolutionShape(2, 3, 7, kernel=5, stride=2, padding=2),
    ConvolutionShape(4, 6, 6, kernel=2, stride=2, padding=1, dilation=3, groups=2),
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
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=["matrices", "convolution", "stride", "groups"])


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


def lowerings_of(shape: ProductShape) -> tuple[Lowering, ...]:
    return PURE if isinstance(shape, ConvolutionShape) else (Lowering.QMP, Lowering.QAP)


@pytest.mark.parametrize(
    ("shape", "lowering"), [(shape, lowering) for shape in SHAPES for lowering in lowerings_of(shape)]
)
def test_bare_products_are_accepted_and_any_wrong_entry_is_not(
    shape: ProductShape, lowering: Lowering
) -> None:
    made = circuit(shape, lowering)
    left, right, result = operands(shape)
    assert objections(made, made.stage_one((left, right, result))) == set()
    own_rows = sum(group.count for group in made.lowered.groups if group.gadget == "independence")
    assert made.system.constraints == predicted(shape, lowering) + own_rows
    for position in range(result.size):
        wrong = result.reshape(-1).copy()
        wrong[position] += 1
        forged = made.stage_one((left, right, wrong.reshape(result.shape)))
        assert objections(made, forged) == {"product: both sides agree"}


@each_shape
def test_swapped_entries_are_caught(shape: ProductShape) -> None:
    left, right, result = operands(shape)
    wrong = result.reshape(-1).copy()
    first, second = 1, next(i for i in range(2, len(wrong)) if wrong[i] != wrong[1])
    wrong[[first, second]] = wrong[[second, first]]
    for lowering in (Lowering.QMP, Lowering.QAP, Lowering.AUTO):
        made = circuit(shape, lowering)
        assert objections(made, made.stage_one((left, right, wrong.reshape(result.shape))))


def at_challenges(made: ProductCircuit, stage_one: StageOne, rho: int) -> bool:
    """Does a witness satisfy every row where rho is known beforehand?"""
    challenges = (rho, 5, 7)
    fixed = scalars.from_integers([1, *challenges])
    committed = (stage_one.outputs, stage_one.in_, stage_one.w, stage_one.aux)
    wires: ScalarVector = np.concatenate(
        [fixed, *map(elements, committed), made.second_stage(stage_one, challenges)]
    )
    return len(broken_rows(made.system, wires)) == 0


@pytest.mark.parametrize("lowering", [Lowering.QMP, Lowering.QPP, Lowering.IM2COL], ids=lambda x: x.value)
def test_errors_that_cancel_under_one_challenge_pass_under_that_one_only(lowering: Lowering) -> None:
    """Neighbouring outputs differ by a factor rho in their powers: errors rho and -1 cancel."""
    shape, rho = ConvolutionShape(2, 3, 5), 123456789
    made = circuit(shape, lowering)
    honest = made.stage_one(operands(shape))
    value, following = (int(honest.aux[i]) for i in (1, 2))
    aux = placed(honest.aux, 1, (value + rho) % SCALAR_MODULUS)
    forged = replace(honest, aux=placed(aux, 2, (following - 1) % SCALAR_MODULUS))
    assert at_challenges(made, forged, rho)
    assert not at_challenges(made, forged, rho + 1)
    assert objections(made, forged) == {"product: both sides agree"}


def test_errors_of_a_matrix_product_that_cancel_under_one_challenge() -> None:
    shape, rho = MatrixShape.square(4), 987654321
    made = circuit(shape, Lowering.QMP)
    honest = made.stage_one(operands(shape))
    lower = 4 - 1  # entry (1, 0), one row below the output, which is entry (0, 0)
    aux = placed(honest.aux, lower, (int(honest.aux[lower]) + rho) % SCALAR_MODULUS)
    below = lower + 4
    forged = replace(honest, aux=placed(aux, below, (int(honest.aux[below]) - 1) % SCALAR_MODULUS))
    assert at_challenges(made, forged, rho)
    assert objections(made, forged) == {"product: both sides agree"}


@pytest.fixture(scope="module")
def polynomial() -> ProductCircuit:
    return circuit(ConvolutionShape(2, 3, 5), Lowering.QPP)


def overhang_of(made: ProductCircuit) -> np.ndarray:
    """Where, within aux, the coefficients beyond the outputs are."""
    (hint,) = (hint for hint in made.plan.compiled.hints if isinstance(hint, Overhang))
    return np.asarray(hint.wires - made.system.segments.span("aux").start)


def test_any_wrong_coefficient_beyond_the_outputs_is_caught(polynomial: ProductCircuit) -> None:
    honest = polynomial.stage_one(operands(ConvolutionShape(2, 3, 5)))
    places = overhang_of(polynomial)
    assert len(places) == 3 * (7 * 7 - 5 * 5)
    for place in places:
        aux = honest.aux.copy()
        aux[place] += 1
        assert objections(polynomial, replace(honest, aux=aux)) == {"product: both sides agree"}


def test_no_coefficient_beyond_the_outputs_balances_a_wrong_output(polynomial: ProductCircuit) -> None:
    """It could if rho were known: that is what the overhang is committed for, before rho is drawn."""
    rho, honest = 31337, polynomial.stage_one(operands(ConvolutionShape(2, 3, 5)))
    layout = PolynomialLayout.of(ConvolutionShape(2, 3, 5).gate(*polynomial.plan.program.gates[0].operands()))
    ahead = int(layout.output_exponents[1] - layout.overhang_exponents[0])
    first = int(overhang_of(polynomial)[0])
    aux = placed(honest.aux, 0, int(honest.aux[0]) + 1)  # output (0, 1): (0, 0) is public
    balanced = (int(honest.aux[first]) - pow(rho, ahead, SCALAR_MODULUS)) % SCALAR_MODULUS
    forged = replace(honest, aux=placed(aux, first, balanced))
    assert at_challenges(polynomial, forged, rho)
    assert objections(polynomial, forged) == {"product: both sides agree"}


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
        (ConvolutionShape(8, 8, 1, kernel=1, padding=0), Lowering.QAP),
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
