"""From a quadratic matrix program to rank-1 constraints."""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.qmp import (
    lower_convolution,
    lower_entries,
    lower_every_product,
    lower_im2col,
    lower_lookups,
    lower_matmul,
    lower_polynomials,
)
from pvcnn.qmp.builder import ConstraintBuilder, RowGroup, Step
from pvcnn.qmp.challenges import CHALLENGES
from pvcnn.qmp.lowering_plan import Choice, Lowering, LoweringPlan, option
from pvcnn.qmp.matrix_program import (
    Boolean,
    ConvolutionProduct,
    EntrywiseProduct,
    Equality,
    Gate,
    MatrixProduct,
    ZeroProduct,
)
from pvcnn.qmp.peeling import wires_without_position
from pvcnn.qmp.powers import Powers, bind_challenges
from pvcnn.qmp.system import ConstraintSystem


@dataclass(frozen=True, eq=False)
class LoweredProgram:
    """Constraints, the steps that fill the second stage, and what each row is for."""

    system: ConstraintSystem
    steps: tuple[Step, ...]
    groups: tuple[RowGroup, ...]


def lower(plan: LoweringPlan) -> LoweredProgram:
    """The constraints of all gates and lookups, with linearly independent columns (see `peeling`)."""
    program = plan.program
    builder = ConstraintBuilder(program.segments, program.derivations)
    bind_challenges(builder)
    gates = list(zip(program.gates, plan.choices, strict=True))
    powers = Powers(builder, max([0, *(_highest_power(gate, choice) for gate, choice in gates)]))
    for gate, choice in gates:
        match gate:
            case MatrixProduct() | ConvolutionProduct():
                assert choice is not None
                _lower_product(builder, gate, choice, powers)
            case EntrywiseProduct():
                lower_entries.lower_product(builder, gate)
            case ZeroProduct():
                lower_entries.lower_zero_product(builder, gate)
            case Equality():
                lower_entries.lower_equality(builder, gate)
            case Boolean():
                lower_entries.lower_boolean(builder, gate)
    for argument in program.arguments:
        lower_lookups.lower(builder, argument)
    system = builder.finish()
    homeless = wires_without_position(system)
    if len(homeless):
        builder.own_rows(homeless)
        system = builder.finish()
    return LoweredProgram(system, tuple(builder.steps), tuple(builder.groups))


def predicted_constraints(plan: LoweringPlan) -> int:
    """How many constraints `lower` makes, without making them, but for those of wires that own no position.

    Powers of the challenge that two convolutions share are counted for each; they are few.
    """
    program = plan.program
    gates = list(zip(program.gates, plan.choices, strict=True))
    count = len(CHALLENGES) + max([1, *(_highest_power(gate, choice) for gate, choice in gates)]) - 1
    for gate, choice in gates:
        if choice is not None and isinstance(gate, MatrixProduct | ConvolutionProduct):
            count += option(gate, choice.lowering).rows
        else:
            count += gate.operands()[0].entries
    for argument in program.arguments:
        count += argument.table.size + 1
        count += sum(len(lookup.columns) * lookup.columns[0].entries for lookup in argument.lookups)
    return count


def _lower_product(
    builder: ConstraintBuilder, gate: MatrixProduct | ConvolutionProduct, choice: Choice, powers: Powers
) -> None:
    match gate, choice.lowering:
        case _, Lowering.QAP:
            lower_every_product.lower(builder, gate)
        case MatrixProduct(), Lowering.QMP:
            lower_matmul.lower(builder, gate, powers)
        case ConvolutionProduct(), Lowering.QMP:
            lower_convolution.lower(builder, gate, powers)
        case ConvolutionProduct(), Lowering.IM2COL:
            lower_im2col.lower(builder, gate, powers)
        case ConvolutionProduct(), Lowering.QPP:
            assert choice.overhang is not None
            lower_polynomials.lower(builder, gate, choice.overhang, powers)
        case _:
            raise ValueError(f"{gate.name}: a matrix product has no lowering {choice.lowering.value!r}")


def _highest_power(gate: Gate, choice: Choice | None) -> int:
    if choice is None or not isinstance(gate, MatrixProduct | ConvolutionProduct):
        return 0
    return option(gate, choice.lowering).highest_power
