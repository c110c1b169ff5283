"""The decision: eq. (6), d (2y - 1) - y in [0, peak] with d boolean.

Why a cheating prover fails: d is public and 0 or 1. With d = 1 the margin is y - 1 and its range says
y >= 1; with d = 0 it is -y and says y <= 0. Both are statements about integers, as the range is far
below r.
"""

from __future__ import annotations

from pvcnn.program.layers import Sign
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.hints import DecisionMargin
from pvcnn.qmp.matrix_program import Boolean, EntrywiseProduct
from pvcnn.qmp.views import View


def sign(assembly: Assembly, layer: Sign, logits: View) -> None:
    """Binds the public outputs to the signs of `logits` (F, 1)."""
    logit = logits.reshape(assembly.frames)
    decision = View.of_wires(assembly.outputs(), 0, 1)
    peak = max(logit.high - 1, -logit.low, 0)
    wires = assembly.auxiliary(assembly.frames)
    assembly.hints.append(DecisionMargin(wires, decision, logit))
    margin = View.of_wires(wires, 0, peak)
    assembly.gate(Boolean(f"{layer.name}: decision is a bit", decision))
    doubled = logit.scaled(2).shifted(-1)
    assembly.gate(EntrywiseProduct(f"{layer.name}: margin", decision, doubled, logit.plus(margin)))
    assembly.range(f"{layer.name}: margin", margin, 0, peak)
