"""Puts the program together: rounds weights, and appends integer layers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.float_graph.graph import (
    FRAMES,
    Activation,
    Add,
    AffineLayer,
    AveragePool,
    Concatenate,
    Conv2d,
    Flatten,
    FloatLayer,
    Linear,
    MaxPool,
    Multiply,
)
from pvcnn.partition.quantisation.accumulators import Accumulators, rescales, sums
from pvcnn.partition.quantisation.calibrate import ValueRange
from pvcnn.partition.quantisation.rounding import integer_layer, round_weights
from pvcnn.partition.quantisation.scale_plan import FeatureScale, ScalePlan
from pvcnn.partition.quantisation.tables import bound
from pvcnn.program import layers as integer
from pvcnn.program.builder import ProgramBuilder
from pvcnn.program.layers import Requantise
from pvcnn.program.program import FEATURES
from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import Weights

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


class Emitter:
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
        elif reveal == "correct":
            output = integer.Correct(self._unused(f"{last}.correct"))
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
