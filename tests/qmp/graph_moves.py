"""Moves of a cheating prover against the gadgets that chains lack: see tests.qmp.forging."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pvcnn.program.inference import LayerTrace
from pvcnn.program.layers import AveragePool, Combine, Concatenate, Convolution, Hadamard, Layer
from pvcnn.qmp.circuit import ProgramCircuit
from pvcnn.qmp.hints import Chosen, FromPlace, Hint
from pvcnn.qmp.system import StageOne
from tests.qmp import forging_activations as activations
from tests.qmp.forging import (
    HALF,
    Integers,
    Move,
    changed,
    continued,
    first_layer,
    placed,
    tampering,
    within_aux,
    wrong_product,
)
from tests.qmp.forging_activations import false_maxima


@dataclass(frozen=True)
class GraphForgery:
    """A move on a program of `graphs.GRAPHS`, the features if they matter, and which rows object."""

    graph: str
    move: Move
    caught_by: frozenset[str]
    features: tuple[int, ...] | None = None


def wrong_by(kind: type[Layer], difference: int) -> Move:
    """The first entry of a layer's output is off by `difference`."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        def change(values: LayerTrace) -> LayerTrace:
            return LayerTrace(changed(values.output, (0,) * values.output.ndim, difference))

        return continued(circuit, honest, tamper=tampering(first_layer(circuit.program, kind), change))

    return move


def swapped_channels(kind: type[Layer]) -> Move:
    """Two unequal channels of a layer's output change places."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        def change(values: LayerTrace) -> LayerTrace:
            first = values.output[:, :1]
            other = int(np.argmax((values.output != first).any(axis=(0, 2, 3))))
            assert other
            order = np.arange(values.output.shape[1])
            order[[0, other]] = order[[other, 0]]
            return LayerTrace(values.output[:, order])

        return continued(circuit, honest, tamper=tampering(first_layer(circuit.program, kind), change))

    return move


def claimed(*outputs: int) -> Move:
    """Other outputs, and everything that the prover may choose to match."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        return continued(circuit, honest, outputs=np.array(outputs))

    return move


def shown(output: int, bits: tuple[int, ...], value: int) -> Move:
    """An index, with any integers as the bits that should show where it is, and as the largest logit."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        def advise(hint: Hint, values: Integers) -> Integers:
            if isinstance(hint, FromPlace):
                return np.array(bits)
            return np.array([value]) if isinstance(hint, Chosen) else values

        return continued(circuit, honest, outputs=np.array([output]), advise=advise)

    return move


def half_a_place(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """Half a one at each of two equal logits: the sums are right."""
    hint = next(hint for hint in circuit.compiled.hints if isinstance(hint, FromPlace))
    return replace(honest, aux=placed(honest.aux, int(within_aux(circuit, hint)[0]), HALF))


def revealed_one_more(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """The last logit is one too large."""
    outputs = honest.outputs.copy()
    outputs[-1] += 1
    return continued(circuit, honest, outputs=outputs)


def _caught(*purposes: str) -> frozenset[str]:
    return frozenset(purposes)


GRAPH_MOVES: dict[str, GraphForgery] = {
    "wrong depthwise convolution": GraphForgery(
        "separable", wrong_product(Convolution), _caught("depthwise: both sides agree")
    ),
    "depthwise channels swapped": GraphForgery(
        "separable", swapped_channels(Convolution), _caught("depthwise: both sides agree")
    ),
    "wrong dilated block": GraphForgery(
        "branches", swapped_channels(Concatenate), _caught("last: both sides agree")
    ),
    "wrong entry of a concatenation": GraphForgery(
        "branches", wrong_product(Concatenate), _caught("last: both sides agree")
    ),
    "wrong sum over padded windows": GraphForgery(
        "branches", wrong_product(AveragePool), _caught("last: both sides agree")
    ),
    "wrong mean of a map": GraphForgery("gated", wrong_by(AveragePool, 16), _caught("mean-act: remainders")),
    "wrong product": GraphForgery("diamond", wrong_product(Hadamard), _caught("product")),
    "product of another channel's gate": GraphForgery(
        "gated", swapped_channels(Hadamard), _caught("head: both sides agree", "product")
    ),
    "wrong residual sum": GraphForgery("residual", wrong_by(Combine, 2), _caught("again: remainders")),
    "maximum of overlapping windows that is no entry": GraphForgery(
        "branches", false_maxima(activations.no_entry), _caught("pool: one factor is 0")
    ),
    "maximum of overlapping windows that is not the largest": GraphForgery(
        "branches", false_maxima(activations.not_the_largest), _caught("pool: differences")
    ),
    "maximum of a column that is shared": GraphForgery(
        "branches", false_maxima(activations.the_first_is_lost), _caught("pool: differences")
    ),
    "maximum of padded rectangles": GraphForgery(
        "separable", false_maxima(activations.not_the_largest), _caught("pool: differences")
    ),
    "class of a smaller logit": GraphForgery(
        "largest_feature", claimed(3), _caught("class: margins"), (5, 6, 2, 4)
    ),
    "a later class of equal logits": GraphForgery(
        "largest_feature", claimed(2), _caught("class: margins"), (5, 6, 6, 4)
    ),
    "a class that there is not": GraphForgery(
        "largest_feature", claimed(4), _caught("class: index", "class: margins"), (5, 6, 6, 6)
    ),
    "another class than the place": GraphForgery(
        "largest_feature", shown(2, (0, 1, 1), 6), _caught("class: index"), (5, 6, 2, 4)
    ),
    "a place that is left again": GraphForgery(
        "largest_feature", shown(1, (1, 0, 1), 6), _caught("class: one place", "class: margins"), (6, 6, 6, 6)
    ),
    "two places and one that counts twice": GraphForgery(
        "largest_feature", shown(0, (2, 0, 1), 6), _caught("class: one place", "class: margins"), (6, 6, 6, 6)
    ),
    "half a place": GraphForgery(
        "largest_feature",
        half_a_place,
        _caught("class: one place", "class: index", "class: margins"),
        (6, 6, 1, 0),
    ),
    "a largest logit that there is not": GraphForgery(
        "largest_feature", shown(0, (1, 1, 1), 6), _caught("class: largest"), (5, 6, 2, 4)
    ),
    "wrong logit": GraphForgery("logits", revealed_one_more, _caught("logits: revealed")),
    "wrong class of a network": GraphForgery("classes", claimed(0), _caught("class: margins")),
}
