"""Small programs that are no chains, or end with several logits, with weights and features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pvcnn.program.builder import ProgramBuilder
from pvcnn.program.layers import (
    Argmax,
    AveragePool,
    Combine,
    Concatenate,
    Convolution,
    Flatten,
    Hadamard,
    Linear,
    Logits,
    MaxPool,
    Requantise,
    Sign,
)
from pvcnn.program.program import FEATURES, Program
from pvcnn.program.table import Table
from pvcnn.program.windows import Windows
from tests.qmp.programs import Case, leaky_table, random_features, random_weights

TABLE = leaky_table(7, 1, -16, 15)
SAME = Windows.square(3, 1, 1)


class Network(ProgramBuilder):
    """Adds what blocks have in common."""

    def convolved(
        self, name: str, source: int, outputs: int, windows: Windows = SAME, groups: int = 1
    ) -> int:
        """Convolution and activation."""
        inputs = self.shape(source)[0]
        layer = Convolution(name, inputs, outputs, windows, 3, 5, groups)
        return self.add(Requantise(f"{name}-act", 3, TABLE), self.add(layer, source))

    def classified(self, source: int, classes: int) -> int:
        """Flattened, and a linear layer."""
        flat = self.add(Flatten("flatten"), source)
        return self.add(Linear("head", self.shape(flat)[0], classes, 3, 5), flat)

    def decided(self, source: int) -> Program:
        self.add(Sign("decision"), self.classified(source, 1))
        return self.finish()


def residual() -> Program:
    """x + 3 f(x) of branches with different scales, and activated again."""
    network = Network((2, 4, 4), -8, 7)
    stem = network.convolved("stem", FEATURES, 2)
    branch = network.convolved("branch", stem, 2)
    total = network.add(Combine("sum", (1, 3), -2), stem, branch)
    return network.decided(network.add(Requantise("again", 1, TABLE), total))


def branches() -> Program:
    """An Inception block: 1x1, 3x3, a dilated 3x3, and pools of overlapping windows, concatenated."""
    network = Network((2, 5, 4), -8, 7)
    one = network.convolved("one", FEATURES, 2, Windows.square(1))
    three = network.convolved("three", FEATURES, 3)
    wide = network.convolved("wide", FEATURES, 1, Windows.square(3, 1, 2, 2))
    largest = network.add(MaxPool("pool", Windows.square(3, 1, 1)), FEATURES)
    mean = network.add(AveragePool("sum", Windows.square(3, 1, 1)), FEATURES)
    joined = network.add(Concatenate("joined"), one, three, wide, largest, mean)
    return network.decided(network.convolved("last", joined, 2, Windows.square(2, 2)))


def diamond() -> Program:
    """One tensor goes two ways and comes back as a product."""
    network = Network((2, 4, 4), -8, 7)
    stem = network.convolved("stem", FEATURES, 2)
    left = network.convolved("left", stem, 2)
    product = network.add(Hadamard("product"), left, network.convolved("right", stem, 2))
    return network.decided(network.add(Requantise("product-act", 2, TABLE), product))


def gated() -> Program:
    """A channel gate from the mean of the whole map: squeeze and excite."""
    network = Network((2, 4, 4), -8, 7)
    stem = network.convolved("stem", FEATURES, 3)
    mean = network.add(AveragePool("mean", Windows((4, 4))), stem)
    weak = network.add(Requantise("mean-act", 2, leaky_table(8, 1, -16, 15)), mean)
    gate = network.convolved("gate", weak, 3, Windows.square(1))
    return network.decided(network.add(Hadamard("product"), stem, gate))


def used_thrice() -> Program:
    """By a convolution, by a pool that must not be moved ahead of its table, and by a sum, twice there."""
    network = Network((1, 4, 4), -8, 7)
    stem = network.convolved("stem", FEATURES, 2)
    pooled = network.add(MaxPool("pool", SAME), stem)
    branch = network.convolved("branch", stem, 2)
    total = network.add(Combine("sum", (1, -2, 1, 1)), stem, pooled, branch, stem)
    return network.decided(total)


def raw_output_twice() -> Program:
    """A convolution whose sums are requantised and also added as they are."""
    network = Network((1, 3, 3), -8, 7)
    sums = network.add(Convolution("conv", 1, 2, SAME, 3, 0), FEATURES)
    active = network.add(Requantise("act", 3, TABLE), sums)
    return network.decided(network.add(Combine("sum", (8, -1)), active, sums))


def separable() -> Program:
    """A depthwise convolution, a 1x1 one, a batch norm that could not be folded, overlapping pools."""
    network = Network((3, 7, 6), -8, 7)
    depthwise = network.convolved("depthwise", FEATURES, 6, Windows((3, 2), (2, 1), (1, 0, 0, 1)), groups=3)
    norm = network.convolved("norm", depthwise, 6, Windows.square(1), groups=6)
    return network.decided(network.add(MaxPool("pool", Windows((3, 2), (2, 1), (1, 1, 1, 0))), norm))


def classes() -> Program:
    network = Network((1, 3, 3), -8, 7)
    network.add(Argmax("class"), network.classified(network.convolved("stem", FEATURES, 2), 4))
    return network.finish()


def logits() -> Program:
    network = Network((1, 3, 3), -8, 7)
    network.add(Logits("logits"), network.classified(network.convolved("stem", FEATURES, 2), 3))
    return network.finish()


def largest_feature() -> Program:
    """The features are the logits."""
    network = Network((4,), -8, 7)
    network.add(Argmax("class"), FEATURES)
    return network.finish()


def square_of_features() -> Program:
    """No weights at all: a table of squares, and logits that are views."""
    network = Network((3,), -4, 4)
    squares = network.add(Requantise("square", 0, Table(-4, np.arange(-4, 5) ** 2)), FEATURES)
    network.add(Logits("logits"), network.add(Combine("sum", (2, -1), 5), squares, FEATURES))
    return network.finish()


GRAPHS: dict[str, Callable[[], Program]] = {
    made.__name__: made
    for made in (
        residual,
        branches,
        diamond,
        gated,
        used_thrice,
        raw_output_twice,
        separable,
        classes,
        logits,
        largest_feature,
        square_of_features,
    )
}


def graph_case(name: str, frames: int = 1, seed: int = 5) -> Case:
    program = GRAPHS[name]()
    weights = random_weights(program, seed, 4, 8)
    return Case(program, weights, random_features(program, frames, seed))
