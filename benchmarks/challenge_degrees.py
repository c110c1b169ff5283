"""The largest degrees in rho and theta of a network's circuit: docs/security-argument.md, section "Gadgets".

    python benchmarks/challenge_degrees.py lenet5:committed densenet:committed mobilenetv2:published

Prints, for one frame, a bound on the degree of every product's equation in rho, and l + 2 t for the largest
lookup argument, of l values in t rows. No setup, no proof.
"""

from __future__ import annotations

import sys

import torch

from pvcnn.models import catalogue
from pvcnn.partition.split import split
from pvcnn.qmp import lower_convolution
from pvcnn.qmp.compile import compile_layers
from pvcnn.qmp.lowering_plan import Choice, Lowering, plan_lowerings
from pvcnn.qmp.matrix_program import ConvolutionProduct, Gate, LookupArgument
from pvcnn.qmp.polynomial_layout import PolynomialLayout

CALIBRATION_FRAMES = 8


def degree_in_rho(gate: Gate, choice: Choice | None) -> int:
    """Above the degree of the gate's equation: n m, D + n O or L O; 0 where it has none."""
    if choice is None or choice.lowering is Lowering.QAP:
        return 0
    entries = gate.operands()[-1].entries
    if not isinstance(gate, ConvolutionProduct):
        return entries
    if choice.lowering is Lowering.QPP:
        return PolynomialLayout.of(gate).channel_pitch * gate.kernels.shape[0]
    return lower_convolution.highest_power(gate) + entries


def degree_in_theta(argument: LookupArgument) -> int:
    """l + 2 t."""
    return sum(lookup.columns[0].entries for lookup in argument.lookups) + 2 * argument.table.size


def degrees(name: str, weights: str) -> tuple[int, int]:
    """The largest of each, for the whole network `name` with "committed" or "published" weights."""
    frames = catalogue.frames(name, CALIBRATION_FRAMES)
    public = split(catalogue.create(name), frames, cut=0, weights=weights).public
    compiled = compile_layers(public.program, 1, public.weights if weights == "published" else None)
    plan = plan_lowerings(compiled, Lowering.AUTO)
    rho = max(map(degree_in_rho, plan.program.gates, plan.choices), default=0)
    return rho, max(map(degree_in_theta, plan.program.arguments))


def main() -> None:
    torch.set_num_threads(1)
    for named in sys.argv[1:]:
        name, _, weights = named.partition(":")
        rho, theta = degrees(name, weights or "committed")
        print(f"{name}, {weights or 'committed'}: rho below {rho:,}, theta {theta:,}")


if __name__ == "__main__":
    main()
