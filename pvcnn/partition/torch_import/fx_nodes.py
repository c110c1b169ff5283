"""What torch.fx knows about the place of a call: its module path, and names for it."""

from __future__ import annotations

import re
from collections import Counter

from torch import fx, nn


def where(node: fx.Node) -> str:
    """The module path of a node; a function's is that of the module that calls it, and its own name."""
    path = _path(node)
    if node.op == "call_module":
        return path
    return f"{path}.{node.name}" if path else node.name


def kind(node: fx.Node) -> str:
    """The type of a module, or the name of a function or method."""
    if node.op == "call_module":
        _, found = next(reversed(_module_stack(node).values()))
        return found.__name__
    return str(getattr(node.target, "__name__", node.target))


def layer_names(graph: fx.Graph) -> dict[fx.Node, str]:
    """Like `where`, but a module that does one thing, such as a Square, gives its own name to it.

    Names are what programs accept: printable ASCII without spaces. Two may be equal.
    """
    calls = Counter(call for node in graph.nodes for call in _module_stack(node))
    names = {}
    for node in graph.nodes:
        call = next(reversed(_module_stack(node)), "")
        names[node] = _printable(_path(node) if call and calls[call] == 1 else where(node))
    return names


def _path(node: fx.Node) -> str:
    path, _ = next(reversed(_module_stack(node).values()), ("", None))
    return path


def _module_stack(node: fx.Node) -> dict[str, tuple[str, type[nn.Module]]]:
    """For every call of a module that the node stands in, outermost first, the module's path and type."""
    stack: dict[str, tuple[str, type[nn.Module]]] = node.meta.get("nn_module_stack") or {}
    return stack


def _printable(name: str) -> str:
    return re.sub(r"[^!-~]", "_", name)[:180] or "model"
