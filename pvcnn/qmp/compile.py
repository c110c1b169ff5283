"""From a program of integer layers to a quadratic matrix program."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from pvcnn.program.layers import (
    Argmax,
    AveragePool,
    Combine,
    Concatenate,
    Convolution,
    Correct,
    Flatten,
    Hadamard,
    Linear,
    Logits,
    MaxPool,
    Requantise,
    Sign,
)
from pvcnn.program.program import FEATURES, Program
from pvcnn.program.weights import Weights, bias_shape
from pvcnn.qmp import affine, outputs, pooling, requantisation
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.hints import Hint, Traced
from pvcnn.qmp.matrix_program import MatrixProgram
from pvcnn.qmp.views import View, concatenated


@dataclass(frozen=True, eq=False)
class CompiledProgram:
    """A matrix program and the hints that fill its auxiliary wires, in their order."""

    matrix_program: MatrixProgram
    hints: tuple[Hint, ...]


def compile_layers(program: Program, frames: int, published: Weights | None = None) -> CompiledProgram:
    """The matrix program that computes `program` on `frames` frames at once.

    Segment `in` holds the features (frames, *input_shape), `w` the weights in the order of
    `Weights.flat`, or nothing if they are `published`, `lab` a label a frame if the program takes them;
    outputs come frame by frame, but for a count. Raises ValueError, naming the layer, if a value may
    reach r/2.
    """
    if frames < 1:
        raise ValueError("a batch has at least one frame")
    features = frames * prod(program.input_shape)
    committed = () if published else program.affine_layers
    weights = sum(prod(layer.weight_shape) + prod(bias_shape(layer)) for layer in committed)
    labels = 0 if program.label_classes is None else frames
    assembly = Assembly(frames, program.outputs_of(frames), features, weights, labels)
    compiler = _Compiler(program, assembly, published)
    compiler.run()
    return CompiledProgram(compiler.assembly.finish(), tuple(compiler.assembly.hints))


class _Compiler:
    """Walks the nodes, and keeps a view of every value that a later node needs."""

    def __init__(self, program: Program, assembly: Assembly, published: Weights | None) -> None:
        self.program = program
        self.assembly = assembly
        self.published = published
        self.weights = {} if published else affine.weight_views(assembly, program.affine_layers)
        wires = assembly.features().reshape(assembly.frames, *program.input_shape)
        features = View.of_wires(wires, program.input_low, program.input_high)
        assembly.range("features", features, program.input_low, program.input_high)
        self.values = {FEATURES: features}
        #: The quotients of Requantise nodes to come, where the node before has made them.
        self.quotients: dict[int, View] = {}
        #: Nodes that have been compiled together with one before them.
        self.done: set[int] = set()

    def run(self) -> None:
        for index in range(len(self.program.nodes)):
            if index not in self.done:
                try:
                    self._compile(index)
                except OverflowError as error:
                    raise ValueError(f"{self.program.layers[index].name}: {error}") from error
            for number in self.program.last_uses(index):
                self.values.pop(number, None)

    def _compile(self, index: int) -> None:
        node, assembly = self.program.nodes[index], self.assembly
        inputs = [self.values[number] for number in node.inputs]
        made = index + 1
        match node.layer:
            case Convolution() | Linear() as layer if self.published:
                self.values[made] = affine.published(assembly, layer, inputs[0], self.published)
            case Convolution() as layer:
                output = self._product_output(index)
                affine.convolution(assembly, layer, inputs[0], self.weights[layer.name], output)
                self.values[made] = output
            case Linear() as layer:
                output = self._product_output(index)
                affine.linear(assembly, layer, inputs[0], self.weights[layer.name], output)
                self.values[made] = output
            case Hadamard() as layer:
                output = self._product_output(index)
                affine.hadamard(assembly, layer, inputs[0], inputs[1], output)
                self.values[made] = output
            case Requantise() as layer:
                self._requantise(index, layer, inputs[0])
            case MaxPool() as layer:
                width = inputs[0].high - inputs[0].low
                self.values[made] = pooling.maximum(assembly, layer, inputs[0], width)
            case AveragePool() as layer:
                self.values[made] = pooling.total(layer, inputs[0]).merged()
            case Combine() as layer:
                self.values[made] = _combined(layer, inputs).merged()
            case Concatenate():
                self.values[made] = concatenated(inputs, 1)
            case Flatten():
                self.values[made] = inputs[0].reshape(assembly.frames, *self.program.shapes[made])
            case Sign() as layer:
                outputs.sign(assembly, layer, inputs[0])
            case Argmax() as layer:
                outputs.argmax(assembly, layer, inputs[0])
            case Logits() as layer:
                outputs.reveal(assembly, layer, inputs[0])
            case Correct() as layer:
                outputs.correct(assembly, layer, inputs[0])

    def _product_output(self, index: int) -> View:
        """What an affine or product node makes: fresh wires, or 2^s q + rem - 2^(s-1) for a Requantise.

        The latter where a Requantise node alone takes it.
        """
        following = self.program.sole_consumer(index)
        layer = None if following is None else self.program.layers[following]
        if following is not None and isinstance(layer, Requantise):
            self.quotients[following] = self._fresh_quotients(following, layer)
            return requantisation.decomposed(self.assembly, following, layer, self.quotients[following])
        shape, bounds = self.program.shapes[index + 1], self.program.ranges[index + 1]
        return self.assembly.traced(index, Traced.OUTPUT, shape, *bounds)

    def _requantise(self, index: int, layer: Requantise, value: View) -> None:
        """Together with the max pools behind it that may come first."""
        moved = requantisation.pools_to_move(self.program, index)
        pooled = requantisation.pooled(
            self.assembly, layer, self._quotients(index, layer, value), self._pools(index)
        )
        last = moved[-1] if moved else index
        self.values[last + 1] = requantisation.activation(self.assembly, last, layer, pooled)
        self.done.update(moved)

    def _quotients(self, index: int, layer: Requantise, value: View) -> View:
        """The q of a Requantise node: made by the node before it, or else from `value`."""
        if index in self.quotients:
            return self.quotients.pop(index)
        if layer.shift == 0:
            return value
        q = self._fresh_quotients(index, layer)
        requantisation.constrain_remainder(self.assembly, layer, value, q)
        return q

    def _fresh_quotients(self, index: int, layer: Requantise) -> View:
        shape = self.program.shapes[index + 1]
        return requantisation.quotient(self.assembly, index, layer, shape, self._pools(index))

    def _pools(self, index: int) -> list[MaxPool]:
        layers = (self.program.layers[pool] for pool in requantisation.pools_to_move(self.program, index))
        return [layer for layer in layers if isinstance(layer, MaxPool)]


def _combined(layer: Combine, inputs: list[View]) -> View:
    """constant + sum_i multipliers[i] x_i: a view."""
    first, *others = (
        view.scaled(multiplier) for multiplier, view in zip(layer.multipliers, inputs, strict=True)
    )
    for other in others:
        first = first.plus(other)
    return first.shifted(layer.constant)
