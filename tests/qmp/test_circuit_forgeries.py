"""Every move of a cheating prover breaks a row, whatever the challenges turn out to be."""

from __future__ import annotations

import pytest

from pvcnn.qmp.circuit import compile_program
from tests.qmp.forging import continued
from tests.qmp.moves import MOVES
from tests.qmp.oracle import objections
from tests.qmp.programs import small_case


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("name", MOVES)
def test_forged_witness_is_caught_by_the_attacked_gadget(name: str, frames: int) -> None:
    case = small_case(frames)
    circuit = compile_program(case.program, case.frames)
    honest = circuit.stage_one(case.weights, case.features)
    forgery = MOVES[name]
    objecting = objections(circuit, forgery.move(circuit, honest))
    assert objecting, "the forgery passes"
    assert all(forgery.caught_by in purpose for purpose in objecting), objecting


def test_continuing_honestly_gives_the_honest_witness() -> None:
    case = small_case(2)
    circuit = compile_program(case.program, case.frames)
    honest = circuit.stage_one(case.weights, case.features)
    again = continued(circuit, honest)
    for name in ("outputs", "in_", "w", "aux"):
        assert (getattr(again, name) == getattr(honest, name)).all()
