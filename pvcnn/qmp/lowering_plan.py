"""Which lowering each product of a matrix program gets, and the wires of stage one that this adds.

A *lowering* turns a product gate into rank-1 constraints. All prove the same equation between the same
committed wires, and may be mixed within a circuit:

    qmp      eq. (1) and eq. (2): entries times powers of rho, |A| + |B| + |C|
    qpp      a convolution as a product of polynomials, as in vCNN; other products as `qap`, as there
    qap      every product of two scalars is a constraint
    im2col   a convolution as the matrix product of its copied windows; other products as `qmp`
    auto     for each gate the cheapest of qmp, qpp and qap, see `Option.price`
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from pvcnn.algebra.transcript import digest
from pvcnn.qmp import (
    lower_convolution,
    lower_every_product,
    lower_im2col,
    lower_matmul,
    lower_polynomials,
)
from pvcnn.qmp.compile import CompiledProgram
from pvcnn.qmp.hints import Hint
from pvcnn.qmp.matrix_program import ConvolutionProduct, Gate, MatrixProduct, MatrixProgram
from pvcnn.qmp.polynomial_layout import PolynomialLayout
from pvcnn.qmp.views import View


class Lowering(Enum):
    """How products become constraints."""

    QMP = "qmp"
    QPP = "qpp"
    QAP = "qap"
    IM2COL = "im2col"
    AUTO = "auto"


@dataclass(frozen=True, eq=False)
class Choice:
    """The lowering of one gate, never AUTO; `overhang` shows the wires that QPP adds for a convolution."""

    lowering: Lowering
    overhang: View | None = None


@dataclass(frozen=True, eq=False)
class LoweringPlan:
    """A compiled program with all wires of stage one, and the choice of each of its gates that has one."""

    compiled: CompiledProgram
    choices: tuple[Choice | None, ...]

    @property
    def program(self) -> MatrixProgram:
        return self.compiled.matrix_program

    def products(self) -> Iterator[tuple[str, Lowering]]:
        """The name of each product gate, and its lowering."""
        for gate, choice in zip(self.program.gates, self.choices, strict=True):
            if choice is not None:
                yield gate.name, choice.lowering


@dataclass(frozen=True)
class Option:
    """What a lowering of a gate costs: its own rows, and the highest power of rho that it starts from."""

    lowering: Lowering
    rows: int
    highest_power: int

    @property
    def price(self) -> float:
        """Constraints, those of QPP at 5% more: equal kernels meet equal powers less often there, so more of
        its products are different scalars, and with 2% fewer constraints it proves more slowly
        (docs/lowerings.md, section "What auto chooses").
        """
        return self.rows * (1.05 if self.lowering is Lowering.QPP else 1.0)


def circuit_digest(program_digest: bytes, lowering: Lowering) -> bytes:
    """What a circuit's keys name it by (32 bytes): one program has one circuit for each lowering.

    That of AUTO, which campaigns use, is the program's own digest.
    """
    if lowering is Lowering.AUTO:
        return program_digest
    return digest("pvcnn/circuit", program_digest, lowering.value.encode())


def plan_lowerings(compiled: CompiledProgram, lowering: Lowering) -> LoweringPlan:
    """Chooses, and appends the wires and hints that the choices need."""
    program = compiled.matrix_program
    segments, gates = program.segments, program.gates
    choices: list[Choice | None] = []
    hints: list[Hint] = list(compiled.hints)
    for gate, chosen in zip(gates, _chosen(gates, lowering), strict=True):
        if chosen is Lowering.QPP and isinstance(gate, ConvolutionProduct):
            overhang = PolynomialLayout.of(gate).overhang * gate.result.shape[1]
            wires = segments.total + np.arange(overhang)
            segments = replace(segments, aux=segments.aux + overhang)
            hints.append(lower_polynomials.Overhang(wires, gate))
            peak = gate.summands * gate.inputs.magnitude * gate.kernels.magnitude
            choices.append(Choice(chosen, View.of_wires(wires, -peak, peak)))
        else:
            choices.append(None if chosen is None else Choice(chosen))
    extended = replace(program, segments=segments) if segments != program.segments else program
    return LoweringPlan(CompiledProgram(extended, tuple(hints)), tuple(choices))


def options(gate: Gate) -> list[Option]:
    """The lowerings of a gate that AUTO chooses from; none if the gate is no product."""
    match gate:
        case MatrixProduct():
            return [option(gate, lowering) for lowering in (Lowering.QMP, Lowering.QAP)]
        case ConvolutionProduct():
            return [option(gate, lowering) for lowering in (Lowering.QMP, Lowering.QPP, Lowering.QAP)]
        case _:
            return []


def option(gate: MatrixProduct | ConvolutionProduct, lowering: Lowering) -> Option:
    """What a lowering other than AUTO costs for a gate."""
    match gate, lowering:
        case _, Lowering.QAP:
            return Option(lowering, lower_every_product.rows(gate), 0)
        case MatrixProduct(), Lowering.QMP:
            return Option(lowering, lower_matmul.rows(gate), lower_matmul.highest_power(gate))
        case ConvolutionProduct(), Lowering.QMP:
            return Option(lowering, lower_convolution.rows(gate), lower_convolution.highest_power(gate))
        case ConvolutionProduct(), Lowering.QPP:
            return Option(lowering, lower_polynomials.rows(gate), lower_polynomials.highest_power(gate))
        case ConvolutionProduct(), Lowering.IM2COL:
            return Option(lowering, lower_im2col.rows(gate), lower_im2col.highest_power(gate))
        case _:
            raise ValueError(f"{gate.name}: a matrix product has no lowering {lowering.value!r}")


def _chosen(gates: tuple[Gate, ...], lowering: Lowering) -> list[Lowering | None]:
    if lowering is Lowering.AUTO:
        return _cheapest(gates)
    dense = {Lowering.QPP: Lowering.QAP, Lowering.IM2COL: Lowering.QMP}.get(lowering, lowering)
    chosen: list[Lowering | None] = []
    for gate in gates:
        match gate:
            case MatrixProduct():
                chosen.append(dense)
            case ConvolutionProduct():
                chosen.append(lowering)
            case _:
                chosen.append(None)
    return chosen


def _cheapest(gates: tuple[Gate, ...]) -> list[Lowering | None]:
    """The cheapest choices for all gates together.

    Powers of rho are shared: so each highest power that an option needs is tried as the limit of all, with
    the cheapest options of every gate within it. Where costs are equal the option named first wins.
    """
    choices = [options(gate) for gate in gates]
    limits = {option.highest_power for gate in choices for option in gate} | {0}

    def within(limit: int) -> list[Option | None]:
        return [
            min((option for option in gate if option.highest_power <= limit), key=lambda o: o.price)
            if gate
            else None
            for gate in choices
        ]

    def cost(limit: int) -> float:
        return limit + sum(option.price for option in within(limit) if option)

    return [option.lowering if option else None for option in within(min(sorted(limits), key=cost))]
