"""From a float graph to a program of integers and its weights.

`pvcnn.partition.planner` chooses scales and tables; here weights are rounded and layers put together.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.accumulators import Accumulators, rescales, sums, without_batch_norms
from pvcnn.partition.calibrate import ValueRange, calibrate
from pvcnn.partition.graph import (
    FRAMES,
    Activation,
    Add,
    AffineLayer,
    AveragePool,
    Concatenate,
    Conv2d,
    Flatten,
    FloatGraph,
    FloatLayer,
    Linear,
    MaxPool,
    Multiply,
    type_name,
)
from pvcnn.partition.planner import plan_scales
from pvcnn.partition.rounding import integer_layer, round_weights
from pvcnn.partition.tables import HEADROOM, bound
from pvcnn.partition.walk import FeatureScale, ScalePlan
from pvcnn.program import layers as integer
from pvcnn.program.builder import ProgramBuilder
from pvcnn.program.layers import Requantise
from pvcnn.program.program import FEATURES
from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import Weights

WEIGHT_BITS = 8
#: Features have this many bits, headroom over what calibration saw included.
FEATURE_BITS = 12
#: What can be revealed of a frame: the decision, or the logits that it follows from.
REVEAL = ("decisions", "logits")

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Stage:
    """Where float and integer network can be compared.

    The output of the float layer called `name` is about that of program layer `program_layer` times
    `scale`, (channels,) or (features,). `saturates`: whether flat ends of that layer's table lose anything.
    """

    name: str
    program_layer: int
    scale: Floats
    saturates: bool


@dataclass(frozen=True, eq=False)
class Quantised:
    """The public part, its correspondence with the float layers, and the scale of features.

    `logit_scale` turns the integers that the last layer decides on, or reveals, into logits.
    """

    public: PublicPart
    stages: tuple[Stage, ...]
    features: FeatureScale
    logit_scale: float


def quantise_graph(
    graph: FloatGraph,
    frames: Tensor,
    reveal: str = "decisions",
    weight_bits: int = WEIGHT_BITS,
) -> Quantised:
    """The program of a whole graph, without a private part: features are frames, rounded.

    `frames`: (N, *graph.input_shape) float64 for calibration. Raises what `quantise` raises.
    """
    ranges = calibrate(graph, frames)
    features = feature_scale(ranges[FRAMES], nonnegative=ranges[FRAMES].low >= 0)
    return quantise(graph, ranges, features, reveal, weight_bits)


def feature_scale(values: ValueRange, nonnegative: bool, bound: float | None = None) -> FeatureScale:
    """FEATURE_BITS bits for values up to `bound`, by default HEADROOM times what calibration saw."""
    peak = bound or HEADROOM * float(values.peaks.max()) or 1.0
    if nonnegative:
        high = (1 << FEATURE_BITS) - 1
        return FeatureScale(peak / high, 0, high)
    high = (1 << (FEATURE_BITS - 1)) - 1
    return FeatureScale(peak / high, -high - 1, high)


def quantise(
    graph: FloatGraph,
    ranges: tuple[ValueRange, ...],
    features: FeatureScale,
    reveal: str = "decisions",
    weight_bits: int = WEIGHT_BITS,
) -> Quantised:
    """The program of the public layers.

    `ranges` are those of the graph's values on calibration frames; the first is that of the private part's
    outputs, before they are divided by the features' step. The blinding of the weights' commitment is
    drawn here, once per model. Raises UnsupportedLayer for a layer that programs do not have, or a
    model that does not end with logits.
    """
    _check_output(graph)
    accumulators, ranges, plan = plan_scales(without_batch_norms(graph), ranges, features, weight_bits)
    emitter = _Emitter(accumulators, ranges, plan, features, weight_bits)
    last = [layer for layer in graph.layers if isinstance(layer, Conv2d | Linear)] or graph.layers[-1:]
    return emitter.run(last[-1].name, reveal)


def _check_output(graph: FloatGraph) -> None:
    layer, shape = graph.layers[-1], graph.shapes[-1]
    if len(shape) != 1:
        raise UnsupportedLayer(
            f"{layer.name} ({type_name(layer)}): the model returns values of shape {shape}, not logits; "
            "end it with a Flatten, or a Linear layer of one output for each class (one alone for yes or no)"
        )


class _Emitter:
    """Appends integer layers in the order of the float layers; where a flow ends, all that flows into it."""

    def __init__(
        self,
        accumulators: Accumulators,
        ranges: tuple[ValueRange, ...],
        plan: ScalePlan,
        features: FeatureScale,
        weight_bits: int,
    ) -> None:
        self._accumulators, self._graph = accumulators, accumulators.graph
        self._ranges, self._plan, self._features = ranges, plan, features
        self._weight_bits = weight_bits
        self._program = ProgramBuilder(self._graph.input_shape, features.low, features.high)
        self._names = {layer.name for layer in self._graph.layers}
        #: The program's number of each float value.
        self._values = {FRAMES: FEATURES}
        self._weight: dict[str, Integers] = {}
        self._bias: dict[str, Integers] = {}
        self._stages: list[Stage] = []

    def run(self, last: str, reveal: str) -> Quantised:
        """`last`: the affine layer after which the decision is named."""
        for index, node in enumerate(self._graph.nodes):
            number = index + 1
            if self._accumulators.flows[number]:
                continue
            if self._accumulators.wide[number]:
                self._values[number] = self._accumulator(number)
                if number in self._plan.tables:
                    self._requantise(number, self._unused(f"{node.layer.name}.requantise"))
            elif number in self._plan.tables:
                self._values[number] = self._values[node.inputs[0]]
                self._requantise(number, node.layer.name)
            else:
                self._values[number] = self._moved(node.layer, node.inputs)
            if number in self._plan.final:
                self._mark(number)
        return self._finish(last, reveal)

    def _requantise(self, number: int, name: str) -> None:
        shift, table = self._plan.tables[number]
        layer = Requantise(name, shift, table)
        self._values[number] = self._program.add(layer, self._values[number])

    def _moved(self, layer: FloatLayer, inputs: tuple[int, ...]) -> int:
        """A layer that makes few bits of few bits without a table."""
        values = [self._values[number] for number in inputs]
        match layer:
            case MaxPool():
                return self._program.add(integer.MaxPool(layer.name, layer.windows), *values)
            case AveragePool():
                return self._program.add(integer.AveragePool(layer.name, layer.windows), *values)
            case Flatten():
                return self._flattened(layer, values[0])
            case Concatenate():
                return self._program.add(integer.Concatenate(layer.name), *values)
            case _:
                assert rescales(layer), layer.name
                return values[0]

    def _accumulator(self, number: int) -> int:
        """The program's number of an accumulator, made with all that flows into it."""
        index = number - 1
        node = self._graph.nodes[index]
        layer = node.layer
        match layer:
            case Conv2d() | Linear():
                return self._affine(layer, node.inputs[0], self._plan.wide[number])
            case Multiply():
                made = self._program.add(
                    integer.Hadamard(layer.name), *(self._values[number] for number in node.inputs)
                )
            case AveragePool():
                made = self._accumulator(node.inputs[0])
                made = self._program.add(integer.AveragePool(layer.name, layer.windows), made)
            case Flatten():
                made = self._flattened(layer, self._accumulator(node.inputs[0]))
            case Add() if sums(layer):
                return self._sum(index, layer.name)
            case _:
                made = self._accumulator(node.inputs[0])
        if index in self._plan.multipliers:
            ((_, multiplier),) = self._plan.multipliers[index]
            name = self._unused(f"{layer.name}.rescale")
            made = self._program.add(integer.Combine(name, (multiplier,)), made)
        return made

    def _sum(self, index: int, name: str) -> int:
        terms = self._plan.multipliers[index]
        values = [
            self._accumulator(number) if self._accumulators.flows[number] else self._values[number]
            for number, _ in terms
        ]
        return self._program.add(integer.Combine(name, tuple(times for _, times in terms)), *values)

    def _affine(self, layer: AffineLayer, number: int, scale: Floats) -> int:
        means = self._ranges[number].means.numpy()
        weight, bias = round_weights(layer, self._plan.final[number], scale, means)
        self._weight[layer.name], self._bias[layer.name] = weight, bias
        return self._program.add(integer_layer(layer, weight, bias, self._weight_bits), self._values[number])

    def _flattened(self, layer: Flatten, value: int) -> int:
        if len(self._program.shape(value)) == 1:
            return value
        return self._program.add(integer.Flatten(layer.name), value)

    def _mark(self, number: int) -> None:
        """The values so far are those of a float layer."""
        value = self._values[number]
        if value == FEATURES:
            return
        layer = self._graph.layers[number - 1]
        saturates = not isinstance(layer, Activation) or bound(layer) is None
        self._stages.append(Stage(layer.name, value - 1, self._plan.final[number], saturates))

    def _finish(self, last: str, reveal: str) -> Quantised:
        number = len(self._graph.nodes)
        value = self._values[number]
        output: integer.Output
        if reveal == "logits":
            output = integer.Logits(self._unused(f"{last}.logits"))
        elif self._program.shape(value) == (1,):
            output = integer.Sign(self._unused(f"{last}.sign"))
        else:
            output = integer.Argmax(self._unused(f"{last}.argmax"))
        self._program.add(output, value)
        try:
            program = self._program.finish()
        except ValueError as error:
            raise UnsupportedLayer(f"{error}; a smaller model or smaller frames will do") from error
        weights = Weights(program, self._weight, self._bias, secrets.randbelow(SCALAR_MODULUS))
        scale = float(self._plan.final[number].max())
        return Quantised(PublicPart(program, weights), tuple(self._stages), self._features, scale)

    def _unused(self, name: str) -> str:
        """`name`, or a longer one if a layer has it."""
        while name in self._names:
            name += "+"
        self._names.add(name)
        return name
