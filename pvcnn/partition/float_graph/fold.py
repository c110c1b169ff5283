"""Exact rewritings of a graph: the same function in fewer or cheaper layers."""

from __future__ import annotations

import math
from dataclasses import replace

from pvcnn.partition.float_graph.absorb import Scaling, into_makers, into_users
from pvcnn.partition.float_graph.draft import Draft
from pvcnn.partition.float_graph.graph import (
    Activation,
    Add,
    AveragePool,
    BatchNorm,
    Concatenate,
    Conv2d,
    Flatten,
    FloatGraph,
    Linear,
    MaxPool,
    Multiply,
)


def fold_batch_norms(graph: FloatGraph) -> FloatGraph:
    """Every batch norm inside a convolution or linear layer before or behind it, where that is exact.

    One that cannot be folded, as between an activation and a padded convolution, stays; it goes behind
    a pool that follows and makes the tensor smaller, if that is exact.
    """
    draft = Draft.of(graph)
    while any(_fold(draft, value) or _sink(draft, value) for value in draft.values()):
        pass
    return draft.finish(graph.notes)


def _fold(draft: Draft, value: int) -> bool:
    """Whether a batch norm that makes `value` could be folded, which is then done."""
    layer, inputs = draft.node(value).layer, draft.node(value).inputs
    if not isinstance(layer, BatchNorm):
        return False
    edits = into_makers(draft, inputs[0], value, Scaling.of(layer))
    if edits is None:
        edits = into_users(draft, value, Scaling.of(layer))
    if edits is None:
        return False
    draft.replace(edits)
    draft.substitute(value, inputs[0])
    return True


def _sink(draft: Draft, value: int) -> bool:
    """Whether a batch norm that makes `value` went behind a pool that shrinks it."""
    layer, users = draft.node(value).layer, draft.users(value)
    if not isinstance(layer, BatchNorm) or len(users) != 1 or not draft.is_only_for(value, users[0]):
        return False
    if math.prod(draft.shape(users[0])) >= math.prod(draft.shape(value)):
        return False
    scaling = Scaling.of(layer)
    behind: Scaling | None = None
    match pool := draft.node(users[0]).layer:
        case AveragePool():
            behind = scaling.behind_average(pool)
        case MaxPool() if scaling.nondecreasing:
            behind = scaling
    if behind is None:
        return False
    draft.replace({value: replace(layer, scale=behind.scale, shift=behind.shift)})
    draft.swap(value, users[0])
    return True


def activations_first(graph: FloatGraph) -> FloatGraph:
    """Activations moved up to the layers whose values are requantised, where that is exact.

    A nondecreasing function commutes with a maximum, every function with flattening and concatenation.
    Behind a convolution an activation shares the lookup that requantises; behind a pool it would need one
    of its own. Nothing moves if others take what stands between.
    """
    draft = Draft.of(graph)
    for value in draft.values():
        node = draft.node(value)
        if isinstance(node.layer, Activation) and _can_rise(draft, node.inputs[0], value, node.layer):
            _raise(draft, value, node.layer)
    return draft.finish(graph.notes)


def _can_rise(draft: Draft, value: int, user: int, activation: Activation) -> bool:
    """Whether `value`, which `user` alone takes, is made by a layer to rise to, or one to pass."""
    node = draft.maker(value)
    if node is None or not draft.is_only_for(value, user):
        return False
    match node.layer:
        case Conv2d() | Linear() | BatchNorm() | Add() | Multiply():
            return True
        case MaxPool():
            passes = activation.nondecreasing
        case Flatten() | Concatenate():
            passes = True
        case _:
            passes = False
    return passes and all(_can_rise(draft, number, value, activation) for number in node.inputs)


def _raise(draft: Draft, value: int, activation: Activation) -> None:
    """Moves the activation that makes `value` past all that it may pass."""
    (source,) = draft.node(value).inputs
    while isinstance(draft.node(source).layer, MaxPool | Flatten):
        draft.swap(source, value)
        (source,) = draft.node(value).inputs
    if isinstance(draft.node(source).layer, Concatenate):
        draft.substitute(value, source)
        for count, branch in enumerate(draft.node(source).inputs):
            part = replace(activation, name=f"{activation.name}.{count}")
            raised = draft.add(part, branch)
            draft.rewire(source, branch, raised)
            _raise(draft, raised, part)
