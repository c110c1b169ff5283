"""Calls that only look at a tensor's shape, or give it another one, or pad it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import fx, nn

from pvcnn.partition.float_graph.place import refuse
from pvcnn.partition.torch_import.fx_nodes import kind, where
from pvcnn.partition.torch_import.values import Traced
from pvcnn.program.layers import Shape


class Batch:
    """The number of frames, which no layer may depend on: it can stand as the first size alone."""

    def __repr__(self) -> str:
        return "the number of frames"


BATCH = Batch()

#: Takes the call, the tensor, a name for a new layer, and the call's other arguments.
Reshape = Callable[..., object]


def _shape(tensor: Traced) -> tuple[object, ...]:
    return (BATCH, *tensor.full_shape)


def _size(node: fx.Node, tensor: Traced, name: str, dim: int | None = None) -> object:
    return _shape(tensor) if dim is None else _shape(tensor)[dim]


def _attribute(node: fx.Node, tensor: Traced, name: str, attribute: str) -> object:
    match attribute:
        case "shape":
            return _shape(tensor)
        case "ndim":
            return len(_shape(tensor))
        case "dtype":
            return torch.float64
        case "device":
            return torch.device("cpu")
    raise refuse(where(node), attribute)


def _dim(node: fx.Node, tensor: Traced, name: str) -> object:
    return len(_shape(tensor))


def _reshape(node: fx.Node, tensor: Traced, name: str, *sizes: Any, shape: Any = None) -> Traced:
    wanted = shape if shape is not None else sizes
    if len(wanted) == 1 and isinstance(wanted[0], list | tuple):
        (wanted,) = wanted
    found = _resolved(tuple(wanted), tensor.full_shape)
    if found is None:
        raise refuse(
            where(node),
            kind(node),
            f"reshapes frames of {tensor.full_shape} to {tuple(wanted)}; the first size must be x.size(0) "
            "or -1 and the others must make up one frame, as in x.view(x.size(0), -1)",
        )
    return tensor.reshaped(found, node, name)


def _resolved(sizes: tuple[object, ...], shape: Shape) -> Shape | None:
    """The sizes of one frame; None where they mix frames or do not fit."""
    entries = math.prod(shape)
    if not sizes or not (isinstance(sizes[0], Batch) or sizes[0] == -1):
        return None
    numbers = [size for size in sizes[1:] if isinstance(size, int)]
    if len(numbers) != len(sizes) - 1:
        return None
    if -1 in numbers and isinstance(sizes[0], Batch):
        place = numbers.index(-1)
        rest = math.prod(numbers[:place] + numbers[place + 1 :])
        numbers[place] = entries // rest if rest > 0 else 0
    fits = min(numbers, default=1) > 0 and math.prod(numbers) == entries
    return tuple(numbers) if fits else None


def _flatten(node: fx.Node, tensor: Traced, name: str, start_dim: int = 0, end_dim: int = -1) -> Traced:
    shape = tensor.full_shape
    axes = len(shape) + 1
    start, end = start_dim % axes, end_dim % axes
    if not 1 <= start <= end:
        raise refuse(
            where(node),
            kind(node),
            f"flattens axes {start_dim} to {end_dim}; use start_dim=1, end_dim=-1",
        )
    merged = math.prod(shape[start - 1 : end])
    return tensor.reshaped((*shape[: start - 1], merged, *shape[end:]), node, name)


def _unflatten(node: fx.Node, tensor: Traced, name: str, dim: int, sizes: Sequence[int]) -> Traced:
    shape = tensor.full_shape
    axis = dim % (len(shape) + 1)
    inner = _resolved((BATCH, *sizes), (shape[axis - 1],)) if axis else None
    if inner is None:
        raise refuse(where(node), kind(node), f"cannot make {tuple(sizes)} of axis {dim} of {shape}")
    return tensor.reshaped((*shape[: axis - 1], *inner, *shape[axis:]), node, name)


def _squeeze(node: fx.Node, tensor: Traced, name: str, dim: int | Sequence[int] | None = None) -> Traced:
    shape = tensor.full_shape
    given = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    axes = {axis % (len(shape) + 1) for axis in given}
    if not axes or 0 in axes:
        raise refuse(
            where(node), kind(node), f"dim={dim} may drop the axis of frames; name another, as dim=1"
        )
    kept = tuple(side for axis, side in enumerate(shape, 1) if axis not in axes or side != 1)
    return tensor.reshaped(kept, node, name)


def _unsqueeze(node: fx.Node, tensor: Traced, name: str, dim: int) -> Traced:
    sides = list(tensor.full_shape)
    axis = dim % (len(sides) + 2)
    if not axis:
        raise refuse(where(node), kind(node), f"dim={dim} puts an axis before that of frames")
    sides.insert(axis - 1, 1)
    return tensor.reshaped(tuple(sides), node, name)


def _index(node: fx.Node, tensor: Traced, name: str, index: object) -> Traced:
    """x[:, :, None, None] and the like, which take everything."""
    items = index if isinstance(index, tuple | list) else (index,)
    shape = tensor.full_shape
    whole = sum(item not in (None, Ellipsis) for item in items)
    sides: list[int] = []
    taken = 0
    for position, item in enumerate(items):
        if item is None and position:
            sides.append(1)
        elif item is Ellipsis:
            count = len(shape) + 1 - whole - taken
            sides += shape[max(taken - 1, 0) : taken - 1 + count]
            taken += count
        elif item == slice(None):
            sides += shape[taken - 1 : taken] if taken else ()
            taken += 1
        else:
            raise refuse(where(node), kind(node))
    return tensor.reshaped((*sides, *shape[max(taken - 1, 0) :]), node, name)


def _pad(
    node: fx.Node, tensor: Traced, name: str, pad: Sequence[int], mode: str = "constant", value: Any = None
) -> Traced:
    if mode != "constant" or value not in (None, 0):
        raise refuse(
            where(node), kind(node), f"mode={mode!r}, value={value} is not supported; pad with zeros"
        )
    left, right, top, bottom = (*pad, 0, 0)[:4]
    if len(pad) not in (2, 4) or min(pad) < 0 or len(tensor.shape) != 3:
        raise refuse(where(node), kind(node), f"padding {tuple(pad)} is not supported; pad rows and columns")
    return tensor.padded((top, bottom, left, right))


def _expand(node: fx.Node, tensor: Traced, name: str, *sizes: object) -> Traced:
    """Nothing: what multiplies channels by a gate does not need the gate repeated."""
    return tensor


def from_module(node: fx.Node, tensor: Traced, name: str, module: nn.Module) -> Traced | None:
    """What `module` makes of the tensor; None if it does more than reshape or pad."""
    match module:
        case nn.Flatten():
            return _flatten(node, tensor, name, module.start_dim, module.end_dim)
        case nn.Unflatten():
            return _unflatten(node, tensor, name, module.dim, module.unflattened_size)
        case nn.ZeroPad2d() | nn.ConstantPad2d():
            return _pad(node, tensor, name, module.padding, value=module.value)
    return None


RESHAPES: dict[Callable[..., Any] | str, Reshape] = {
    getattr: _attribute,
    "size": _size,
    "dim": _dim,
    "ndimension": _dim,
    "view": _reshape,
    "reshape": _reshape,
    torch.reshape: _reshape,
    "flatten": _flatten,
    torch.flatten: _flatten,
    "unflatten": _unflatten,
    torch.unflatten: _unflatten,
    "squeeze": _squeeze,
    torch.squeeze: _squeeze,
    "unsqueeze": _unsqueeze,
    torch.unsqueeze: _unsqueeze,
    operator.getitem: _index,
    F.pad: _pad,
    "expand": _expand,
    "expand_as": _expand,
}
