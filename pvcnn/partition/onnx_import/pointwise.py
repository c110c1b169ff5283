"""ONNX operators on every entry alone: functions of one variable, and arithmetic."""

from __future__ import annotations

import math

import numpy as np
import torch

from pvcnn.partition.float_graph.activations import Kind
from pvcnn.partition.float_graph.graph import Activation, Add, BatchNorm
from pvcnn.partition.float_graph.joins import Join, Joining, Operand
from pvcnn.partition.float_graph.place import Setting
from pvcnn.partition.onnx_import.model import Node
from pvcnn.partition.onnx_import.values import Convert, Signal, Translation, Value

#: Bounds of a Clip from here on bound nothing: exporters write the largest float for "no bound".
_NO_BOUND = float(np.finfo(np.float32).max)
_SIXTH = np.float32(1 / 6)


def function(kind: Kind, parameter: float = 0.0) -> Convert:
    """The conversion of a function without settings of its own."""

    def convert(translation: Translation, node: Node) -> Value:
        return translation.add(Activation(node.name, kind, parameter), translation.signal(node))

    return convert


def leaky_relu(translation: Translation, node: Node) -> Value:
    slope = node.floating("alpha", 0.01)
    activation = Activation(node.name, "leaky_relu", slope) if slope else Activation(node.name, "relu")
    return translation.add(activation, translation.signal(node))


def elu(translation: Translation, node: Node) -> Value:
    return translation.add(
        Activation(node.name, "elu", node.floating("alpha", 1.0)), translation.signal(node)
    )


def gelu(translation: Translation, node: Node) -> Value:
    kinds: dict[str, Kind] = {"none": "gelu", "tanh": "gelu_tanh"}
    approximation = node.text("approximate", "none")
    if approximation not in kinds:
        raise node.malformed(f"approximate is {approximation}")
    return function(kinds[approximation])(translation, node)


def clip(translation: Translation, node: Node) -> Value:
    low, high = (
        translation.number(node, place) if translation.has(node, place) else default
        for place, default in ((1, -math.inf), (2, math.inf))
    )
    low, high = (-math.inf if low <= -_NO_BOUND else low), (math.inf if high >= _NO_BOUND else high)
    number = translation.signal(node)
    if (low, high) == (0, math.inf):
        return translation.add(Activation(node.name, "relu"), number)
    if (low, high) == (0, 6):
        return translation.add(Activation(node.name, "relu6"), number)
    if not -math.inf < low < high < math.inf:
        raise node.refuse(f"clips to [{low}, {high}]; give both bounds, the lower one first, or 0 alone")
    return translation.add(Activation(node.name, "hardtanh", low, high), number)


def hard_sigmoid(translation: Translation, node: Node) -> Value:
    """min(max(alpha x + beta, 0), 1), which torch has for alpha = 1/6 and beta = 1/2 alone."""
    alpha, beta = node.floating("alpha", 0.2), node.floating("beta", 0.5)
    number = translation.signal(node)
    if np.float32(alpha) == _SIXTH and beta == 0.5:
        return translation.add(Activation(node.name, "hardsigmoid"), number)
    channels = translation.shape(number)[0]
    scale, shift = (torch.full((channels,), factor, dtype=torch.float64) for factor in (alpha, beta))
    inner = translation.add(BatchNorm(f"{node.name}.affine", scale, shift), number)
    return translation.add(Activation(node.name, "hardtanh", 0.0, 1.0), inner.number)


def swish(translation: Translation, node: Node) -> Value:
    """x sigmoid(alpha x)."""
    if node.floating("alpha", 1.0) != 1:
        raise node.refuse("alpha must be 1, which is SiLU")
    return function("silu")(translation, node)


def power(translation: Translation, node: Node) -> Value:
    if translation.number(node, 1) != 2:
        raise node.refuse("only squares are supported: the exponent must be 2")
    return function("square")(translation, node)


def arithmetic(join: Join) -> Convert:
    """The conversion of a sum, difference, product or quotient; one of the two may be a constant."""

    def convert(translation: Translation, node: Node) -> Value:
        operands = [_operand(translation, node, place) for place in (0, 1)]
        if not any(isinstance(operand, Operand) for operand in operands):
            raise node.refuse("takes constants alone; export with constant folding")
        try:
            number = join(Joining(translation.draft, node.name), *operands)
        except Setting as setting:
            raise node.refuse(str(setting)) from None
        return translation.checked(number)

    return convert


def _operand(translation: Translation, node: Node, place: int) -> Operand | torch.Tensor:
    if isinstance(translation.value(node, place), Signal):
        return Operand(translation.signal(node, place))
    return translation.floats(node, place)


def total(translation: Translation, node: Node) -> Value:
    """Sum of any number of tensors of one shape."""
    numbers = [translation.signal(node, place) for place in range(len(node.inputs))]
    if len(numbers) == 1:
        return Signal(numbers[0])
    return translation.add(Add(node.name, (1.0,) * len(numbers)), *numbers)
