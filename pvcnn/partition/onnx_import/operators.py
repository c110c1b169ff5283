"""The ONNX operators that pvcnn knows: how many inputs, which attributes, and how they are converted."""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.partition.float_graph import joins
from pvcnn.partition.onnx_import import affine, folding, pointwise, pools, shapes
from pvcnn.partition.onnx_import.model import Node
from pvcnn.partition.onnx_import.values import Convert, Translation, Value
from pvcnn.partition.onnx_import.windows import WINDOW_ATTRIBUTES
from pvcnn.program.layers import MAX_INPUTS


@dataclass(frozen=True)
class Operator:
    """An attribute that is not listed is refused, since it might change what the operator computes."""

    convert: Convert
    fewest: int = 1
    most: int = 1
    attributes: frozenset[str] = frozenset()


def _with(*attributes: str) -> frozenset[str]:
    return frozenset(attributes)


OPERATORS: dict[str, Operator] = {
    "Add": Operator(pointwise.arithmetic(joins.add), 2, 2),
    "AveragePool": Operator(
        pools.average_pool, attributes=WINDOW_ATTRIBUTES | {"ceil_mode", "count_include_pad"}
    ),
    "BatchNormalization": Operator(affine.batch_norm, 5, 5, _with("epsilon", "momentum", "training_mode")),
    "Cast": Operator(folding.cast, attributes=_with("to", "saturate")),
    "Clip": Operator(pointwise.clip, 1, 3),
    "Concat": Operator(shapes.concatenation, 1, MAX_INPUTS, _with("axis")),
    "Constant": Operator(shapes.constant, 0, 0, _with("value", "value_float", "value_int", "value_ints")),
    "ConstantOfShape": Operator(folding.full, attributes=_with("value")),
    "Conv": Operator(affine.convolution, 2, 3, WINDOW_ATTRIBUTES | {"group"}),
    "Div": Operator(pointwise.arithmetic(joins.divide), 2, 2),
    "Dropout": Operator(shapes.dropout, 1, 3, _with("ratio", "seed")),
    "Elu": Operator(pointwise.elu, attributes=_with("alpha")),
    "Flatten": Operator(shapes.flatten, attributes=_with("axis")),
    "Gelu": Operator(pointwise.gelu, attributes=_with("approximate")),
    "Gemm": Operator(affine.general_matrix_product, 2, 3, _with("alpha", "beta", "transA", "transB")),
    "GlobalAveragePool": Operator(pools.global_average_pool),
    "GlobalMaxPool": Operator(pools.global_max_pool),
    "HardSigmoid": Operator(pointwise.hard_sigmoid, attributes=_with("alpha", "beta")),
    "HardSwish": Operator(pointwise.function("hardswish")),
    "Identity": Operator(shapes.identity),
    "LeakyRelu": Operator(pointwise.leaky_relu, attributes=_with("alpha")),
    "LogSoftmax": Operator(shapes.softmax, attributes=_with("axis")),
    "MatMul": Operator(affine.matrix_product, 2, 2),
    "MaxPool": Operator(pools.max_pool, attributes=WINDOW_ATTRIBUTES | {"ceil_mode", "storage_order"}),
    "Mul": Operator(pointwise.arithmetic(joins.multiply), 2, 2),
    "Pad": Operator(pools.pad, 2, 4, _with("mode")),
    "Pow": Operator(pointwise.power, 2, 2),
    "ReduceMean": Operator(pools.mean, 1, 2, _with("axes", "keepdims", "noop_with_empty_axes")),
    "Relu": Operator(pointwise.function("relu")),
    "Reshape": Operator(shapes.reshape, 2, 2, _with("allowzero")),
    "Shape": Operator(folding.shape, attributes=_with("start", "end")),
    "Sigmoid": Operator(shapes.unless_at_the_end(pointwise.function("sigmoid"))),
    "Softmax": Operator(shapes.softmax, attributes=_with("axis")),
    "Softplus": Operator(pointwise.function("softplus", 1.0)),
    "Sub": Operator(pointwise.arithmetic(joins.subtract), 2, 2),
    "Sum": Operator(pointwise.total, 1, MAX_INPUTS),
    "Swish": Operator(pointwise.swish, attributes=_with("alpha")),
    "Tanh": Operator(pointwise.function("tanh")),
}

_CONTROL_FLOW = "control flow is not supported; export a model that does the same for every frame"
_QUANTISED = "quantised models are not supported; export the float model, pvcnn quantises it"
_SLICE = "parts of a tensor are not supported; use two convolutions in place of the one that is split"
_ORDER = "axes keep their order; leave it out and flatten with Flatten"
_REMEDIES = {
    "ArgMax": "let the model end with its logits; the decision is taken from them",
    "ConvTranspose": "upsampling has no place in a classifier: leave it out",
    "Erf": "export with opset 20 or later, where GELU is one operator",
    "Gather": _SLICE,
    "If": _CONTROL_FLOW,
    "InstanceNormalization": "its statistics depend on the frame; train with batch norm instead",
    "LayerNormalization": "its statistics depend on the frame; train with batch norm instead",
    "Loop": _CONTROL_FLOW,
    "DequantizeLinear": _QUANTISED,
    "QLinearConv": _QUANTISED,
    "QuantizeLinear": _QUANTISED,
    "Scan": _CONTROL_FLOW,
    "Slice": _SLICE,
    "Split": _SLICE,
    "Squeeze": "flatten with Flatten",
    "Transpose": _ORDER,
}


def convert(translation: Translation, node: Node) -> Value:
    """What the node's first output is. Raises UnsupportedLayer or DecodeError naming node and remedy."""
    constant = folding.folded(translation, node)
    if constant is not None:
        return constant
    operator = OPERATORS.get(node.operator)
    if operator is None:
        remedy = _REMEDIES.get(node.operator, f"supported are {', '.join(OPERATORS)}")
        raise node.refuse(f"not supported; {remedy}")
    unknown = sorted(node.attributes.keys() - operator.attributes)
    if unknown:
        raise node.refuse(f"the attribute {unknown[0]!r} is not supported; leave it out")
    if not operator.fewest <= len(node.inputs) <= operator.most:
        raise node.malformed(f"has {len(node.inputs)} inputs, not {operator.fewest} to {operator.most}")
    if not node.outputs[0]:
        raise node.refuse("its first output is left out")
    return operator.convert(translation, node)
