"""All moves of a cheating prover, by name."""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.program.layers import Convolution, Linear
from tests.qmp import forging, forging_activations
from tests.qmp.forging import HALF, Move, feature, weight_at, wrong_product
from tests.qmp.forging_activations import false_maxima, wrapping_entry, wrapping_quotient, wrong_split


@dataclass(frozen=True)
class Forgery:
    """A move, and what the purposes of all rows that object contain (see oracle.objections)."""

    move: Move
    caught_by: str


MOVES: dict[str, Forgery] = {
    "wrong convolution": Forgery(wrong_product(Convolution), "conv: both sides agree"),
    "wrong matrix product": Forgery(wrong_product(Linear), "hidden: both sides agree"),
    "wrong activation": Forgery(forging_activations.wrong_activation, "act: activations"),
    "activation of a smaller one": Forgery(
        forging_activations.activation_of_a_smaller_one, "act: activations"
    ),
    "quotient too large": Forgery(wrong_split(1), "act: remainders"),
    "remainder too large": Forgery(wrong_split(-1), "act: remainders"),
    "quotient that wraps around": Forgery(wrapping_quotient("hidden-act"), "act: activations"),
    "remainder of a fraction": Forgery(wrapping_quotient("hidden-act", None), "act: activations"),
    "window that wraps around": Forgery(forging_activations.wrapping_window, "act: activations"),
    "entry of a window that wraps around": Forgery(wrapping_entry(1), "pool: differences"),
    "entry of a window that is a half": Forgery(wrapping_entry(8), "pool: differences"),
    "dropped entry that wraps around": Forgery(forging_activations.wrapping_leftover, "that pool drops"),
    "maximum that is no entry": Forgery(false_maxima(forging_activations.no_entry), "pool: one factor is 0"),
    "maximum that is not the largest": Forgery(
        false_maxima(forging_activations.not_the_largest), "pool: differences"
    ),
    "maximum that lost the first": Forgery(
        false_maxima(forging_activations.the_first_is_lost), "pool: differences"
    ),
    "wrong decision": Forgery(forging.wrong_decision, "decision: margin"),
    "decision that is no bit": Forgery(forging.decision_is_no_bit, "decision is a bit"),
    "weight out of range": Forgery(weight_at(0, forging.beyond_weights), "conv: weights"),
    "weight of one half": Forgery(weight_at(0, lambda program: 0.5, HALF), "conv: weights"),
    "weight that wraps around": Forgery(weight_at(0, lambda program: -0.5, -HALF), "conv: weights"),
    "bias out of range": Forgery(forging.bias_out_of_range, "conv: biases"),
    "feature out of range": Forgery(feature(lambda program: program.input_high + 1), "features"),
    "feature of one half": Forgery(feature(lambda program: 0.5, HALF), "features"),
    "feature that wraps around": Forgery(feature(lambda program: -0.5, -HALF), "features"),
    "other features": Forgery(forging.other_features, "conv: both sides agree"),
    "wrong multiplicity": Forgery(forging.wrong_multiplicity, "sums agree"),
    "wrong limb": Forgery(forging.wrong_limb, "sums agree"),
}
