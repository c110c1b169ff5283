"""Wires of powers are the powers that they are used for: both sides of eq. (2) use the same wires, so an
honest proof would not tell.
"""

from __future__ import annotations

import numpy as np
import pytest

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.powers import Powers
from pvcnn.qmp.second_stage import SecondStage
from pvcnn.qmp.system import Segments, StageOne
from pvcnn.qmp.views import View
from pvcnn.qmp.weighted_sums import weighted_sums

CHALLENGES = (3**90, 5**70, 7**60)
RHO = CHALLENGES[0]


def values_of(builder: ConstraintBuilder, aux: list[int]) -> list[int]:
    """Every wire, after the second stage."""
    nothing = np.zeros(0, np.int64)
    stage_one = StageOne(nothing, nothing, nothing, np.array(aux, np.int64))
    priv = SecondStage(builder.finish(), builder.steps)(stage_one, CHALLENGES, scalars.zeros(0))
    return [1, *CHALLENGES, *aux, *scalars.to_integers(priv)]


@pytest.mark.parametrize("highest", [0, 1, 2, 12])
@pytest.mark.parametrize("spans", [[(1, 9)], [(1, 2), (1, 13)], [(1, 7), (6, 5), (3, 12), (6, 9)]])
def test_wires_hold_the_powers_they_are_taken_for(highest: int, spans: list[tuple[int, int]]) -> None:
    builder = ConstraintBuilder(Segments(4, 0, 0, 0, 0))
    powers = Powers(builder, highest)
    taken = [
        (step * j, wire) for step, count in spans for j, wire in enumerate(powers.multiples(step, count))
    ]
    z = values_of(builder, [])
    for exponent, wire in taken:
        assert z[wire] == pow(RHO, exponent, SCALAR_MODULUS), exponent
    assert list(powers.at(np.array([exponent for exponent, _ in taken[:3]]))) == [w for _, w in taken[:3]]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_weighted_sums_are_those_of_every_row(length: int) -> None:
    rows, low = 3, -7
    aux = list(range(low, low + rows * length))
    builder = ConstraintBuilder(Segments(4, 0, 0, len(aux), 0))
    terms = View.of_wires(4 + np.arange(len(aux)).reshape(rows, length), -100, 100).scaled(2).shifted(1)
    wires = Powers(builder, 2).multiples(2, length)
    sums = builder.sums("test", "sums", weighted_sums(builder, "test", "sums", terms, wires))
    z = values_of(builder, aux)
    for row in range(rows):
        entries = aux[row * length : (row + 1) * length]
        expected = sum((2 * entry + 1) * pow(RHO, 2 * j, SCALAR_MODULUS) for j, entry in enumerate(entries))
        assert z[sums[row]] == expected % SCALAR_MODULUS
