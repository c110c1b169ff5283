"""The circuit of a program: what setup and prover need to know of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.scalars import ScalarVector
from pvcnn.program.inference import trace
from pvcnn.program.program import Program
from pvcnn.program.weights import Weights
from pvcnn.qmp import witness
from pvcnn.qmp.compile import CompiledProgram, compile_layers
from pvcnn.qmp.lowering import LoweredProgram, lower
from pvcnn.qmp.lowering_plan import Lowering, LoweringPlan, circuit_digest, plan_lowerings
from pvcnn.qmp.second_stage import SecondStage
from pvcnn.qmp.system import ConstraintSystem, StageOne


@dataclass(frozen=True, eq=False)
class ProgramCircuit:
    """The constraint system of `frames` runs of `program`, and how to satisfy it."""

    program: Program
    frames: int
    lowering: Lowering
    plan: LoweringPlan
    lowered: LoweredProgram

    @property
    def compiled(self) -> CompiledProgram:
        return self.plan.compiled

    @property
    def digest(self) -> bytes:
        """What its keys call the circuit, beside the number of frames: 32 bytes."""
        return circuit_digest(self.program.digest(), self.lowering)

    @property
    def system(self) -> ConstraintSystem:
        return self.lowered.system

    def stage_one(self, weights: Weights, features: NDArray[np.int64]) -> StageOne:
        """The committed wires for integer features (frames, *program.input_shape).

        Raises ValueError for another shape or batch length, and RangeError, naming layer, position
        and value, for anything outside its range; the latter's message holds secrets.
        """
        if len(features) != self.frames:
            raise ValueError(f"this circuit proves {self.frames} frames at once, not {len(features)}")
        traced = trace(self.program, weights, features)
        stage_one = witness.fill_stage_one(
            self.compiled, traced.outputs, traced.features, weights.flat(), traced.layers
        )
        witness.check_lookups(self.compiled.matrix_program, stage_one)
        return stage_one

    def second_stage(self, stage_one: StageOne, challenges: tuple[int, int, int]) -> ScalarVector:
        """The priv wires given (rho, theta, chi), for any stage one, right or wrong."""
        return self._second_stage(stage_one, challenges)

    @cached_property
    def _second_stage(self) -> SecondStage:
        return SecondStage(self.system, self.lowered.steps)

    def counts(self) -> dict[str, int]:
        """Constraints by gadget."""
        counts: dict[str, int] = defaultdict(int)
        for group in self.lowered.groups:
            counts[group.gadget] += group.count
        return dict(counts)


def compile_program(program: Program, frames: int = 1, lowering: Lowering = Lowering.AUTO) -> ProgramCircuit:
    """The circuit that proves `frames` runs of `program` at once; cached for equal programs.

    Raises ValueError, naming the layer, for a program whose values may wrap around r.
    """
    return _compile(program, frames, lowering)


@lru_cache(maxsize=4)
def _compile(program: Program, frames: int, lowering: Lowering) -> ProgramCircuit:
    plan = plan_lowerings(compile_layers(program, frames), lowering)
    return ProgramCircuit(program, frames, lowering, plan, lower(plan))
