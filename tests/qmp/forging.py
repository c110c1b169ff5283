"""What a cheating prover commits to: forged stage ones, made from an honest one.

Each move tampers with one value and continues honestly from there: everything that follows from the
false value is recomputed, multiplicities are those of the values looked up. So only the gadget that is
attacked can object. `moves.MOVES` names them all; each takes a circuit and an honest stage one. To be
consistent elsewhere the moves with a half need features and first weights that are even, and 2 for a
decision needs a first decision of 1 (`programs.small_case` has all that); else more gadgets object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.program.inference import LayerTrace
from pvcnn.program.layers import (
    Argmax,
    AveragePool,
    Combine,
    Concatenate,
    Convolution,
    Correct,
    Flatten,
    Hadamard,
    Layer,
    Linear,
    Logits,
    MaxPool,
    Requantise,
    Sign,
)
from pvcnn.program.program import Program
from pvcnn.program.weights import bias_shape
from pvcnn.program.windows import Windows
from pvcnn.qmp.circuit import ProgramCircuit
from pvcnn.qmp.hints import FromTrace, Hint, LowLimbs, Multiplicities, Traced
from pvcnn.qmp.system import StageOne
from pvcnn.qmp.witness import fill_stage_one

Integers = NDArray[np.int64]
Values = NDArray[np.float64] | Integers
Tamper = Callable[[int, LayerTrace], LayerTrace]
#: What a hint's wires get instead of the values that it computes.
Advise = Callable[[Hint, Integers], Integers]
Move = Callable[[ProgramCircuit, StageOne], StageOne]

HALF = pow(2, -1, SCALAR_MODULUS)


@dataclass(frozen=True)
class Parameters:
    """Weights and biases of each affine layer, by name; halves allowed."""

    weight: dict[str, Values]
    bias: dict[str, Values]

    @classmethod
    def of(cls, program: Program, flat: Values) -> Parameters:
        """From the values of segment w."""
        weight, bias = {}, {}
        for layer in program.affine_layers:
            count = int(np.prod(layer.weight_shape))
            outputs = bias_shape(layer)[0]
            weight[layer.name] = flat[:count].reshape(layer.weight_shape)
            bias[layer.name] = flat[count : count + outputs]
            flat = flat[count + outputs :]
        return cls(weight, bias)


def run(
    program: Program,
    parameters: Parameters,
    features: Values,
    tamper: Tamper | None = None,
    labels: Integers | None = None,
) -> list[LayerTrace]:
    """Every layer's values, whether they are in range or not, with `tamper` applied to each layer's."""
    values: list[Values] = [features]
    layers: list[LayerTrace] = []
    for index, node in enumerate(program.nodes):
        result = _apply(node.layer, parameters, [values[number] for number in node.inputs], labels)
        layers.append(tamper(index, result) if tamper else result)
        values.append(layers[-1].output)
    return layers


def _apply(
    layer: Layer, parameters: Parameters, inputs: Sequence[Values], labels: Integers | None
) -> LayerTrace:
    x = inputs[0]
    result: Any
    match layer:
        case Convolution() | Linear():
            weight, bias = parameters.weight[layer.name], parameters.bias[layer.name]
            result = _convolve(layer, weight, x) if isinstance(layer, Convolution) else x @ weight.T
            if len(bias):
                result = result + bias.reshape(-1, *[1] * (result.ndim - 2))
        case Requantise():
            y = x.astype(np.int64)
            half = (1 << layer.shift) >> 1
            q = (y + half) >> layer.shift
            return requantised(layer, q, y + half - (q << layer.shift))
        case MaxPool():
            result = np.nanmax(window_entries(layer.windows, x, np.nan), axis=-1)
        case AveragePool():
            result = window_entries(layer.windows, x, 0).sum(axis=-1)
        case Combine():
            result = layer.constant + sum(m * v for m, v in zip(layer.multipliers, inputs, strict=True))
        case Concatenate():
            result = np.concatenate(inputs, axis=1)
        case Hadamard():
            result = x * inputs[1]
        case Flatten():
            result = x.reshape(len(x), -1)
        case Sign():
            result = x > 0
        case Argmax():
            result = np.argmax(x, axis=1)[:, None]
        case Logits():
            result = x
        case Correct():
            assert labels is not None
            result = (x[:, 0] > 0 if x.shape[1] == 1 else np.argmax(x, axis=1))[:, None] == labels[:, None]
    return LayerTrace(np.floor(result).astype(np.int64))


def requantised(layer: Requantise, q: Integers, remainder: Integers) -> LayerTrace:
    known = np.clip(q, layer.table.low, layer.table.high)
    return LayerTrace(layer.table.values[known - layer.table.low], q, remainder)


def window_entries(shape: Windows, x: Values, padding: float) -> Values:
    """(N, C, Ho, Wo, kernel rows * columns): what each window holds."""
    frames, channels, height, width = x.shape
    rows, columns = shape.outputs(height, width)
    entries = np.full((frames, channels, rows, columns, *shape.kernel), padding, np.float64)
    for i, j, d, e in np.ndindex(rows, columns, *shape.kernel):
        row = shape.stride[0] * i + shape.dilation[0] * d - shape.padding[0]
        column = shape.stride[1] * j + shape.dilation[1] * e - shape.padding[2]
        if 0 <= row < height and 0 <= column < width:
            entries[:, :, i, j, d, e] = x[:, :, row, column]
    return entries.reshape(frames, channels, rows, columns, -1)


def _convolve(layer: Convolution, weight: Values, x: Values) -> Values:
    met = window_entries(layer.windows, x, 0)
    outputs, inputs = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    flat = weight.reshape(layer.out_channels, inputs, -1)
    result = np.zeros((len(x), layer.out_channels, *met.shape[2:4]))
    for o in range(layer.out_channels):
        first = o // outputs * inputs
        result[:, o] = np.einsum("ncijk,ck->nij", met[:, first : first + inputs], flat[o])
    return result


def windows(size: int, x: Values) -> Values:
    """(N, C, H // size, W // size, size^2): disjoint windows."""
    return window_entries(Windows.disjoint(size), x, 0).astype(np.int64)


def continued(
    circuit: ProgramCircuit,
    honest: StageOne,
    *,
    features: Values | None = None,
    weights: Values | None = None,
    tamper: Tamper | None = None,
    outputs: Integers | None = None,
    advise: Advise | None = None,
    labels: Integers | None = None,
) -> StageOne:
    """The stage one that follows from the given features, weights, tampering, outputs, bad advice and labels.

    Halves take part in the inference; their own wires come out as 0, for `placed` to fill.
    """
    shape = (circuit.frames, *circuit.program.input_shape)
    features = honest.in_ if features is None else features
    weights = weights_of(circuit, honest) if weights is None else weights
    parameters = Parameters.of(circuit.program, weights)
    labels = honest.lab if labels is None else labels
    committed = honest.w if circuit.published else _whole(weights)
    layers = run(circuit.program, parameters, features.reshape(shape), tamper, labels)
    revealed = layers[-1].output if outputs is None else outputs
    if isinstance(circuit.program.output, Correct):
        revealed = revealed.sum()
    compiled = circuit.compiled
    if advise:
        compiled = replace(compiled, hints=tuple(_Advised(hint, advise) for hint in compiled.hints))
    return fill_stage_one(compiled, revealed, _whole(features), committed, layers, labels)


def weights_of(circuit: ProgramCircuit, stage_one: StageOne) -> Integers:
    """The committed weights, or those that everybody knows."""
    return circuit.published.flat() if circuit.published else stage_one.w


@dataclass(frozen=True)
class _Advised:
    hint: Hint
    advise: Advise

    @property
    def wires(self) -> Integers:
        return self.hint.wires

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        return self.advise(self.hint, self.hint.values(layers, stage_one))


def _whole(values: Values) -> Integers:
    return np.where(values == np.floor(values), values, 0).astype(np.int64)


def placed(values: Any, index: int, element: int) -> Any:
    """`values`, integers or field elements, as field elements with any element at `index`."""
    vector = scalars.from_int64(values) if values.dtype == np.int64 else values.copy()
    vector[index] = scalars.from_integers([element])[0]
    return vector


def first_layer(
    program: Program, kind: type[Layer], matches: Callable[[Any], bool] = lambda layer: True
) -> int:
    return next(i for i, layer in enumerate(program.layers) if isinstance(layer, kind) and matches(layer))


def tampering(index: int, change: Callable[[LayerTrace], LayerTrace]) -> Tamper:
    return lambda at, values: change(values) if at == index else values


def changed(values: Integers, position: Sequence[int], change: int) -> Integers:
    copy = values.copy()
    copy[tuple(position)] += change
    return copy


def wrong_product(kind: type[Layer]) -> Move:
    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        index = first_layer(circuit.program, kind)

        def change(values: LayerTrace) -> LayerTrace:
            return LayerTrace(changed(values.output, (0,) * values.output.ndim, 1))

        return continued(circuit, honest, tamper=tampering(index, change))

    return move


def traced_wires(circuit: ProgramCircuit, layer: int, what: Traced) -> Integers:
    """Where, within segment aux, a tensor of a layer is."""
    hints = (hint for hint in circuit.compiled.hints if isinstance(hint, FromTrace))
    return within_aux(circuit, next(h for h in hints if h.layer == layer and h.what is what))


def within_aux(circuit: ProgramCircuit, hint: Hint) -> Integers:
    """Where, within segment aux, the wires that a hint fills are."""
    return np.asarray(hint.wires - circuit.system.segments.span("aux").start)


def wrong_decision(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """The first decision is the other one."""
    outputs = honest.outputs.copy()
    outputs[0] = 1 - outputs[0]
    return continued(circuit, honest, outputs=outputs)


def decision_is_no_bit(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """2, and a margin to match."""
    outputs = honest.outputs.copy()
    outputs[0] = 2
    return continued(circuit, honest, outputs=outputs)


def weight_at(position: int, value: Callable[[Program], float], element: int | None = None) -> Move:
    """The weight or bias at `position` of segment w has another value."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        weights = honest.w.astype(np.float64)
        weights[position] = value(circuit.program)
        forged = continued(circuit, honest, weights=weights)
        return forged if element is None else replace(forged, w=placed(forged.w, position, element))

    return move


def feature(value: Callable[[Program], float], element: int | None = None) -> Move:
    """The first feature has another value."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        features = honest.in_.astype(np.float64)
        features[0] = value(circuit.program)
        forged = continued(circuit, honest, features=features)
        return forged if element is None else replace(forged, in_=placed(forged.in_, 0, element))

    return move


def bias_out_of_range(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """The first layer's first bias is one too large."""
    layer = circuit.program.affine_layers[0]
    position = int(np.prod(layer.weight_shape))
    return weight_at(position, lambda program: 1 << (layer.bias_bits - 1))(circuit, honest)


def other_features(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """A feature within its range that the rest was not computed from."""
    in_ = honest.in_.copy()
    in_[0] = in_[0] - 1 if in_[0] > circuit.program.input_low else in_[0] + 1
    layers = run(
        circuit.program,
        Parameters.of(circuit.program, weights_of(circuit, honest)),
        honest.in_.reshape(circuit.frames, *circuit.program.input_shape),
    )
    return fill_stage_one(circuit.compiled, honest.outputs, in_, honest.w, layers, honest.lab)


def wrong_multiplicity(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """One row of a table counts once more."""
    hint = next(hint for hint in circuit.compiled.hints if isinstance(hint, Multiplicities))
    return _aux_changed(circuit, honest, int(hint.wires[0]), 1)


def wrong_limb(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """A limb is one too large, which makes the top limb a wrong one."""
    hint = next(hint for hint in circuit.compiled.hints if isinstance(hint, LowLimbs))
    return _aux_changed(circuit, honest, int(hint.wires[0]), 1)


def _aux_changed(circuit: ProgramCircuit, honest: StageOne, wire: int, change: int) -> StageOne:
    aux = honest.aux.copy()
    aux[wire - circuit.system.segments.span("aux").start] += change
    return replace(honest, aux=aux)


def beyond_weights(program: Program) -> int:
    return 1 << (program.affine_layers[0].weight_bits - 1)
