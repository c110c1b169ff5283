"""A product by itself under each lowering: every wrong entry is seen, whatever else is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.bench.products import (
    ConvolutionShape,
    MatrixShape,
    ProductCircuit,
    ProductShape,
    circuit,
    operands,
    predicted,
)
from pvcnn.program.windows import Windows
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.lower_polynomials import Overhang
from pvcnn.qmp.lowering_plan import Lowering
from pvcnn.qmp.matrix_program import ConvolutionProduct
from pvcnn.qmp.polynomial_layout import PolynomialLayout
from pvcnn.qmp.system import StageOne
from tests.qmp.bare_products import SHAPES, each_product
from tests.qmp.forging import placed
from tests.qmp.oracle import all_columns, broken_rows, objections, random_challenges, residuals
from tests.qmp.programs import GENERAL_WINDOWS, windows_case

#: Convolutions with an overhang; the one called "groups" has none.
OVERHANGING = ("convolution", "stride", "rectangles", "depthwise")


@each_product
def test_the_truth_is_accepted_at_the_predicted_cost(shape: ProductShape, lowering: Lowering) -> None:
    made = circuit(shape, lowering)
    assert objections(made, made.stage_one(operands(shape))) == set()
    own_rows = sum(group.count for group in made.lowered.groups if group.gadget == "independence")
    assert made.system.constraints == predicted(shape, lowering) + own_rows


@each_product
def test_every_wrong_entry_is_seen_and_no_two_alike(shape: ProductShape, lowering: Lowering) -> None:
    """Errors by 1 leave differences in rows, or by powers of rho, of their own: they cannot cancel."""
    made = circuit(shape, lowering)
    honest = made.stage_one(operands(shape))
    result = operands(shape)[2].size
    places = [("outputs", 0), *(("aux", i) for i in range(result - 1))]
    if lowering is Lowering.QPP:
        places += [("aux", int(place)) for place in overhang_of(made)]
    assert len(places) == len(honest.outputs) + len(honest.aux)
    challenges, seen = random_challenges(), set()
    for segment, place in places:
        values = getattr(honest, segment).copy()
        values[place] += 1
        forged = replace(honest, **{segment: values})
        differences = residuals(made.system, all_columns(made, forged, challenges))
        (row,) = np.flatnonzero(~scalars.is_zero(differences))
        seen.add((int(row), scalars.to_integers(differences[row : row + 1])[0]))
    assert len(seen) == len(places)


@each_product
def test_swapped_entries_are_caught(shape: ProductShape, lowering: Lowering) -> None:
    left, right, result = operands(shape)
    wrong = result.reshape(-1).copy()
    first, second = 1, next(i for i in range(2, len(wrong)) if wrong[i] != wrong[1])
    wrong[[first, second]] = wrong[[second, first]]
    made = circuit(shape, lowering)
    forged = made.stage_one((left, right, wrong.reshape(result.shape)))
    assert objections(made, forged) == {"product: both sides agree"}


def at_challenges(made: ProductCircuit, stage_one: StageOne, rho: int) -> bool:
    """Does a witness satisfy every row where rho is known beforehand?"""
    return len(broken_rows(made.system, all_columns(made, stage_one, (rho, 5, 7)))) == 0


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


def overhang_of(made: ProductCircuit) -> np.ndarray:
    """Where, within aux, the coefficients beyond the outputs are."""
    (hint,) = (hint for hint in made.plan.compiled.hints if isinstance(hint, Overhang))
    return np.asarray(hint.wires - made.system.segments.span("aux").start)


def test_the_overhang_is_that_of_a_full_convolution() -> None:
    places = overhang_of(circuit(ConvolutionShape(2, 3, 5), Lowering.QPP))
    assert len(places) == 3 * (7 * 7 - 5 * 5)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize(("windows", "groups"), GENERAL_WINDOWS)
def test_no_two_coefficients_share_a_power(windows: Windows, groups: int, frames: int) -> None:
    """Those of outputs and overhang, of all channels: else errors could cancel under every challenge."""
    case = windows_case(windows, groups, frames)
    gate = next(
        gate
        for gate in compile_program(case.program, frames, Lowering.QPP).plan.program.gates
        if isinstance(gate, ConvolutionProduct)
    )
    layout = PolynomialLayout.of(gate)
    of_channel = np.concatenate([layout.output_exponents, layout.overhang_exponents])
    assert 0 <= of_channel.min() <= of_channel.max() < layout.channel_pitch
    assert len(np.unique(of_channel)) == len(of_channel)
    assert len(layout.output_exponents) == frames * np.prod(gate.result.shape[2:])


@pytest.mark.parametrize("name", OVERHANGING)
def test_no_coefficient_beyond_the_outputs_balances_a_wrong_output(name: str) -> None:
    """It could if rho were known: that is what the overhang is committed for, before rho is drawn."""
    made, rho = circuit(SHAPES[name], Lowering.QPP), 31337
    honest = made.stage_one(operands(SHAPES[name]))
    (gate,) = made.plan.program.gates
    assert isinstance(gate, ConvolutionProduct)
    layout = PolynomialLayout.of(gate)
    ahead = int(layout.output_exponents[1] - layout.overhang_exponents[0])
    first = int(overhang_of(made)[0])
    aux = placed(honest.aux, 0, int(honest.aux[0]) + 1)  # output (0, 1): (0, 0) is public
    balanced = (int(honest.aux[first]) - pow(rho, ahead, SCALAR_MODULUS)) % SCALAR_MODULUS
    forged = replace(honest, aux=placed(aux, first, balanced))
    assert at_challenges(made, forged, rho)
    assert objections(made, forged) == {"product: both sides agree"}
