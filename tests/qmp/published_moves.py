"""Moves of a cheating prover against circuits with published weights (see tests.qmp.forging)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.program.layers import Requantise
from pvcnn.qmp.circuit import ProgramCircuit
from pvcnn.qmp.hints import Multiplicities, Traced
from pvcnn.qmp.system import StageOne
from tests.qmp.forging import (
    Move,
    Parameters,
    first_layer,
    placed,
    run,
    traced_wires,
    weights_of,
    within_aux,
)
from tests.qmp.graph_moves import GRAPH_MOVES, GraphForgery
from tests.qmp.moves import MOVES


def fraction_of_a_quotient(name: str) -> Move:
    """The first q of layer `name` is off by a fraction, modulo r, so that its rem is a neighbour of the true
    one, which the remainders' table has. Multiplicities are those of what is looked up.
    """

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        index = first_layer(circuit.program, Requantise, lambda layer: layer.name == name)
        layer = circuit.program.layers[index]
        assert isinstance(layer, Requantise)
        features = honest.in_.reshape(circuit.frames, *circuit.program.input_shape)
        traced = run(circuit.program, Parameters.of(circuit.program, weights_of(circuit, honest)), features)
        remainders = traced[index].remainder
        assert remainders is not None
        remainder = int(remainders.flat[0])
        step = 1 if remainder + 1 < 1 << layer.shift else -1
        lookup = next(
            lookup
            for _, lookup in circuit.compiled.matrix_program.lookups()
            if lookup.name == f"{name}: remainders"
        )
        hints = (hint for hint in circuit.compiled.hints if isinstance(hint, Multiplicities))
        counts = within_aux(circuit, next(hint for hint in hints if lookup in hint.lookups))
        stretch = int(lookup.columns[0].coefficients[0, 0])  # of the layer's output, which rem has once
        integers = honest.aux.copy()
        integers[counts[stretch * remainder]] -= 1
        integers[counts[stretch * (remainder + step)]] += 1
        wire = int(traced_wires(circuit, index, Traced.QUOTIENT)[0])
        by = -step * pow(1 << layer.shift, -1, SCALAR_MODULUS)
        aux: Any = placed(integers, wire, int(honest.aux[wire]) + by)
        return replace(honest, aux=aux)

    return move


def activation_without_its_layer(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """The activations behind the last convolution are all 0, and their quotients, as if it gave zeros."""
    index = first_layer(circuit.program, Requantise, lambda layer: layer.name == "hidden-act")
    aux = honest.aux.copy()
    for what in (Traced.QUOTIENT, Traced.OUTPUT):
        aux[traced_wires(circuit, index, what)] = 0
    return replace(honest, aux=aux)


#: What moves committed weights, or remainders that are wires, has nothing to move here; and a wrong sum that
#: is requantised to the right quotient is no wire, hence no forgery.
_MEANINGLESS = {
    "wrong convolution",
    "wrong matrix product",
    "quotient that wraps around",
    "remainder of a fraction",
    "window that wraps around",
    "entry of a window that wraps around",
    "entry of a window that is a half",
    "dropped entry that wraps around",
    "weight out of range",
    "weight of one half",
    "weight that wraps around",
    "bias out of range",
    "wrong depthwise convolution",
    "wrong sum over padded windows",
}

#: On `programs.small_case`: a move, and what the purposes of all rows that object contain.
PUBLISHED_MOVES: dict[str, tuple[Move, tuple[str, ...]]] = {
    **{name: (forgery.move, (forgery.caught_by,)) for name, forgery in MOVES.items()},
    "other features": (MOVES["other features"].move, ("act: remainders",)),
    "fraction of a quotient": (fraction_of_a_quotient("hidden-act"), ("hidden-act: activations",)),
    "activations without their layer": (
        activation_without_its_layer,
        ("hidden-act: remainders", "hidden-act: activations", "margin"),
    ),
}
#: On graphs.
PUBLISHED_GRAPH_MOVES: dict[str, GraphForgery] = dict(GRAPH_MOVES)
for name, purpose in (
    ("wrong dilated block", "wide-act: remainders"),
    ("wrong entry of a concatenation", "last-act: remainders"),
    ("depthwise channels swapped", "depthwise-act: remainders"),
    ("product of another channel's gate", "product"),
):
    PUBLISHED_GRAPH_MOVES[name] = replace(GRAPH_MOVES[name], caught_by=frozenset({purpose}))
for name in _MEANINGLESS:
    PUBLISHED_MOVES.pop(name, None)
    PUBLISHED_GRAPH_MOVES.pop(name, None)
assert {"quotient too large", "wrong decision", "feature of one half"} < PUBLISHED_MOVES.keys()
