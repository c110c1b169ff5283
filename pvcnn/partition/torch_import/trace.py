"""From a torch module to a graph of float layers, through torch.fx."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.models.layers import Polynomial
from pvcnn.partition.float_graph.graph import FloatGraph
from pvcnn.partition.float_graph.place import refuse
from pvcnn.partition.torch_import.fx_nodes import kind, where
from pvcnn.partition.torch_import.translate import Translation, translate

#: How far graph and model may differ, both in float64, relative to the largest value.
_TOLERANCE = 1e-9
#: With how many frames they are compared.
_COMPARED = 16


def trace(model: nn.Module, frames: Tensor) -> FloatGraph:
    """What `model` computes at inference, in float64: any directed acyclic graph of layers.

    The first of `frames` (N, channels, height, width), N >= 1, are put through both: if the graph does
    not compute what the model computes, it is refused. A softmax or sigmoid of logits at the very end is
    left out, and the graph's notes say so. The model itself is not changed. Raises UnsupportedLayer,
    naming module path, type and remedy, for whatever the graph cannot express.
    """
    reference = copy.deepcopy(model).to(device="cpu", dtype=torch.float64).eval()
    try:
        calls = _Tracer().trace(reference)
    except Exception as error:  # fx runs the model's own code, which can raise anything
        raise UnsupportedLayer(
            f"torch.fx cannot trace {type(model).__name__}: {error}; the model must be a graph of "
            "layers, without control flow that depends on values"
        ) from error
    translation = translate(reference, calls, tuple(frames.shape[1:]))
    with torch.no_grad():
        _check_equivalence(reference, calls, translation, frames[:_COMPARED])
    return translation.graph


class _Tracer(fx.Tracer):
    """Keeps a polynomial as one call."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Polynomial) or super().is_leaf_module(m, module_qualified_name)


def _check_equivalence(model: nn.Module, calls: fx.Graph, translation: Translation, frames: Tensor) -> None:
    _MutationCheck(model, calls).run(frames.clone())
    expected = model(frames.clone())
    actual = translation.graph.output(frames)
    if translation.ending:
        actual = translation.ending.function(actual)
    if actual.ndim == expected.ndim + 1 and actual.shape[1:] == (1,):
        actual = actual.squeeze(1)
    margin = _TOLERANCE * max(1.0, float(expected.abs().max()))
    if actual.shape != expected.shape or not torch.allclose(actual, expected, rtol=_TOLERANCE, atol=margin):
        raise UnsupportedLayer(
            f"{type(model).__name__}: the traced graph of layers does not compute what the model computes; "
            "hooks and behaviour that depends on values or batch size are not supported"
        )


class _MutationCheck(fx.Interpreter):
    """Runs the recorded calls, and refuses a tensor that was changed in place before its last use.

    A graph of layers has no changes in place: each layer would take the tensor as it was made.
    """

    def __init__(self, model: nn.Module, calls: fx.Graph) -> None:
        super().__init__(model, graph=calls)
        self.extra_traceback = False
        self._made: dict[fx.Node, int] = {}
        #: By the address of the memory that was written to, when it last was.
        self._changed: dict[int, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        now = len(self._made)
        sources = {node: self.env[node] for node in n.all_input_nodes if isinstance(self.env[node], Tensor)}
        for source, tensor in sources.items():
            if self._changed.get(_address(tensor), 0) > self._made[source]:
                raise refuse(
                    where(source),
                    kind(source),
                    f"its output is changed in place before {where(n)} uses it; use inplace=False",
                )
        versions = [tensor._version for tensor in sources.values()]
        result = super().run_node(n)
        for tensor, version in zip(sources.values(), versions, strict=True):
            if tensor._version != version:
                self._changed[_address(tensor)] = now
        self._made[n] = now
        return result


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
