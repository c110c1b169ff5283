"""ONNX operators that leave entries as they are, constants, and what may stand at a model's end."""

from __future__ import annotations

import math

import numpy as np

from pvcnn.partition.float_graph.graph import Flatten
from pvcnn.partition.float_graph.joins import Joining, Operand, concatenate
from pvcnn.partition.float_graph.place import Setting
from pvcnn.partition.onnx_import.model import Node
from pvcnn.partition.onnx_import.values import BATCH, Convert, Signal, Translation, Value
from pvcnn.program.layers import Shape


def identity(translation: Translation, node: Node) -> Value:
    return translation.value(node, 0)


def dropout(translation: Translation, node: Node) -> Value:
    """Nothing, at inference."""
    if translation.has(node, 2) and translation.flag(node, 2):
        raise node.refuse("is in training mode; export the model in eval mode")
    return translation.value(node, 0)


def constant(translation: Translation, node: Node) -> Value:
    if len(node.attributes) != 1:
        raise node.malformed("must have one value")
    tensor = node.tensor("value")
    if tensor is not None:
        return translation.reader.read(tensor, node.name)
    if "value_float" in node.attributes:
        return np.array(node.floating("value_float", 0.0))
    integers = node.integers("value_ints")
    return np.array(node.integer("value_int", 0) if integers is None else integers, dtype=np.int64)


def flatten(translation: Translation, node: Node) -> Value:
    number = translation.signal(node)
    shape = translation.shape(number)
    if node.axis(node.integer("axis", 1), len(shape) + 1) != 1:
        raise node.refuse("must flatten from axis 1, which keeps frames apart")
    return _reshaped(translation, node, number, (math.prod(shape),))


def reshape(translation: Translation, node: Node) -> Value:
    number = translation.signal(node)
    shape = translation.shape(number)
    sizes = translation.integers(node, 1)
    frame = _frame_sizes(sizes, shape, translation.model.batch)
    if node.integer("allowzero", 0) and 0 in sizes:
        raise node.refuse("makes a tensor without entries; export with allowzero=0")
    if frame is None:
        raise node.refuse(
            f"reshapes frames of {shape} to {sizes}; the first size must be 0, -1 or the batch, "
            "and the others must make up one frame: use Flatten, as nn.Flatten gives it"
        )
    return _reshaped(translation, node, number, frame)


def _frame_sizes(sizes: tuple[int, ...], shape: Shape, batch: int | None) -> Shape | None:
    """The sizes of one frame; None where they mix frames or do not fit."""
    if len(sizes) < 2 or sizes[0] not in (0, -1, batch, BATCH) or sizes.count(-1) > 1 or min(sizes[1:]) < -1:
        return None
    if any(size == 0 and place >= len(shape) for place, size in enumerate(sizes[1:])):
        return None
    frame = [size or shape[place] for place, size in enumerate(sizes[1:])]
    if -1 in frame:
        place = frame.index(-1)
        frame[place] = math.prod(shape) // math.prod(frame[:place] + frame[place + 1 :])
    return tuple(frame) if math.prod(frame) == math.prod(shape) else None


def _reshaped(translation: Translation, node: Node, number: int, shape: Shape) -> Signal:
    before = translation.shape(number)
    if shape == before:
        return Signal(number)
    if len(shape) != 1:
        raise node.refuse(f"reshapes frames of {before} to {shape}; only flattening is supported")
    return translation.add(Flatten(node.name), number)


def concatenation(translation: Translation, node: Node) -> Value:
    if "axis" not in node.attributes:
        raise node.malformed("has no axis")
    operands = [Operand(translation.signal(node, place)) for place in range(len(node.inputs))]
    axis = node.axis(node.integer("axis", 1), len(translation.shape(operands[0].number)) + 1)
    try:
        number = concatenate(Joining(translation.draft, node.name), operands, axis=axis)
    except Setting as setting:
        raise node.refuse(str(setting)) from None
    return translation.checked(number)


def softmax(translation: Translation, node: Node) -> Value:
    """Softmax or its logarithm, which may stand at the end alone."""
    number = translation.signal(node)
    if not _is_end(translation, node, number):
        raise node.refuse("is supported as the model's last operator alone, on (batch, logits)")
    if node.integer("axis", 1) not in (1, -1):
        raise node.refuse("goes over the batch; use axis=1")
    translation.notes.append(
        f"{node.name} ({node.operator}) is left out: it changes neither which logit is the largest nor "
        "their order"
    )
    return Signal(number)


def unless_at_the_end(convert: Convert) -> Convert:
    """The conversion of a sigmoid: at the model's end it is left out, since decisions are logit > 0."""

    def converted(translation: Translation, node: Node) -> Value:
        number = translation.signal(node)
        if not _is_end(translation, node, number):
            return convert(translation, node)
        translation.notes.append(
            f"{node.name} ({node.operator}) is left out: it keeps the order of logits, and is above 1/2 "
            "where a logit is above 0"
        )
        return Signal(number)

    return converted


def _is_end(translation: Translation, node: Node, number: int) -> bool:
    return node.outputs[0] == translation.model.output and len(translation.shape(number)) == 1
