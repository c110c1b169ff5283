"""What is revealed of a frame: a sign, the largest logit's index, or the logits themselves.

Sign, eq. (6): d (2y - 1) - y in [0, peak] with d boolean. Why a cheating prover fails: d is public and 0
or 1. With d = 1 the margin is y - 1 and its range says y >= 1; with d = 0 it is -y and says y <= 0.

Argmax, eq. (22): bits s_j say whether j >= d, so that e_j = s_j - s_(j-1) is 1 for j = d alone. Why
a cheating prover fails: the k values e_j are bits and their sum telescopes to 1, so exactly one is 1, at
one place d; the public output counts the s_j that are 0, which is d. e_d (m - z_d) = 0 makes m the
logit there. m - z_j - (1 - s_j) is an integer of [0, high - low]: so m >= z_j, and m > z_j for j < d.
That leaves one d: the first of the largest.

Logits: public wires equal to them, one constraint each.

All of these are statements about integers, as the ranges are far below r.
"""

from __future__ import annotations

import numpy as np

from pvcnn.program.layers import Argmax, Logits, Sign
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.hints import Chosen, DecisionMargin, FromPlace
from pvcnn.qmp.matrix_program import Boolean, EntrywiseProduct, Equality, ZeroProduct
from pvcnn.qmp.views import View, concatenated


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


def argmax(assembly: Assembly, layer: Argmax, logits: View) -> None:
    """Binds the public outputs to the indices of the largest of `logits` (F, k), k >= 2."""
    frames, count = logits.shape
    index = View.of_wires(assembly.outputs(), 0, count - 1)
    wires = assembly.auxiliary(frames, count - 1)
    assembly.hints.append(FromPlace(wires.reshape(-1), index, count))
    known = View.of_wires(wires, 0, 1)
    reached = concatenated((known, View.of_constant(1, (frames, 1))), 1)
    before = concatenated((View.of_constant(0, (frames, 1)), known), 1)
    is_largest = reached.minus(before)
    largest_wires = assembly.auxiliary(frames)
    assembly.hints.append(Chosen(largest_wires, index, logits))
    largest = View.of_wires(largest_wires, logits.low, logits.high)
    above = largest.take(np.broadcast_to(np.arange(frames)[:, None], (frames, count))).minus(logits)
    assembly.gate(Boolean(f"{layer.name}: one place", is_largest))
    assembly.gate(Equality(f"{layer.name}: index", index, known.scaled(-1).shifted(1).sum_last()))
    assembly.gate(ZeroProduct(f"{layer.name}: largest", is_largest, above))
    margins = above.plus(reached).shifted(-1)
    assembly.range(f"{layer.name}: margins", margins, 0, logits.high - logits.low)


def reveal(assembly: Assembly, layer: Logits, logits: View) -> None:
    """The public outputs are `logits` (F, k), frame by frame."""
    outputs = View.of_wires(assembly.outputs().reshape(logits.shape), logits.low, logits.high)
    assembly.gate(Equality(f"{layer.name}: revealed", outputs, logits))
