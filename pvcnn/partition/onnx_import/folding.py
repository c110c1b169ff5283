"""Shapes that an ONNX model computes instead of stating them, as exporters write x.view(x.size(0), -1).

What no frame goes into is computed here: a few operators that move short lists of whole numbers about.
"""

from __future__ import annotations

import numpy as np
from onnx import AttributeProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator

from pvcnn.partition.onnx_import.model import MAX_LIST, Node
from pvcnn.partition.onnx_import.values import BATCH, Constant, Signal, Translation, Value

#: Operators that move numbers and make none, so that the mark for the batch stays what it is.
MOVES = frozenset({"Concat", "Gather", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
_ATTRIBUTES = frozenset({"allowzero", "axes", "axis", "perm"})


def folded(translation: Translation, node: Node) -> Constant | None:
    """The numbers that the node makes of constants; None for nodes that are something else."""
    if node.operator not in MOVES or not node.inputs:
        return None
    values = [
        translation.value(node, place) if translation.has(node, place) else None
        for place in range(len(node.inputs))
    ]
    if any(isinstance(value, Signal) for value in values):
        return None
    return _moved(node, [None if value is None else _short(node, value) for value in values])


def _moved(node: Node, values: list[Constant | None]) -> Constant:
    """By ONNX's own evaluator. Its errors are those of the file: it indexes, or joins, what does not fit."""
    for name, attribute in node.attributes.items():
        if name not in _ATTRIBUTES or attribute.type not in (AttributeProto.INT, AttributeProto.INTS):
            raise node.refuse(f"the attribute {name!r} is not supported where shapes are computed")
    names = ["" if value is None else f"i{place}" for place, value in enumerate(values)]
    plain = helper.make_node(node.operator, names, ["o"])
    plain.attribute.extend(node.attributes.values())
    feeds = {name: value for name, value in zip(names, values, strict=True) if value is not None}
    opset = helper.make_opsetid("", node.opset)
    try:
        function = helper.make_function("shapes", "shapes", list(feeds), ["o"], [plain], [opset])
        (moved,) = ReferenceEvaluator(function).run(None, feeds, attributes={})
    except Exception as error:
        raise node.malformed("cannot be computed of its constants") from error
    return _short(node, np.asarray(moved))


def _short(node: Node, value: Value) -> Constant:
    if isinstance(value, Signal) or value.dtype != np.int64 or value.size > MAX_LIST or value.ndim > 2:
        raise node.refuse(
            f"computes with constants, which may be lists of {MAX_LIST} whole numbers alone: export with "
            "constant folding"
        )
    return value


def shape(translation: Translation, node: Node) -> Value:
    """The batch, which may not be known yet, then the sizes of a frame."""
    signal = translation.padded_signal(node)
    frame = translation.shape(signal.number)
    if len(frame) == 3:
        frame = (frame[0], *translation.map_shape(node, signal))
    batch = translation.model.batch
    sizes = (BATCH if batch is None else batch, *frame)
    end = node.integer("end", len(sizes))
    return np.array(sizes[node.integer("start", 0) : end], dtype=np.int64)


def full(translation: Translation, node: Node) -> Value:
    """ConstantOfShape, of whole numbers."""
    sizes = translation.integers(node, 0)
    tensor = node.tensor("value")
    filling = np.zeros(1) if tensor is None else translation.reader.read(tensor, node.name)
    if filling.shape != (1,) or len(sizes) > 2 or not all(0 <= size <= MAX_LIST for size in sizes):
        raise node.refuse("is supported for short lists alone: export with constant folding")
    return _short(node, np.full(sizes, filling[0]))


def cast(translation: Translation, node: Node) -> Value:
    """Of whole numbers to whole numbers, which all have 64 bits here."""
    if node.integer("to", 0) not in (TensorProto.INT64, TensorProto.INT32):
        raise node.refuse("is supported for shapes alone: export the model in one float type")
    return _short(node, translation.constant(node, 0))
