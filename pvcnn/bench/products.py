"""Circuits of a single product, committed on both sides and without range lookups.

What a lowering costs, with nothing beside it: A B = C, or a convolution, with A (the input) in segment
`in`, B (the kernels) in `w` and the result in `aux`. The result's first entry is the circuit's one output.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.scalars import ScalarVector
from pvcnn.program.inference import LayerTrace
from pvcnn.program.layers import Shape
from pvcnn.program.windows import Windows
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.challenges import CHALLENGES
from pvcnn.qmp.compile import CompiledProgram
from pvcnn.qmp.hints import FromTrace, Traced
from pvcnn.qmp.lowering import LoweredProgram, lower
from pvcnn.qmp.lowering_plan import Lowering, LoweringPlan, option, plan_lowerings
from pvcnn.qmp.matrix_program import ConvolutionProduct, MatrixProduct
from pvcnn.qmp.second_stage import SecondStage
from pvcnn.qmp.system import ConstraintSystem, StageOne
from pvcnn.qmp.views import View
from pvcnn.qmp.witness import fill_stage_one

Integers = NDArray[np.int64]

#: Entries of A, as of activations, lie in [0, PEAK), those of B, as of weights, in [-PEAK, PEAK).
PEAK = 128
#: 3x3 windows, one for each entry of the input.
SAME = Windows.square(3, padding=1)


@dataclass(frozen=True)
class MatrixShape:
    """(height, length) times (length, width)."""

    height: int
    length: int
    width: int

    @classmethod
    def square(cls, n: int) -> MatrixShape:
        return cls(n, n, n)

    @property
    def shapes(self) -> tuple[Shape, Shape, Shape]:
        """Of A, B and C."""
        return (self.height, self.length), (self.length, self.width), (self.height, self.width)

    def gate(self, left: View, right: View, result: View) -> MatrixProduct:
        return MatrixProduct("product", left, right, result)

    def result(self, left: Integers, right: Integers) -> Integers:
        product: Integers = left @ right
        return product


@dataclass(frozen=True)
class ConvolutionShape:
    """One frame (channels, side, side) under kernels (outputs, channels / groups, Kh, Kw).

    Raises ValueError if no window fits, or if the groups do not divide the channels.
    """

    channels: int
    outputs: int
    side: int
    windows: Windows = SAME
    groups: int = 1

    def __post_init__(self) -> None:
        if self.channels % self.groups or self.outputs % self.groups:
            raise ValueError(
                f"{self.groups} groups do not divide {self.channels} to {self.outputs} channels: choose "
                "other --groups"
            )
        if min(self.windows.outputs(self.side, self.side)) < 1:
            raise ValueError("the kernel is larger than the padded input: choose more --padding")

    @property
    def shapes(self) -> tuple[Shape, Shape, Shape]:
        """Of input, kernels and output."""
        return (
            (1, self.channels, self.side, self.side),
            (self.outputs, self.channels // self.groups, *self.windows.kernel),
            (1, self.outputs, *self.windows.outputs(self.side, self.side)),
        )

    def gate(self, inputs: View, kernels: View, result: View) -> ConvolutionProduct:
        return ConvolutionProduct("product", inputs, kernels, result, self.windows)

    def result(self, inputs: Integers, kernels: Integers) -> Integers:
        top, bottom, left, right = self.windows.padding
        padded = np.pad(inputs, ((0, 0), (0, 0), (top, bottom), (left, right)))
        (down, across), (row, column) = self.windows.stride, self.windows.dilation
        extents = [d * (k - 1) + 1 for d, k in zip((row, column), self.windows.kernel, strict=True)]
        windows = np.lib.stride_tricks.sliding_window_view(padded, extents, (2, 3))
        chosen = windows[:, :, ::down, ::across, ::row, ::column]
        of_group = chosen.reshape(len(inputs), self.groups, -1, *chosen.shape[2:])
        grouped = kernels.reshape(self.groups, -1, *kernels.shape[1:])
        sums: Integers = np.einsum("fgcijde,gocde->fgoij", of_group, grouped, optimize=True)
        return sums.reshape(len(inputs), self.outputs, *sums.shape[3:])


ProductShape = MatrixShape | ConvolutionShape


@dataclass(frozen=True, eq=False)
class ProductCircuit:
    """One lowering of one product."""

    plan: LoweringPlan
    lowered: LoweredProgram

    @property
    def system(self) -> ConstraintSystem:
        return self.lowered.system

    @cached_property
    def _second_stage(self) -> SecondStage:
        return SecondStage(self.system, self.lowered.steps)

    def second_stage(
        self, stage_one: StageOne, challenges: tuple[int, int, int], derived: ScalarVector
    ) -> ScalarVector:
        return self._second_stage(stage_one, challenges, derived)

    def stage_one(self, operands: tuple[Integers, Integers, Integers]) -> StageOne:
        """The committed wires for A, B and what is to pass for A B."""
        left, right, result = (operand.reshape(-1) for operand in operands)
        trace = LayerTrace(result[1:])
        return fill_stage_one(self.plan.compiled, result[:1], left, right, [trace], np.zeros(0, np.int64))


def compiled_product(shape: ProductShape) -> CompiledProgram:
    """The matrix program of one product."""
    left, right, result = shape.shapes
    assembly = Assembly(1, 1, prod(left), prod(right))
    rest = assembly.auxiliary(prod(result) - 1)
    assembly.hints.append(FromTrace(rest, 0, Traced.OUTPUT))
    peak = PEAK * PEAK * prod(left)
    wires = np.concatenate([assembly.outputs(), rest])
    gate = shape.gate(
        View.of_wires(assembly.features().reshape(left), 0, PEAK - 1),
        View.of_wires(assembly.weights().reshape(right), -PEAK, PEAK - 1),
        View.of_wires(wires.reshape(result), -peak, peak),
    )
    assembly.gate(gate)
    return CompiledProgram(assembly.finish(), tuple(assembly.hints))


def circuit(shape: ProductShape, lowering: Lowering) -> ProductCircuit:
    plan = plan_lowerings(compiled_product(shape), lowering)
    return ProductCircuit(plan, lower(plan))


def predicted(shape: ProductShape, lowering: Lowering) -> int:
    """The constraints of the circuit without making it, but for those of wires that own no position."""
    (gate,) = compiled_product(shape).matrix_program.gates
    assert isinstance(gate, MatrixProduct | ConvolutionProduct)
    cost = option(gate, lowering)
    return len(CHALLENGES) + max(0, cost.highest_power - 1) + cost.rows


def operands(shape: ProductShape, seed: int = 0) -> tuple[Integers, Integers, Integers]:
    """Random A and B, and A B, whose first entry is not negative, since outputs are not."""
    generator = np.random.default_rng(seed)
    left_shape, right_shape, _ = shape.shapes
    left = generator.integers(0, PEAK, left_shape)
    right = generator.integers(-PEAK, PEAK, right_shape)
    first = (slice(None), 0) if isinstance(shape, MatrixShape) else (0,)
    right[first] = abs(right[first])
    np.minimum(right, PEAK - 1, out=right)
    return left, right, shape.result(left, right)
