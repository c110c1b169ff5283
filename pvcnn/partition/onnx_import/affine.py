"""ONNX operators with weights: Conv, Gemm, MatMul, BatchNormalization."""

from __future__ import annotations

import torch
from torch import Tensor

from pvcnn.partition.float_graph.graph import BatchNorm, Conv2d, Linear
from pvcnn.partition.onnx_import.model import Node
from pvcnn.partition.onnx_import.values import Translation, Value
from pvcnn.partition.onnx_import.windows import grown, windows_of


def convolution(translation: Translation, node: Node) -> Value:
    signal = translation.padded_signal(node)
    weight = translation.weights(node, 1, 4)
    groups = node.integer("group", 1)
    windows = windows_of(node, translation.map_shape(node, signal), (weight.shape[2], weight.shape[3]))
    if groups < 1 or weight.shape[0] % groups:
        raise node.malformed(f"group is {groups} for {weight.shape[0]} output channels")
    bias = _bias(translation, node, 2, weight.shape[0])
    layer = Conv2d(node.name, weight, bias, grown(node, windows, signal.padding), groups)
    return translation.add(layer, signal.number)


def general_matrix_product(translation: Translation, node: Node) -> Value:
    """alpha A B + beta C, A the features."""
    if node.integer("transA", 0):
        raise node.refuse("transA is not supported; export with transA=0")
    weight = translation.weights(node, 1, 2) * node.floating("alpha", 1.0)
    if not node.integer("transB", 0):
        weight = weight.T
    bias = _bias(translation, node, 2, weight.shape[0]) * node.floating("beta", 1.0)
    return translation.add(Linear(node.name, weight, bias), translation.signal(node))


def matrix_product(translation: Translation, node: Node) -> Value:
    """Features times weights; an Add behind it brings the bias."""
    weight = translation.weights(node, 1, 2).T
    bias = torch.zeros(weight.shape[0], dtype=torch.float64)
    return translation.add(Linear(node.name, weight, bias), translation.signal(node))


def batch_norm(translation: Translation, node: Node) -> Value:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, with running statistics."""
    if node.integer("training_mode", 0):
        raise node.refuse("is in training mode; export the model in eval mode")
    scale, bias, mean, variance = (translation.weights(node, place, 1) for place in range(1, 5))
    if len({len(values) for values in (scale, bias, mean, variance)}) != 1:
        raise node.malformed("scale, bias, mean and variance have different lengths")
    deviation = torch.sqrt(variance + node.floating("epsilon", 1e-5))
    scale = scale / deviation
    shift = bias - mean * scale
    if not bool((torch.isfinite(scale) & torch.isfinite(shift)).all()):
        raise node.malformed("divides by 0 or by the root of a negative number")
    return translation.add(BatchNorm(node.name, scale, shift), translation.signal(node))


def _bias(translation: Translation, node: Node, place: int, outputs: int) -> Tensor:
    """(outputs,); zeros where the node has none, repeated where it has one number for all."""
    if not translation.has(node, place):
        return torch.zeros(outputs, dtype=torch.float64)
    bias = translation.floats(node, place)
    if bias.numel() not in (1, outputs) or bias.shape[-1:] not in ((), (1,), (outputs,)):
        raise node.malformed(f"a bias of the shape {tuple(bias.shape)} does not fit {outputs} outputs")
    return bias.reshape(-1).expand(outputs).clone()
