"""Forgeries of several values at once, chosen to cancel in any check that only looks at sums or multisets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.program.inference import LayerTrace
from pvcnn.program.layers import Convolution, Layer, Linear, MaxPool
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.hints import LowLimbs, Multiplicities
from pvcnn.qmp.system import StageOne
from tests.qmp.forging import continued
from tests.qmp.forging_activations import false_maxima
from tests.qmp.oracle import objections
from tests.qmp.programs import random_weights, small_case

Integers = NDArray[np.int64]
Change = Callable[[Integers], Integers]


@pytest.fixture(scope="module")
def circuit() -> ProgramCircuit:
    return compile_program(small_case(2).program, 2)


@pytest.fixture(scope="module")
def honest(circuit: ProgramCircuit) -> StageOne:
    case = small_case(2)
    return circuit.stage_one(case.weights, case.features)


def first(circuit: ProgramCircuit, kind: type[Layer]) -> int:
    return next(i for i, layer in enumerate(circuit.program.layers) if isinstance(layer, kind))


def forged(circuit: ProgramCircuit, honest: StageOne, layer: int, change: Change) -> StageOne:
    """The outputs of `layer` changed, and everything after it computed from the false ones."""

    def tamper(at: int, values: LayerTrace) -> LayerTrace:
        return replace(values, output=change(values.output.copy())) if at == layer else values

    return continued(circuit, honest, tamper=tamper)


def swap_first_unequal(axis: int) -> Change:
    """The first two unequal neighbours along an axis change places."""

    def change(values: Integers) -> Integers:
        moved = np.moveaxis(values, axis, 0)
        position = tuple(np.argwhere(moved[0] != moved[1])[0])
        moved[(0, *position)], moved[(1, *position)] = moved[(1, *position)], moved[(0, *position)]
        return values

    return change


@pytest.mark.parametrize("axis", range(4), ids=["frames", "channels", "rows", "columns"])
@pytest.mark.parametrize(
    ("kind", "objecting"),
    [(Convolution, "conv: both sides agree"), (MaxPool, "act: activations")],
    ids=["convolution", "activation"],
)
def test_two_values_that_change_places(
    circuit: ProgramCircuit, honest: StageOne, kind: type[Layer], objecting: str, axis: int
) -> None:
    """Sums, multisets of quotients and multisets of activations all stay the same."""
    purposes = objections(circuit, forged(circuit, honest, first(circuit, kind), swap_first_unequal(axis)))
    assert any(objecting in purpose for purpose in purposes), purposes


@pytest.mark.parametrize("axis", range(4), ids=["frames", "channels", "rows", "columns"])
def test_two_maxima_that_change_places(circuit: ProgramCircuit, honest: StageOne, axis: int) -> None:
    """With their activations: the lookups stay the same, differences and products do not."""

    def lie(larger: Integers, left: Integers, right: Integers, first: bool, last: bool) -> Integers:
        return swap_first_unequal(axis)(larger.copy()) if last else larger

    purposes = objections(circuit, false_maxima(lie)(circuit, honest))
    assert purposes
    assert all("pool: " in purpose for purpose in purposes), purposes


@pytest.mark.parametrize("axis", range(2), ids=["frames", "neurons"])
def test_two_logits_that_change_places(circuit: ProgramCircuit, honest: StageOne, axis: int) -> None:
    purposes = objections(circuit, forged(circuit, honest, first(circuit, Linear), swap_first_unequal(axis)))
    assert purposes == {"hidden: both sides agree"}


@pytest.mark.parametrize("kind", [Convolution, Linear])
def test_errors_that_sum_to_zero(circuit: ProgramCircuit, honest: StageOne, kind: type[Layer]) -> None:
    def change(values: Integers) -> Integers:
        values.flat[0] += 1
        values.flat[1] -= 1
        return values

    purposes = objections(circuit, forged(circuit, honest, first(circuit, kind), change))
    assert len(purposes) == 1
    assert next(iter(purposes)).endswith("both sides agree")


def test_multiplicities_that_change_places(circuit: ProgramCircuit, honest: StageOne) -> None:
    """The number of lookups stays the same in every table."""
    start = circuit.system.segments.span("aux").start
    tried = 0
    for hint in circuit.compiled.hints:
        if not isinstance(hint, Multiplicities) or len(hint.wires) < 2:
            continue
        counts = honest.aux[hint.wires - start]
        rows = hint.wires - start
        unequal = rows[[int(counts.argmax()), int(counts.argmin())]]
        aux = honest.aux.copy()
        aux[unequal] = aux[unequal[::-1]]
        purposes = objections(circuit, replace(honest, aux=aux))
        assert any("sums agree" in purpose for purpose in purposes)
        tried += 1
    assert tried > 3


def test_limbs_that_carry(circuit: ProgramCircuit) -> None:
    """A low limb that is one radix too large, with a top limb (a view) that makes up for it."""
    case = small_case(1)
    wide = replace(case.program, input_low=-3000, input_high=2999)
    weights = random_weights(wide, 4, 1, 1)
    one = compile_program(wide, 1)
    honest = one.stage_one(weights, np.zeros((1, *wide.input_shape), np.int64))
    start = one.system.segments.span("aux").start
    tried = 0
    for hint in one.compiled.hints:
        if isinstance(hint, LowLimbs):
            aux = honest.aux.copy()
            aux[hint.wires[0] - start] += hint.plan.radix
            assert any("sums agree" in purpose for purpose in objections(one, replace(honest, aux=aux)))
            tried += 1
    assert tried
