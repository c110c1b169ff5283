"""Which channels must share a scale, or have scales in a fixed proportion.

Every channel of every value has a label. Channels with one label have scales in the same proportion to
each other in all values: those that are added must, as integer multipliers then make up for the rest;
and all channels in front of a table that is no positively homogeneous function have the same.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.partition.float_graph.graph import (
    FRAMES,
    Activation,
    Add,
    AveragePool,
    Concatenate,
    Conv2d,
    Flatten,
    FloatLayer,
    Linear,
    MaxPool,
    Multiply,
)
from pvcnn.partition.quantisation.accumulators import Accumulators, rescales

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ties:
    """labels[v]: (channels,) of value v; shared[l]: whether several values choose scales for label l.

    `chosen` are the values whose scales are chosen, not taken over from others.
    """

    labels: tuple[Integers, ...]
    chosen: tuple[int, ...]
    shared: NDArray[np.bool_]

    def is_shared(self, number: int) -> bool:
        """Whether another value's scales have a say in those of this one."""
        return bool(self.shared[self.labels[number]].any())


def find_ties(accumulators: Accumulators, per_channel: Set[int]) -> Ties:
    """`per_channel`: the activation nodes that any scale passes through, a different one in each channel."""
    maker = _Labels(accumulators, per_channel)
    return maker.ties()


class _Labels:
    """Walks the nodes: labels of what they make, and pairs of labels that turn out to be one."""

    def __init__(self, accumulators: Accumulators, per_channel: Set[int]) -> None:
        self._accumulators = accumulators
        self._graph = accumulators.graph
        self._count = 0
        self._pairs: list[tuple[Integers, Integers]] = []
        self._chosen = [FRAMES]
        self._labels = [self._uniform(self._graph.input_shape[0])]
        for index, node in enumerate(self._graph.nodes):
            inputs = [self._labels[number] for number in node.inputs]
            self._labels.append(self._make(index, node.layer, inputs, index in per_channel))
            if accumulators.ends(index + 1) and not accumulators.rigid[index + 1]:
                self._chosen.append(index + 1)
        self._tie_all(self._labels[-1])

    def ties(self) -> Ties:
        roots = _components(self._count, self._pairs)
        labels = tuple(roots[own] for own in self._labels)
        voices = np.zeros(self._count, np.int64)
        for number in self._chosen:
            voices[np.unique(labels[number])] += 1
        return Ties(labels, tuple(self._chosen), voices > 1)

    def _make(self, index: int, layer: FloatLayer, inputs: list[Integers], per_channel: bool) -> Integers:
        labels = inputs[0]
        shape = self._graph.shapes[index + 1]
        match layer:
            case Conv2d() | Linear():
                return self._fresh(shape[0])
            case Activation() if not per_channel:
                self._tie_all(labels)
                self._chosen.append(index + 1)
                return self._uniform(shape[0])
            case Add() if not rescales(layer):
                for other in inputs[1:]:
                    self._pairs.append((labels, other))
                return labels
            case Multiply():
                self._tie_all(inputs[1])
                return labels
            case Concatenate():
                return np.concatenate(inputs)
            case Flatten():
                return np.repeat(labels, shape[0] // len(labels))
            case Activation() | Add() | AveragePool() | MaxPool():
                return labels
        raise AssertionError(f"{layer.name}: batch norms were replaced")

    def _fresh(self, count: int) -> Integers:
        self._count += count
        return np.arange(self._count - count, self._count)

    def _uniform(self, count: int) -> Integers:
        return np.repeat(self._fresh(1), count)

    def _tie_all(self, labels: Integers) -> None:
        self._pairs.append((labels[:-1], labels[1:]))


def _components(count: int, pairs: list[tuple[Integers, Integers]]) -> Integers:
    """For each label the least one that it is joined with, over any number of pairs."""
    roots = np.arange(count)
    left = np.concatenate([pair[0] for pair in pairs])
    right = np.concatenate([pair[1] for pair in pairs])
    while True:
        before = roots.copy()
        least = np.minimum(roots[left], roots[right])
        np.minimum.at(roots, roots[left], least)
        np.minimum.at(roots, roots[right], least)
        roots = roots[roots]
        if np.array_equal(roots, before):
            return roots
