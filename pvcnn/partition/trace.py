"""From a torch module to a chain of float layers, through torch.fx."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable

import torch
from torch import Tensor, fx, nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.convert import from_function, from_module, layer_name, refuse
from pvcnn.partition.graph import Flatten, FloatLayer, apply

#: How far chain and model may differ, both in float64, relative and absolute.
_TOLERANCE = 1e-9
_RESHAPES = ("view", "reshape")
_PRODUCTS = (operator.mul, torch.mul, torch.multiply, "mul")


def trace(model: nn.Module, frames: Tensor) -> tuple[FloatLayer, ...]:
    """The layers of `model` at inference, in order, in float64.

    `frames` (N, channels, height, width) are put through both: if the chain does not compute what the
    model computes, it is refused. The model itself is not changed. Raises UnsupportedLayer, naming
    module path and type, for whatever the graph cannot express.
    """
    reference = copy.deepcopy(model).to(device="cpu", dtype=torch.float64).eval()
    try:
        graph = fx.Tracer().trace(reference)
    except Exception as error:  # fx runs the model's own code, which can raise anything
        raise UnsupportedLayer(
            f"torch.fx cannot trace {type(model).__name__}: {error}; the model must be a plain chain of "
            "layers, without control flow that depends on values"
        ) from error
    layers = _chain(reference, graph)
    _check_equivalence(reference, layers, frames)
    return layers


def _chain(model: nn.Module, graph: fx.Graph) -> tuple[FloatLayer, ...]:
    nodes = [node for node in graph.nodes if not _is_size(node)]
    inputs = [node for node in nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise UnsupportedLayer(f"{type(model).__name__}: takes {len(inputs)} inputs; pass the frames alone")
    layers: list[FloatLayer] = []
    names: set[str] = set()
    current = inputs[0]
    for node in nodes:
        if node.op == "placeholder":
            continue
        _check_link(node, current)
        if node.op == "output":
            break
        layer = _convert(model, node, _unused(_name(node), names))
        if layer is not None:
            names.add(layer.name)
            layers.append(layer)
        current = node
    return tuple(layers)


def _check_link(node: fx.Node, current: fx.Node) -> None:
    """Every tensor must be used by the very next layer, and by no other."""
    if node.op == "get_attr":
        raise refuse(
            _where(node), str(node.target), "constants and parameters may only be used inside layers"
        )
    users = [user for user in current.users if not _is_size(user)]
    if users != [node]:
        raise refuse(
            _where(current),
            _kind(current),
            f"{len(users)} layers use its output; use a plain chain of layers",
        )
    tensors = {source for source in node.all_input_nodes if not _is_size(source)}
    if tensors != {current}:
        raise refuse(_where(node), _kind(node), "combines several tensors; use a plain chain of layers")
    if node.op == "output" and node.args != (current,):
        raise refuse(_where(node), "output", "the model must return its logit alone, as a tensor")


def _convert(model: nn.Module, node: fx.Node, name: str) -> FloatLayer | None:
    where = _where(node)
    if node.op == "call_module":
        return from_module(name, where, model.get_submodule(str(node.target)))
    if not node.args or not isinstance(node.args[0], fx.Node) or _is_size(node.args[0]):
        raise refuse(where, _kind(node), "the tensor must be the first argument")
    target = node.target
    rest = node.args[1:]
    if target in _PRODUCTS and rest == node.args[:1]:
        target, rest = torch.square, ()
    if target in _RESHAPES and _keeps_only_batch(rest):
        return Flatten(name)
    return from_function(name, where, target, rest, dict(node.kwargs))


def _keeps_only_batch(sizes: tuple[object, ...]) -> bool:
    """Whether sizes read (batch, -1), (batch, n) or (-1, n): torch or the check below refuses a wrong n."""
    if len(sizes) == 1 and isinstance(sizes[0], tuple):
        sizes = sizes[0]
    if len(sizes) != 2:
        return False
    batch, features = sizes
    return isinstance(features, int) and (isinstance(batch, fx.Node) or batch == -1)


def _is_size(node: fx.Node) -> bool:
    """Whether a node is a tensor's shape or batch size, as in x.view(x.size(0), -1)."""
    if node.op == "call_method" and node.target == "size":
        return bool(node.args[1:] in ((), (0,)) and not node.kwargs)
    if node.op != "call_function":
        return False
    if node.target is getattr:
        return bool(node.args[1:] == ("shape",))
    if node.target is operator.getitem:
        source, index = node.args
        return isinstance(source, fx.Node) and _is_size(source) and bool(index == 0)
    return False


def _module_stack(node: fx.Node) -> dict[str, tuple[str, type[nn.Module]]]:
    """Path to (path, type) of every module that the call stands in, outermost first."""
    stack: dict[str, tuple[str, type[nn.Module]]] = node.meta.get("nn_module_stack") or {}
    return stack


def _where(node: fx.Node) -> str:
    """The module path of a node; a function's is that of the module that calls it, and its own name."""
    path = next(reversed(_module_stack(node)), "")
    if node.op == "call_module":
        return path
    return f"{path}.{node.name}" if path else node.name


def _kind(node: fx.Node) -> str:
    if node.op == "call_module":
        _, kind = next(reversed(_module_stack(node).values()))
        return kind.__name__
    return str(getattr(node.target, "__name__", node.target))


def _name(node: fx.Node) -> str:
    """Like `_where`, but a module that does one thing, such as a Square, gives its own name to it."""
    path = next(reversed(_module_stack(node)), "")
    alone = path and sum(path in _module_stack(other) for other in node.graph.nodes) == 1
    return layer_name(path if alone else _where(node))


def _unused(name: str, taken: Iterable[str]) -> str:
    """`name`, or with a number behind it if it is taken."""
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}-{count}"
    return candidate


def _check_equivalence(model: nn.Module, layers: tuple[FloatLayer, ...], frames: Tensor) -> None:
    with torch.no_grad():
        expected = model(frames)
        actual = frames
        for layer in layers:
            actual = apply(layer, actual)
        same = actual.shape == expected.shape and torch.allclose(
            actual, expected, rtol=_TOLERANCE, atol=_TOLERANCE
        )
    if not same:
        raise UnsupportedLayer(
            f"{type(model).__name__}: the traced chain of layers does not compute what the model computes; "
            "hooks and behaviour that depends on values or batch size are not supported"
        )
