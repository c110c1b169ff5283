"""The second stage in batches: as if its steps were taken one by one."""

from __future__ import annotations

import numpy as np
import pytest

from pvcnn.program.program import Program
from pvcnn.qmp.builder import Rule
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.second_stage import independent
from tests.qmp.programs import demo_program, small_case


@pytest.mark.parametrize("program", [small_case(2).program, demo_program()], ids=["small", "demo"])
def test_every_step_once_and_after_what_it_reads(program: Program) -> None:
    circuit = compile_program(program)
    system, steps = circuit.system, circuit.lowered.steps
    known = np.ones(system.segments.total, bool)
    known[system.segments.span("priv")] = False
    taken = []
    for batch in independent(system, steps):
        assert len({step.rule for step in batch}) == 1
        assert batch[0].rule is not Rule.HORNER or len(batch) == 1
        for step in batch:
            own = np.zeros_like(known)
            own[step.wires] = True
            read = np.concatenate(
                [side.checked.columns_of(step.rows) for side in (system.a, system.b, system.c)]
            )
            assert (known | own)[read].all()
        for step in batch:
            known[step.wires] = True
        taken += batch
    assert known.all()
    assert sorted(taken, key=lambda step: step.rows.start) == sorted(steps, key=lambda step: step.rows.start)
