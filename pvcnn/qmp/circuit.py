"""The circuit of a program: what setup and prover need to know of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
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
    #: The weights that are part of the circuit; None if they are committed.
    published: Weights | None

    @property
    def compiled(self) -> CompiledProgram:
        return self.plan.compiled

    @property
    def digest(self) -> bytes:
        """What its keys call the circuit, beside the number of frames: 32 bytes."""
        return circuit_digest(self.program.digest(), self.lowering)

    @property
    def weights_digest(self) -> bytes:
        """Of published weights, 32 bytes; empty if they are committed."""
        return self.published.published_digest() if self.published else b""

    @property
    def system(self) -> ConstraintSystem:
        return self.lowered.system

    def stage_one(
        self, weights: Weights, features: NDArray[np.int64], labels: NDArray[np.int64] | None = None
    ) -> StageOne:
        """The committed wires for integer features (frames, *program.input_shape).

        labels: (frames,), of a program that takes them. Raises ValueError for another shape or batch length,
        labels that are missing or too much, or other weights than published ones, and RangeError, naming
        layer, position and value, for anything outside its range; the latter's message holds secrets.
        """
        if len(features) != self.frames:
            raise ValueError(f"this circuit proves {self.frames} frames at once, not {len(features)}")
        if self.published and weights.published_digest() != self.weights_digest:
            raise ValueError("this circuit was compiled with other published weights")
        committed = np.zeros(0, np.int64) if self.published else weights.flat()
        traced = trace(self.program, weights, features, labels)
        return witness.fill_stage_one(
            self.compiled,
            traced.outputs,
            traced.features,
            committed,
            traced.layers,
            traced.labels,
            check=True,
        )

    def second_stage(
        self, stage_one: StageOne, challenges: tuple[int, int, int], derived: ScalarVector
    ) -> ScalarVector:
        """The priv wires given (rho, theta, chi), for any stage one, right or wrong.

        `derived` are the values that `applied_maps.derived_values` makes of `stage_one`.
        """
        return self._second_stage(stage_one, challenges, derived)

    @cached_property
    def _second_stage(self) -> SecondStage:
        return SecondStage(self.system, self.lowered.steps)

    def counts(self) -> dict[str, int]:
        """Constraints by gadget."""
        counts: dict[str, int] = defaultdict(int)
        for group in self.lowered.groups:
            counts[group.gadget] += group.count
        return dict(counts)


def compile_program(
    program: Program,
    frames: int = 1,
    lowering: Lowering = Lowering.AUTO,
    published: Weights | None = None,
) -> ProgramCircuit:
    """The circuit that proves `frames` runs of `program` at once; cached for equal programs and weights.

    With `published` weights these are coefficients of the circuit; else they are committed wires. Raises
    ValueError, naming the layer, for a program whose values may wrap around r, and for weights of another.
    """
    if published and published.program != program:
        raise ValueError("the weights belong to another program")
    known = _Published(published, published.published_digest()) if published else None
    return _compile(program, frames, lowering, known)


@dataclass(frozen=True)
class _Published:
    """Weights that equal others if their digests are equal."""

    weights: Weights = field(compare=False)
    digest: bytes


@lru_cache(maxsize=4)
def _compile(
    program: Program, frames: int, lowering: Lowering, published: _Published | None
) -> ProgramCircuit:
    weights = published.weights if published else None
    plan = plan_lowerings(compile_layers(program, frames, weights), lowering)
    return ProgramCircuit(program, frames, lowering, plan, lower(plan), weights)
