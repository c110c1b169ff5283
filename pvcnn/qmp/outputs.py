"""What is revealed: of each frame a sign, the largest logit's index or the logits, or of all a count.

Sign, eq. (6): d (2y - 1) - y in [0, peak] with d boolean. Why a cheating prover fails: d is public and 0
or 1. With d = 1 the margin is y - 1 and its range says y >= 1; with d = 0 it is -y and says y <= 0.

Argmax, eq. (22): bits s_j say whether j >= d, so that e_j = s_j - s_(j-1) is 1 for j = d alone. Why
a cheating prover fails: the k values e_j are bits and their sum telescopes to 1, so exactly one is 1, at
one place d; the public output counts the s_j that are 0, which is d. e_d (m - z_d) = 0 makes m the
logit there. m - z_j - (1 - s_j) is an integer of [0, high - low]: so m >= z_j, and m > z_j for j < d.
That leaves one d: the first of the largest.

Logits: public wires equal to them, one constraint each.

Correct, eq. (23): decisions as above, but committed and not public, and each label likewise as k bits l_j
of which one is 1. Why a cheating prover fails: the l_j are bits whose sum telescopes to 1, so one is 1,
and the label, a wire of D_lab, equals its place: an integer of [0, k), neither 1/2 nor r - 1. D_lab
binds, was made before by somebody else, and who registered it compares. sum_j e_j l_j is 1 if decision
and label are the same place, else 0. By eq. (1) the public count is the sum over all frames, which
cannot wrap around: it is at most their number.

All of these are statements about integers, as the ranges are far below r.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pvcnn.program.layers import Argmax, Correct, Logits, Sign
from pvcnn.qmp.assembly import Assembly, Integers
from pvcnn.qmp.hints import Chosen, DecisionMargin, FromLargest, FromPlace, Positive
from pvcnn.qmp.matrix_program import Boolean, EntrywiseProduct, Equality, MatrixProduct, ZeroProduct
from pvcnn.qmp.views import View, concatenated


def sign(assembly: Assembly, layer: Sign, logits: View) -> None:
    """Binds the public outputs to the signs of `logits` (F, 1)."""
    _bind_sign(assembly, layer.name, View.of_wires(assembly.outputs(), 0, 1), logits)


def argmax(assembly: Assembly, layer: Argmax, logits: View) -> None:
    """Binds the public outputs to the indices of the largest of `logits` (F, k), k >= 2."""
    frames, count = logits.shape
    index = View.of_wires(assembly.outputs(), 0, count - 1)
    wires = assembly.auxiliary(frames, count - 1)
    assembly.hints.append(FromPlace(wires.reshape(-1), index, count))
    place = _Place.of(assembly, f"{layer.name}: one place", wires)
    assembly.gate(Equality(f"{layer.name}: index", index, place.index))
    _bind_largest(assembly, layer.name, place, index, logits)


def reveal(assembly: Assembly, layer: Logits, logits: View) -> None:
    """The public outputs are `logits` (F, k), frame by frame."""
    outputs = View.of_wires(assembly.outputs().reshape(logits.shape), logits.low, logits.high)
    assembly.gate(Equality(f"{layer.name}: revealed", outputs, logits))


def correct(assembly: Assembly, layer: Correct, logits: View) -> None:
    """Binds the one public output to the number of `logits` (F, k) that decide as the labels say."""
    frames = assembly.frames
    decided = _decisions(assembly, layer.name, logits)
    labels = View.of_wires(assembly.labels(), 0, decided.shape[1] - 1)
    wires = assembly.auxiliary(frames, decided.shape[1] - 1)
    assembly.hints.append(FromPlace(wires.reshape(-1), labels, decided.shape[1]))
    labelled = _Place.of(assembly, f"{layer.name}: one class a label", wires)
    assembly.gate(Equality(f"{layer.name}: labels", labels, labelled.index))
    count = View.of_wires(assembly.outputs().reshape(1, 1), 0, frames)
    rows, columns = decided.reshape(1, decided.entries), labelled.one_hot.reshape(decided.entries, 1)
    assembly.gate(MatrixProduct(f"{layer.name}: count", rows, columns, count))


def _decisions(assembly: Assembly, name: str, logits: View) -> View:
    """One-hot (F, classes): of each frame 1 at its decision, 0 elsewhere. A single logit has two classes."""
    frames, count = logits.shape
    if count > 1:
        wires = assembly.auxiliary(frames, count - 1)
        assembly.hints.append(FromLargest(wires.reshape(-1), logits))
        place = _Place.of(assembly, f"{name}: one place", wires)
        _bind_largest(assembly, name, place, place.index, logits)
        return place.one_hot
    wires = assembly.auxiliary(frames)
    assembly.hints.append(Positive(wires, logits))
    decision = View.of_wires(wires, 0, 1)
    _bind_sign(assembly, name, decision, logits)
    positive = decision.reshape(frames, 1)
    return concatenated((positive.scaled(-1).shifted(1), positive), 1)


def _bind_sign(assembly: Assembly, name: str, decision: View, logits: View) -> None:
    """`decision` (F,) is 1 where `logits` (F, 1) are positive and 0 elsewhere."""
    logit = logits.reshape(assembly.frames)
    peak = max(logit.high - 1, -logit.low, 0)
    wires = assembly.auxiliary(assembly.frames)
    assembly.hints.append(DecisionMargin(wires, decision, logit))
    margin = View.of_wires(wires, 0, peak)
    assembly.gate(Boolean(f"{name}: decision is a bit", decision))
    doubled = logit.scaled(2).shifted(-1)
    assembly.gate(EntrywiseProduct(f"{name}: margin", decision, doubled, logit.plus(margin)))
    assembly.range(f"{name}: margin", margin, 0, peak)


@dataclass(frozen=True, eq=False)
class _Place:
    """One of k places for each frame: `reached` (F, k) is 1 from it on, `one_hot` (F, k) at it alone."""

    reached: View
    one_hot: View
    index: View

    @classmethod
    def of(cls, assembly: Assembly, name: str, wires: Integers) -> _Place:
        """Of `wires` (F, k - 1), which say whether places but the last are reached; constrained here."""
        frames = len(wires)
        known = View.of_wires(wires, 0, 1)
        reached = concatenated((known, View.of_constant(1, (frames, 1))), 1)
        before = concatenated((View.of_constant(0, (frames, 1)), known), 1)
        differences = reached.minus(before)
        assembly.gate(Boolean(name, differences))
        return cls(reached, replace(differences, low=0, high=1), known.scaled(-1).shifted(1).sum_last())


def _bind_largest(assembly: Assembly, name: str, place: _Place, index: View, logits: View) -> None:
    """`place`, whose number is `index`, is that of the first of the largest of `logits` (F, k)."""
    frames, count = logits.shape
    wires = assembly.auxiliary(frames)
    assembly.hints.append(Chosen(wires, index, logits))
    largest = View.of_wires(wires, logits.low, logits.high)
    above = largest.take(np.broadcast_to(np.arange(frames)[:, None], (frames, count))).minus(logits)
    assembly.gate(ZeroProduct(f"{name}: largest", place.one_hot, above))
    margins = above.plus(place.reached).shifted(-1)
    assembly.range(f"{name}: margins", margins, 0, logits.high - logits.low)
