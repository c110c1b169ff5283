"""What a cheating prover commits to: forged stage ones, made from an honest one.

Each move tampers with one value and continues honestly from there: everything that follows from the
false value is recomputed, multiplicities are those of the values looked up. So only the gadget that is
attacked can object. `MOVES` names them all; each takes a circuit and an honest stage one. To be
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
from pvcnn.qmp.hints import FromTrace, LowLimbs, Multiplicities, Traced
from pvcnn.qmp.system import StageOne
from pvcnn.qmp.witness import fill_stage_one

Integers = NDArray[np.int64]
Values = NDArray[np.float64] | Integers
Tamper = Callable[[int, LayerTrace], LayerTrace]
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
            return _requantised(layer, q, y + half - (q << layer.shift))
        case MaxPool():
            return LayerTrace(_windows(layer.size, x).max(axis=-1).astype(np.int64))
        case AveragePool():
            return LayerTrace(_windows(layer.size, x).sum(axis=-1).astype(np.int64))
        case Flatten():
            return LayerTrace(x.reshape(len(x), -1).astype(np.int64))
        case Sign():
            return LayerTrace((x > 0).astype(np.int64))


def _requantised(layer: Requantise, q: Integers, remainder: Integers) -> LayerTrace:
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


def _windows(size: int, x: Values) -> Values:
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
) -> StageOne:
    """The stage one that follows from the given features, weights, tampering and outputs.

    Halves take part in the inference; their own wires come out as 0, for `placed` to fill.
    """
    shape = (circuit.frames, *circuit.program.input_shape)
    features = honest.in_ if features is None else features
    weights = honest.w if weights is None else weights
    parameters = Parameters.of(circuit.program, weights)
    layers = run(circuit.program, parameters, features.reshape(shape), tamper)
    decisions = layers[-1].output[:, 0] if outputs is None else outputs
    return fill_stage_one(circuit.compiled, decisions, _whole(features), _whole(weights), layers)


def _whole(values: Values) -> Integers:
    return np.where(values == np.floor(values), values, 0).astype(np.int64)


def placed(values: Integers, index: int, element: int) -> Any:
    """`values` as field elements, with any element at `index`."""
    vector = scalars.from_int64(values)
    vector[index] = scalars.from_integers([element])[0]
    return vector


def _first(program: Program, kind: type[Layer], matches: Callable[[Any], bool] = lambda layer: True) -> int:
    return next(i for i, layer in enumerate(program.layers) if isinstance(layer, kind) and matches(layer))


def _tampering(index: int, change: Callable[[LayerTrace], LayerTrace]) -> Tamper:
    return lambda at, values: change(values) if at == index else values


def _changed(values: Integers, position: Sequence[int], change: int) -> Integers:
    copy = values.copy()
    copy[tuple(position)] += change
    return copy


def _wrong_product(kind: type[Layer]) -> Move:
    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        index = _first(circuit.program, kind)

        def change(values: LayerTrace) -> LayerTrace:
            return LayerTrace(_changed(values.output, (0,) * values.output.ndim, 1))

        return continued(circuit, honest, tamper=_tampering(index, change))

    return move


def wrong_activation(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """act is not the table's value of q."""

    def change(values: LayerTrace) -> LayerTrace:
        act = values.output
        return replace(values, output=_changed(act, (0,) * act.ndim, -1 if act.flat[0] > 0 else 1))

    return continued(circuit, honest, tamper=_tampering(_first(circuit.program, Requantise), change))


