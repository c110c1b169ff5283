"""From the calls that torch.fx recorded to a graph of float layers."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.float_graph.draft import Draft
from pvcnn.partition.float_graph.graph import FRAMES, FloatGraph
from pvcnn.partition.float_graph.joins import JOINS, Join, Joining, Operand
from pvcnn.partition.float_graph.place import Layers, Place, Setting, refuse
from pvcnn.partition.torch_import import convert, reshapes
from pvcnn.partition.torch_import.endings import Ending, function_ending, module_ending
from pvcnn.partition.torch_import.fx_nodes import kind, layer_names, where
from pvcnn.partition.torch_import.reshapes import RESHAPES
from pvcnn.partition.torch_import.values import Traced, settle
from pvcnn.program.layers import Shape


@dataclass(frozen=True)
class Translation:
    """The graph, and what the model does to its output in the end, if that was left out."""

    graph: FloatGraph
    ending: Ending | None


def translate(model: nn.Module, graph: fx.Graph, input_shape: Shape) -> Translation:
    """The graph of what `model` computes for frames of `input_shape`. Raises UnsupportedLayer."""
    return _Translator(model, graph, input_shape).translation()


class _Translator:
    """Follows the calls in order; what each gives is a Traced tensor, or a constant."""

    def __init__(self, model: nn.Module, graph: fx.Graph, input_shape: Shape) -> None:
        self._model = model
        self._calls = graph.nodes
        self._draft = Draft(input_shape)
        self._names = layer_names(graph)
        self._results: dict[fx.Node, Any] = {}
        self._settled: dict[tuple[int, Shape], int] = {}
        self._ending: Ending | None = None

    def translation(self) -> Translation:
        inputs = sum(node.op == "placeholder" for node in self._calls)
        if inputs != 1:
            raise UnsupportedLayer(
                f"{type(self._model).__name__}: takes {inputs} inputs; pass the frames alone"
            )
        for node in self._calls:
            self._results[node] = self._result(node)
        if self._draft.output == FRAMES:
            raise UnsupportedLayer(f"{type(self._model).__name__}: has no layer that does anything")
        notes = () if self._ending is None else (self._ending.note,)
        return Translation(self._draft.finish(notes), self._ending)

    def _result(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return Traced(FRAMES, self._draft.shape(FRAMES))
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self._model)
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self._results.__getitem__)
        if node.op == "output":
            return self._return(node, args[0])
        if not any(_tensors((args, kwargs))):
            return self._constant(node, args, kwargs)
        if node.op == "call_module":
            return self._module(node, args, kwargs)
        return self._function(node, args, dict(kwargs))

    def _return(self, node: fx.Node, returned: object) -> None:
        if not isinstance(returned, Traced):
            raise refuse(where(node), "output", "the model must return its logits alone, as a tensor")
        if returned.shape == () and self._draft.shape(returned.number) == (1,):
            returned = Traced(returned.number, (1,))
        if any(returned.padding):
            raise refuse(where(node), "output", "the model returns a padded tensor; leave out the padding")
        self._draft.output = self._settle(returned)

    def _constant(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call gives that no frame goes into."""
        try:
            with torch.no_grad():
                return self._callable(node)(*args, **kwargs)
        except Exception as error:  # the model's own code, which can raise anything
            raise refuse(
                where(node), kind(node), f"cannot be known before the frames are: {error}"
            ) from error

    def _callable(self, node: fx.Node) -> Callable[..., Any]:
        if node.op == "call_module":
            return self._model.get_submodule(str(node.target))
        if not isinstance(node.target, str):
            return node.target
        name = node.target
        return lambda tensor, *args, **kwargs: getattr(tensor, name)(*args, **kwargs)

    def _module(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Traced:
        module = self._model.get_submodule(str(node.target))
        if module._forward_hooks or module._forward_pre_hooks:
            raise refuse(
                where(node), kind(node), "has forward hooks, which would be ignored; remove them first"
            )
        if len(args) != 1 or kwargs or not isinstance(args[0], Traced):
            raise refuse(where(node), kind(node), "must be called with one tensor alone")
        tensor: Traced = args[0]
        ending = module_ending(node, tensor, module)
        if ending is not None:
            self._ending = ending
            return tensor
        reshaped = reshapes.from_module(node, tensor, self._names[node], module)
        if reshaped is not None:
            return reshaped
        return self._chain(tensor, convert.from_module(self._place(node, tensor), where(node), module))

    def _function(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        if node.target in JOINS:
            return self._join(node, JOINS[node.target], args, kwargs)
        if not args or not isinstance(args[0], Traced):
            raise refuse(where(node), kind(node), "the tensor must be the first argument")
        tensor, *rest = args
        if node.target in RESHAPES:
            return _call(node, RESHAPES[node.target], node, tensor, self._names[node], *rest, **kwargs)
        if any(_tensors((rest, kwargs))):
            raise refuse(where(node), kind(node), "combines tensors; +, -, * and torch.cat are supported")
        ending = function_ending(node, tensor, self._callable(node), tuple(rest), kwargs)
        if ending is not None:
            self._ending = ending
            return tensor
        layers = convert.from_function(
            self._place(node, tensor), where(node), node.target, tuple(rest), kwargs
        )
        return self._chain(tensor, layers)

    def _join(self, node: fx.Node, join: Join, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Traced:
        operands, named = fx.node.map_aggregate((args, kwargs), lambda item: self._operand(node, item))
        try:
            number = _call(node, join, Joining(self._draft, self._names[node]), *operands, **named)
        except Setting as setting:
            raise refuse(where(node), kind(node), str(setting)) from None
        return Traced(number, self._draft.shape(number))

    def _operand(self, node: fx.Node, item: Any) -> Any:
        if not isinstance(item, Traced):
            return item
        if any(item.padding):
            raise refuse(
                where(node), kind(node), "gets a padded tensor; pad directly before Conv2d or AvgPool2d"
            )
        return Operand(self._settle(item))

    def _settle(self, tensor: Traced) -> int:
        """The number of the draft's value that the tensor is; the same for the same shape."""
        key = (tensor.number, tensor.shape)
        if key not in self._settled:
            self._settled[key] = settle(self._draft, tensor)
        return self._settled[key]

    def _place(self, node: fx.Node, tensor: Traced) -> Place:
        number = self._settle(tensor)
        return Place(self._names[node], self._draft.shape(number), tensor.padding)

    def _chain(self, tensor: Traced, layers: Layers) -> Traced:
        """The tensor behind the layers; itself where there are none."""
        if not layers:
            return tensor
        number = self._settle(tensor)
        for layer in layers:
            number = self._draft.add(layer, number)
        return Traced(number, self._draft.shape(number))


def _tensors(arguments: Any) -> Iterator[Traced]:
    """The tensors somewhere in a call's arguments."""
    if isinstance(arguments, Traced):
        yield arguments
    elif isinstance(arguments, dict):
        yield from _tensors(tuple(arguments.values()))
    elif isinstance(arguments, list | tuple):
        for item in arguments:
            yield from _tensors(item)


def _call(node: fx.Node, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """function(...). Raises UnsupportedLayer if it does not take such arguments."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        raise refuse(where(node), kind(node), "is called with arguments that are not supported") from None
    return function(*args, **kwargs)
