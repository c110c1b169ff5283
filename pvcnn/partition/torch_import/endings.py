"""Softmax and its like at a model's very end: left out, since they keep the order of the logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, fx, nn

from pvcnn.partition.float_graph.place import refuse
from pvcnn.partition.torch_import.fx_nodes import kind, where
from pvcnn.partition.torch_import.values import Traced

_SOFTMAX_MODULES = (nn.Softmax, nn.LogSoftmax)
_SOFTMAX_FUNCTIONS = frozenset(
    (F.softmax, torch.softmax, "softmax", F.log_softmax, torch.log_softmax, "log_softmax")
)
_SIGMOID_MODULES = (nn.Sigmoid, nn.LogSigmoid)
_SIGMOID_FUNCTIONS = frozenset((F.sigmoid, torch.sigmoid, "sigmoid", F.logsigmoid))


@dataclass(frozen=True)
class Ending:
    """What the model does to its logits in the end, and what to tell the owner about it."""

    function: Callable[[Tensor], Tensor]
    note: str


def module_ending(node: fx.Node, logits: Traced, module: nn.Module) -> Ending | None:
    """What `module` does to the logits, if that can be left out. Raises UnsupportedLayer for another axis."""
    if not _returned_logits(node, logits):
        return None
    if isinstance(module, _SOFTMAX_MODULES):
        return _softmax(node, module.dim, module)
    return _sigmoid(node, module) if isinstance(module, _SIGMOID_MODULES) else None


def function_ending(
    node: fx.Node, logits: Traced, call: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Ending | None:
    """The same for a call of a function or method with these arguments behind the tensor."""
    if not _returned_logits(node, logits):
        return None
    if node.target in _SOFTMAX_FUNCTIONS:
        dim = args[0] if args else kwargs.get("dim")
        return _softmax(node, dim, lambda tensor: call(tensor, *args, **kwargs))
    return _sigmoid(node, call) if node.target in _SIGMOID_FUNCTIONS else None


def _returned_logits(node: fx.Node, logits: Traced) -> bool:
    return len(logits.shape) == 1 and [user.op for user in node.users] == ["output"]


def _softmax(node: fx.Node, dim: object, function: Callable[[Tensor], Tensor]) -> Ending:
    if dim not in (1, -1):
        raise refuse(where(node), kind(node), f"dim={dim} is not supported; use dim=1")
    reason = "it changes neither which logit is the largest nor their order"
    return Ending(function, f"{where(node)} ({kind(node)}) is left out: {reason}")


def _sigmoid(node: fx.Node, function: Callable[[Tensor], Tensor]) -> Ending:
    reason = "it keeps the order of logits, and is above 1/2 where a logit is above 0"
    return Ending(function, f"{where(node)} ({kind(node)}) is left out: {reason}")
