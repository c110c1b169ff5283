"""Scalings of channels taken into the layers that make a tensor, or into those that take it.

A batch norm, y = scale x + shift for each channel, need not be computed where neighbouring weights can
do it. Both functions give the layers that take the place of others, by the values that these make, or
None where that would not be exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from pvcnn.partition.float_graph.draft import Draft
from pvcnn.partition.float_graph.graph import (
    Add,
    AffineLayer,
    AveragePool,
    BatchNorm,
    Concatenate,
    Conv2d,
    Flatten,
    FloatLayer,
    Linear,
    MaxPool,
)
from pvcnn.program.layers import Shape

Edits: TypeAlias = dict[int, FloatLayer]


@dataclass(frozen=True, eq=False)
class Scaling:
    """scale x + shift for each channel or feature: (channels,) each."""

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, layer: BatchNorm) -> Scaling:
        """What `layer` does."""
        return cls(layer.scale, layer.shift)

    @property
    def is_pure(self) -> bool:
        """Whether zero stays zero, so that padding does."""
        return not bool(self.shift.any())

    @property
    def nondecreasing(self) -> bool:
        """Whether it commutes with a maximum."""
        return bool((self.scale >= 0).all())

    def before_average(self, pool: AveragePool) -> Scaling | None:
        """What, done before the pool, has the effect of this behind it; None if nothing has."""
        if pool.windows.is_padded and not self.is_pure:
            return None
        return Scaling(self.scale, self.shift * (pool.divisor / pool.windows.size))

    def behind_average(self, pool: AveragePool) -> Scaling | None:
        """The other way round."""
        if pool.windows.is_padded and not self.is_pure:
            return None
        return Scaling(self.scale, self.shift * (pool.windows.size / pool.divisor))

    def flattened(self, shape: Shape) -> Scaling:
        """The same on features, for maps of `shape`."""
        positions = math.prod(shape[1:])
        return Scaling(self.scale.repeat_interleave(positions), self.shift.repeat_interleave(positions))


def into_makers(draft: Draft, value: int, user: int, scaling: Scaling) -> Edits | None:
    """Layers that make `value` scaled, when the node that makes `user` alone takes it.

    scale (W x + b) + shift = (scale W) x + (scale b + shift), for each output channel.
    """
    node = draft.maker(value)
    if node is None or not draft.is_only_for(value, user):
        return None
    match node.layer:
        case Conv2d() | Linear():
            return {value: _scaled_outputs(node.layer, scaling)}
        case BatchNorm():
            return {value: _composed(node.layer, scaling)}
        case AveragePool():
            earlier = scaling.before_average(node.layer)
            return None if earlier is None else into_makers(draft, node.inputs[0], value, earlier)
        case MaxPool():
            return into_makers(draft, node.inputs[0], value, scaling) if scaling.nondecreasing else None
        case Concatenate():
            sizes = [draft.shape(number)[0] for number in node.inputs]
            parts = zip(torch.split(scaling.scale, sizes), torch.split(scaling.shift, sizes), strict=True)
            return _all_makers(draft, node.inputs, value, [Scaling(*part) for part in parts])
        case Add() if node.layer.multipliers[0]:
            alone = Scaling(scaling.scale, torch.zeros_like(scaling.shift))
            first = Scaling(scaling.scale, scaling.shift / node.layer.multipliers[0])
            return _all_makers(draft, node.inputs, value, [first, *[alone] * (len(node.inputs) - 1)])
    return None


def _all_makers(draft: Draft, values: tuple[int, ...], user: int, scalings: list[Scaling]) -> Edits | None:
    edits: Edits = {}
    for value, scaling in zip(values, scalings, strict=True):
        found = into_makers(draft, value, user, scaling)
        if found is None:
            return None
        edits |= found
    return edits


def into_users(draft: Draft, value: int, scaling: Scaling) -> Edits | None:
    """Layers that take `value` unscaled instead of scaled, whatever the ways by which they are reached.

    W (scale x + shift) + b = (W scale) x + (W shift + b), as long as no padding is met.
    """
    edits: Edits = {}
    return edits if _reach_users(draft, value, scaling, edits) else None


def _reach_users(draft: Draft, value: int, scaling: Scaling, edits: Edits) -> bool:
    """Whether all that take `value` can do the scaling; adds what they become to `edits`."""
    users = set(draft.users(value))
    return value != draft.output and all(_reach(draft, user, value, scaling, edits) for user in users)


def _reach(draft: Draft, user: int, value: int, scaling: Scaling, edits: Edits) -> bool:
    node = draft.node(user)
    layer = edits.get(user, node.layer)
    behind: Scaling | None = None
    match layer:
        case Conv2d() if scaling.is_pure or not layer.windows.is_padded:
            edits[user] = _scaled_inputs(layer, scaling, layer.groups)
            return True
        case Linear():
            edits[user] = _scaled_inputs(layer, scaling, 1)
            return True
        case BatchNorm():
            edits[user] = replace(
                layer, scale=layer.scale * scaling.scale, shift=layer.scale * scaling.shift + layer.shift
            )
            return True
        case Flatten():
            behind = scaling.flattened(draft.shape(value))
        case AveragePool():
            behind = scaling.behind_average(layer)
        case MaxPool() if scaling.nondecreasing:
            behind = scaling
        case Concatenate():
            parts = [scaling if number == value else _identity(draft, number) for number in node.inputs]
            behind = Scaling(
                torch.cat([part.scale for part in parts]), torch.cat([part.shift for part in parts])
            )
    return behind is not None and _reach_users(draft, user, behind, edits)


def _identity(draft: Draft, value: int) -> Scaling:
    scale = torch.ones(draft.shape(value)[0], dtype=torch.float64)
    return Scaling(scale, torch.zeros_like(scale))


def _composed(first: BatchNorm, then: Scaling) -> BatchNorm:
    return replace(first, scale=first.scale * then.scale, shift=first.shift * then.scale + then.shift)


def _scaled_outputs(layer: AffineLayer, scaling: Scaling) -> AffineLayer:
    rows = scaling.scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    return replace(layer, weight=layer.weight * rows, bias=layer.bias * scaling.scale + scaling.shift)


def _scaled_inputs(layer: AffineLayer, scaling: Scaling, groups: int) -> AffineLayer:
    outputs = len(layer.weight) // groups
    scale, shift = (
        values.reshape(groups, -1)
        .repeat_interleave(outputs, dim=0)
        .reshape(*layer.weight.shape[:2], *[1] * (layer.weight.ndim - 2))
        for values in (scaling.scale, scaling.shift)
    )
    bias = layer.bias + (layer.weight * shift).flatten(1).sum(dim=1)
    return replace(layer, weight=layer.weight * scale, bias=bias)