def _wrong_split(step: int) -> Move:
    """q moves by `step` and rem makes up for it, so that y stays what it is; act follows q."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        index = _first(circuit.program, Requantise, lambda layer: layer.shift > 0)
        layer = circuit.program.layers[index]
        assert isinstance(layer, Requantise)

        def change(values: LayerTrace) -> LayerTrace:
            assert values.quotient is not None
            assert values.remainder is not None
            position = np.argwhere((values.quotient > layer.table.low) & (values.quotient < layer.table.high))
            q = _changed(values.quotient, position[0], step)
            remainder = _changed(values.remainder, position[0], -step << layer.shift)
            return _requantised(layer, q, remainder)

        return continued(circuit, honest, tamper=_tampering(index, change))

    return move


def wrapping_quotient(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """rem is another value of its range, and q makes up for it modulo r, as a fraction."""
    index = _first(circuit.program, Requantise, lambda layer: layer.shift > 0)
    layer = circuit.program.layers[index]
    assert isinstance(layer, Requantise)
    changed: dict[str, int] = {}

    def change(values: LayerTrace) -> LayerTrace:
        assert values.remainder is not None
        assert values.quotient is not None
        changed["by"] = 1 if values.remainder.flat[0] == 0 else -1
        changed["quotient"] = int(values.quotient.flat[0])
        remainder = _changed(values.remainder, (0,) * values.remainder.ndim, changed["by"])
        return replace(values, remainder=remainder)

    stage_one = continued(circuit, honest, tamper=_tampering(index, change))
    wire = int(quotient_wires(circuit, index)[0])
    fraction = changed["quotient"] - changed["by"] * pow(1 << layer.shift, -1, SCALAR_MODULUS)
    return replace(stage_one, aux=placed(stage_one.aux, wire, fraction))


def quotient_wires(circuit: ProgramCircuit, layer: int) -> Integers:
    """Where, within segment aux, the quotients of a Requantise layer are."""
    first = circuit.system.segments.span("aux").start
    hints = (hint for hint in circuit.compiled.hints if isinstance(hint, FromTrace))
    hint = next(hint for hint in hints if hint.layer == layer and hint.what is Traced.QUOTIENT)
    return np.asarray(hint.wires - first)


def maximum_too_large(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """No entry of the window, but not below any of them."""
    index = _first(circuit.program, MaxPool)
    high = circuit.program.ranges[index][1]

    def change(values: LayerTrace) -> LayerTrace:
        position = np.argwhere(values.output < high)[0]
        return LayerTrace(_changed(values.output, position, 1))

    return continued(circuit, honest, tamper=_tampering(index, change))


def maximum_too_small(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """An entry of the window, but not its largest."""
    index = _first(circuit.program, MaxPool)
    layer = circuit.program.layers[index]
    assert isinstance(layer, MaxPool)
    inputs: list[Integers] = []

    def tamper(at: int, values: LayerTrace) -> LayerTrace:
        if at == index - 1:
            inputs.append(values.output)
        if at != index:
            return values
        smallest = _windows(layer.size, inputs[0]).min(axis=-1)
        position = np.argwhere(smallest < values.output)[0]
        change = int(smallest[tuple(position)] - values.output[tuple(position)])
        return LayerTrace(_changed(values.output, position, change))

    return continued(circuit, honest, tamper=tamper)


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


def _weight_at(position: int, value: Callable[[Program], float], element: int | None = None) -> Move:
    """The weight or bias at `position` of segment w has another value."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        weights = honest.w.astype(np.float64)
        weights[position] = value(circuit.program)
        forged = continued(circuit, honest, weights=weights)
        return forged if element is None else replace(forged, w=placed(forged.w, position, element))

    return move


def _feature(value: Callable[[Program], float], element: int | None = None) -> Move:
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
    return _weight_at(position, lambda program: 1 << (layer.bias_bits - 1))(circuit, honest)


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


def _beyond_weights(program: Program) -> int:
    return 1 << (program.affine_layers[0].weight_bits - 1)


@dataclass(frozen=True)
class Forgery:
    """A move, and what the purposes of all rows that object contain (see oracle.objections)."""

    move: Move
    caught_by: str


MOVES: dict[str, Forgery] = {
    "wrong convolution": Forgery(_wrong_product(Convolution), "conv: both sides agree"),
    "wrong matrix product": Forgery(_wrong_product(Linear), "hidden: both sides agree"),
    "wrong activation": Forgery(wrong_activation, "act: activations"),
    "quotient too large": Forgery(_wrong_split(1), "act: remainders"),
    "remainder too large": Forgery(_wrong_split(-1), "act: remainders"),
    "quotient that wraps around": Forgery(wrapping_quotient, "act: activations"),
    "maximum too large": Forgery(maximum_too_large, "pool: one factor is 0"),
    "maximum too small": Forgery(maximum_too_small, "pool: differences"),
    "wrong decision": Forgery(wrong_decision, "decision: margin"),
    "decision that is no bit": Forgery(decision_is_no_bit, "decision is a bit"),
    "weight out of range": Forgery(_weight_at(0, _beyond_weights), "conv: weights"),
    "weight of one half": Forgery(_weight_at(0, lambda program: 0.5, HALF), "conv: weights"),
    "weight that wraps around": Forgery(_weight_at(0, lambda program: -0.5, -HALF), "conv: weights"),
    "bias out of range": Forgery(bias_out_of_range, "conv: biases"),
    "feature out of range": Forgery(_feature(lambda program: program.input_high + 1), "features"),
    "feature of one half": Forgery(_feature(lambda program: 0.5, HALF), "features"),
    "feature that wraps around": Forgery(_feature(lambda program: -0.5, -HALF), "features"),
    "other features": Forgery(other_features, "conv: both sides agree"),
    "wrong multiplicity": Forgery(wrong_multiplicity, "sums agree"),
    "wrong limb": Forgery(wrong_limb, "sums agree"),
}
