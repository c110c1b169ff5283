"""From a program of integer layers to a quadratic matrix program."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from pvcnn.program.layers import (
    AveragePool,
    Convolution,
    Flatten,
    Linear,
    MaxPool,
    Requantise,
    Sign,
)
from pvcnn.program.program import Program
from pvcnn.qmp import affine, decision, pooling, requantisation
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.hints import Hint, Traced
from pvcnn.qmp.matrix_program import MatrixProgram
from pvcnn.qmp.views import View


@dataclass(frozen=True, eq=False)
class CompiledProgram:
    """A matrix program and the hints that fill its auxiliary wires, in their order."""

    matrix_program: MatrixProgram
    hints: tuple[Hint, ...]


def compile_layers(program: Program, frames: int) -> CompiledProgram:
    """The matrix program that computes `program` on `frames` frames at once.

    Segment `in` holds the features (frames, *input_shape), `w` the weights in the order of
    `Weights.flat`, the outputs are the decisions. Raises ValueError, naming the layer, if a value
    may reach r/2.
    """
    if frames < 1:
        raise ValueError("a batch has at least one frame")
    features = frames * prod(program.input_shape)
    weights = sum(prod(layer.weight_shape) + layer.weight_shape[0] for layer in program.affine_layers)
    compiler = _Compiler(program, Assembly(frames, features, weights))
    compiler.run()
    return CompiledProgram(compiler.assembly.finish(), tuple(compiler.assembly.hints))


class _Compiler:
    """Walks the layers; `value` is the view of the tensor that the next layer gets."""

    def __init__(self, program: Program, assembly: Assembly) -> None:
        self.program = program
        self.assembly = assembly
        self.weights = affine.weight_views(assembly, program.affine_layers)
        wires = assembly.features().reshape(assembly.frames, *program.input_shape)
        self.value = View.of_wires(wires, program.input_low, program.input_high)
        #: The quotients of the Requantise layer to come, where an affine layer has made them.
        self.quotients: View | None = None
        #: How many of the next layers have been compiled together with one before them.
        self.done_ahead = 0
        assembly.range("features", self.value, program.input_low, program.input_high)

    def run(self) -> None:
        for index in range(len(self.program.layers)):
            if self.done_ahead:
                self.done_ahead -= 1
            else:
                self._compile(index)

    def _compile(self, index: int) -> None:
        assembly, layer = self.assembly, self.program.layers[index]
        match layer:
            case Convolution():
                output = self._affine_output(index)
                affine.convolution(assembly, layer, self.value, self.weights[layer.name], output)
                self.value = output
            case Linear():
                output = self._affine_output(index)
                affine.linear(assembly, layer, self.value, self.weights[layer.name], output)
                self.value = output
            case Requantise():
                pools = requantisation.pools_to_move(self.program.layers, index)
                q = requantisation.pooled(assembly, layer, self._quotients(index, layer), pools)
                self.value = requantisation.activation(assembly, index + len(pools), layer, q)
                self.done_ahead = len(pools)
            case MaxPool():
                width = self.value.high - self.value.low
                self.value = pooling.maximum(assembly, layer, self.value, width)
            case AveragePool():
                self.value = pooling.total(layer, self.value)
            case Flatten():
                self.value = self.value.reshape(assembly.frames, *self.program.shapes[index + 1])
            case Sign():
                decision.sign(assembly, layer, self.value)

    def _affine_output(self, index: int) -> View:
        """The outputs of an affine layer: 2^s q + rem - 2^(s-1) if a Requantise follows, else wires."""
        following = self.program.layers[index + 1]
        if isinstance(following, Requantise):
            self.quotients = self._fresh_quotients(index + 1, following)
            return requantisation.decomposed(self.assembly, index + 1, following, self.quotients)
        shape, bounds = self.program.shapes[index + 1], self.program.ranges[index + 1]
        return self.assembly.traced(index, Traced.OUTPUT, shape, *bounds)

    def _quotients(self, index: int, layer: Requantise) -> View:
        """The q of a Requantise layer: made by the affine layer before it, or else from `value`."""
        if self.quotients is not None:
            q, self.quotients = self.quotients, None
            return q
        if layer.shift == 0:
            return self.value
        q = self._fresh_quotients(index, layer)
        requantisation.constrain_remainder(self.assembly, layer, self.value, q)
        return q

    def _fresh_quotients(self, index: int, layer: Requantise) -> View:
        pools = requantisation.pools_to_move(self.program.layers, index)
        return requantisation.quotient(self.assembly, index, layer, self.program.shapes[index], pools)
