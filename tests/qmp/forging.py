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
    AveragePool,
    Convolution,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Requantise,
    Sign,
    output_shape,
)
from pvcnn.program.program import Program
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
            outputs = layer.weight_shape[0]
            weight[layer.name] = flat[:count].reshape(layer.weight_shape)
            bias[layer.name] = flat[count : count + outputs]
            flat = flat[count + outputs :]
        return cls(weight, bias)


def run(
    program: Program, parameters: Parameters, features: Values, tamper: Tamper | None = None
) -> list[LayerTrace]:
    """Every layer's values, whether they are in range or not, with `tamper` applied to each layer's."""
    layers: list[LayerTrace] = []
    values: Values = features
    for index, layer in enumerate(program.layers):
        result = _apply(layer, parameters, values)
        layers.append(tamper(index, result) if tamper else result)
        values = layers[-1].output
    return layers


def _apply(layer: Layer, parameters: Parameters, x: Values) -> LayerTrace:
    match layer:
        case Convolution() | Linear():
            weight, bias = parameters.weight[layer.name], parameters.bias[layer.name]
            result = _convolve(layer, weight, x) if isinstance(layer, Convolution) else x @ weight.T
            spread = bias.reshape(-1, *[1] * (result.ndim - 2))
            return LayerTrace(np.floor(result + spread).astype(np.int64))
        case Requantise():
            y = x.astype(np.int64)
            half = (1 << layer.shift) >> 1
            q = (y + half) >> layer.shift
            return requantised(layer, q, y + half - (q << layer.shift))
        case MaxPool():
            return LayerTrace(windows(layer.size, x).max(axis=-1).astype(np.int64))
        case AveragePool():
            return LayerTrace(windows(layer.size, x).sum(axis=-1).astype(np.int64))
        case Flatten():
            return LayerTrace(x.reshape(len(x), -1).astype(np.int64))
        case Sign():
            return LayerTrace((x > 0).astype(np.int64))


def requantised(layer: Requantise, q: Integers, remainder: Integers) -> LayerTrace:
    known = np.clip(q, layer.table.low, layer.table.high)
    return LayerTrace(layer.table.values[known - layer.table.low], q, remainder)


def _convolve(layer: Convolution, weight: Values, x: Values) -> Values:
    margin = (layer.padding, layer.padding)
    padded = np.pad(x, ((0, 0), (0, 0), margin, margin))
    _, height, width = output_shape(layer, x.shape[1:])
    result = np.zeros((len(x), layer.out_channels, height, width))
    for i in range(height):
        for j in range(width):
            top, left = layer.stride * i, layer.stride * j
            window = padded[:, :, top : top + layer.kernel, left : left + layer.kernel]
            result[:, :, i, j] = np.einsum("ncde,ocde->no", window, weight)
    return result


def windows(size: int, x: Values) -> Values:
    frames, channels, height, width = x.shape
    rows, columns = height // size, width // size
    cropped = x[:, :, : rows * size, : columns * size]
    split = cropped.reshape(frames, channels, rows, size, columns, size)
    return split.transpose(0, 1, 2, 4, 3, 5).reshape(frames, channels, rows, columns, size**2)


def continued(
    circuit: ProgramCircuit,
    honest: StageOne,
    *,
    features: Values | None = None,
    weights: Values | None = None,
    tamper: Tamper | None = None,
    outputs: Integers | None = None,
    advise: Advise | None = None,
) -> StageOne:
    """The stage one that follows from the given features, weights, tampering, outputs and bad advice.

    Halves take part in the inference; their own wires come out as 0, for `placed` to fill.
    """
    shape = (circuit.frames, *circuit.program.input_shape)
    features = honest.in_ if features is None else features
    weights = honest.w if weights is None else weights
    parameters = Parameters.of(circuit.program, weights)
    layers = run(circuit.program, parameters, features.reshape(shape), tamper)
    decisions = layers[-1].output[:, 0] if outputs is None else outputs
    compiled = circuit.compiled
    if advise:
        compiled = replace(compiled, hints=tuple(_Advised(hint, advise) for hint in compiled.hints))
    return fill_stage_one(compiled, decisions, _whole(features), _whole(weights), layers)


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
        Parameters.of(circuit.program, honest.w),
        honest.in_.reshape(circuit.frames, *circuit.program.input_shape),
    )
    return fill_stage_one(circuit.compiled, honest.outputs, in_, honest.w, layers)


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
