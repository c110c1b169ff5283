"""What is attacked: a private part as the cluster knows it, and as it really is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.cut import cut_graph
from pvcnn.partition.float_graph.fold import fold_batch_norms
from pvcnn.partition.float_graph.graph import (
    AveragePool,
    BatchNorm,
    Conv2d,
    FloatGraph,
    FloatLayer,
    Linear,
    MaxPool,
    apply,
    type_name,
)
from pvcnn.partition.split import Split
from pvcnn.partition.torch_import.trace import trace

#: Frames put through at once.
BATCH = 128
#: How many bits features are rounded to before a cluster sees them.
FEATURE_BITS = 12
#: With how many frames a traced module is compared.
_TRACED = 4

FeaturesFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Private:
    """`function` takes frames (n, channels, height, width) float32 to features (n, *shape).

    `layers`, one behind the other, are what it computes, if that is known: attackers are granted their
    kinds and shapes, never their weights, with which what they recover is compared. `description` says
    the same in words. No `repr` shows a weight.
    """

    function: FeaturesFunction = field(repr=False)
    layers: tuple[FloatLayer, ...] | None
    description: str

    @torch.no_grad()
    def features(self, frames: Tensor) -> Tensor:
        """(n, *shape) float32, in parts so that memory stays small."""
        parts = [self.function(part).float() for part in in_parts(frames)]
        return torch.cat(parts)


def in_parts(values: Tensor) -> Iterator[Tensor]:
    """`values` (n, ...) in parts of at most BATCH."""
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]


def behind_cut(model: nn.Module | str | os.PathLike[str], frames: Tensor, cut: int | str) -> Private:
    """The layers of `model` before `cut`, which `pvcnn.partition.split.split` explains; 0: frames themselves.

    Whether such a part could be evaluated on encrypted frames is not asked. Raises UnsupportedLayer and
    CutRefused as `split` does.
    """
    graph = fold_batch_norms(_graph(model, frames))
    return of_layers(cut_graph(graph, cut).private)


def whole(model: nn.Module | str | os.PathLike[str], frames: Tensor) -> Private:
    """All of `model`: a private part without a rest.

    Attackers know its layers if they form a chain; a module that cannot be traced is taken as a function,
    an ONNX file that cannot be read raises UnsupportedLayer.
    """
    try:
        graph = fold_batch_norms(_graph(model, frames))
    except UnsupportedLayer:
        if not isinstance(model, nn.Module):
            raise
        return of_function(model, f"{type(model).__name__}, which cannot be traced")
    if any(len(node.inputs) > 1 for node in graph.nodes):
        return of_function(lambda part: graph.output(part.double()), "a graph that is no chain of layers")
    return of_layers(graph.layers)


def of_split(part: Split, layers: tuple[FloatLayer, ...] | None = None) -> Private:
    """The private part of a split model: its features as the cluster gets them, integers times their step.

    `layers`, such as those of `behind_cut` for the same cut, are what attackers know of it.
    """
    known = "frames, rounded" if part.private_part is None else _names(part.private.layers)

    def function(frames: Tensor) -> Tensor:
        return torch.from_numpy(part.features(frames) * part.feature_scale.step).float()

    return Private(function, layers, known if layers is None else described(layers))


def of_function(function: FeaturesFunction, description: str = "a function of frames") -> Private:
    """Any function; attackers know nothing about it but what it does."""
    return Private(function, None, description)


def of_layers(layers: tuple[FloatLayer, ...]) -> Private:
    """Float layers one behind the other."""
    single = tuple(_single_precision(layer) for layer in layers)

    def function(frames: Tensor) -> Tensor:
        values = frames
        for layer in single:
            values = apply(layer, values)
        return values

    return Private(function, single, described(single))


def rounded(features: Tensor, reference: Tensor) -> Tensor:
    """To FEATURE_BITS bits for twice the range of `reference`, as splitting does."""
    levels = 1 << (FEATURE_BITS - (0 if bool((reference >= 0).all()) else 1))
    step = 2 * float(reference.abs().max()) / levels or 1.0
    return torch.round(features / step) * step


def described(layers: tuple[FloatLayer, ...]) -> str:
    """Kinds and shapes, no weights: "Conv2d 1-8 3x3, Square, AveragePool 4x4"."""
    return ", ".join(map(_described, layers)) or "nothing: features are frames"


def _described(layer: FloatLayer) -> str:
    match layer:
        case Conv2d():
            outputs, inputs = layer.weight.shape[:2]
            kernel = "x".join(map(str, layer.windows.kernel))
            stride = "" if layer.windows.stride == (1, 1) else f" stride {layer.windows.stride[0]}"
            groups = "" if layer.groups == 1 else f" groups {layer.groups}"
            return f"Conv2d {inputs * layer.groups}-{outputs} {kernel}{stride}{groups}"
        case Linear():
            return f"Linear {layer.weight.shape[1]}-{layer.weight.shape[0]}"
        case AveragePool() | MaxPool():
            return f"{type_name(layer)} {'x'.join(map(str, layer.windows.kernel))}"
        case _:
            return type_name(layer)


def _names(layers: tuple[object, ...]) -> str:
    return ", ".join(type(layer).__name__ for layer in layers)


def _graph(model: nn.Module | str | os.PathLike[str], frames: Tensor) -> FloatGraph:
    few = frames[:_TRACED].double()
    if isinstance(model, nn.Module):
        return trace(model, few)
    from pvcnn.partition.onnx_import.translate import load_onnx  # of the extra `onnx`

    graph = load_onnx(model)
    if graph.input_shape != tuple(frames.shape[1:]):
        found = tuple(frames.shape[1:])
        raise ValueError(f"frames have the shape {found}, the model takes {graph.input_shape}")
    return graph


def _single_precision(layer: FloatLayer) -> FloatLayer:
    match layer:
        case Conv2d() | Linear():
            return replace(layer, weight=layer.weight.float(), bias=layer.bias.float())
        case BatchNorm():
            return replace(layer, scale=layer.scale.float(), shift=layer.shift.float())
        case _:
            return layer
