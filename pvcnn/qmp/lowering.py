"""From a quadratic matrix program to rank-1 constraints."""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.qmp import lower_convolution, lower_entries, lower_lookups, lower_matmul
from pvcnn.qmp.builder import ConstraintBuilder, RowGroup, Step
from pvcnn.qmp.matrix_program import (
    Boolean,
    ConvolutionProduct,
    EntrywiseProduct,
    Equality,
    Gate,
    MatrixProduct,
    MatrixProgram,
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


def lower(program: MatrixProgram) -> LoweredProgram:
    """The constraints of all gates and lookups, with linearly independent columns (see `peeling`)."""
    builder = ConstraintBuilder(program.segments, program.derivations)
    bind_challenges(builder)
    powers = Powers(builder, max([0, *map(_highest_power, program.gates)]))
    for gate in program.gates:
        match gate:
            case MatrixProduct():
                lower_matmul.lower(builder, gate, powers)
            case ConvolutionProduct():
                lower_convolution.lower(builder, gate, powers)
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


def _highest_power(gate: Gate) -> int:
    match gate:
        case MatrixProduct():
            return lower_matmul.highest_power(gate)
        case ConvolutionProduct():
            return lower_convolution.highest_power(gate)
        case _:
            return 0
