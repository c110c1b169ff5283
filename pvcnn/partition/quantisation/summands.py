"""What flows together in an accumulator, and the scale that each part of it gets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.partition.float_graph.graph import Add, AveragePool, Flatten
from pvcnn.partition.quantisation import scales
from pvcnn.partition.quantisation.accumulators import Accumulators, Term, rescales, sums
from pvcnn.partition.quantisation.scale_plan import Misaligned, ScalePlan

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Summand:
    """A term whose scale is given, and that scale times its factor's magnitude."""

    term: Term
    scale: Floats


class Summands:
    """Of all accumulators of a graph; scales are added to `plan`.

    `finest`, which the walk fills: of an accumulator the finest scale that its weights allow; of a product
    the one that it has.
    """

    def __init__(self, accumulators: Accumulators, plan: ScalePlan) -> None:
        self._accumulators, self._graph = accumulators, accumulators.graph
        self._plan = plan
        self.finest: dict[int, Floats] = {}

    def of(self, number: int) -> tuple[Floats, list[Summand]]:
        """Of an accumulator: the finest scale that weights allow, and the summands that have one already."""
        finest, others = np.zeros(self._graph.shapes[number][0]), []
        for term in self._terms(number):
            if self._is_given(term.number, number):
                others.append(Summand(term, abs(term.factor) * self._given(term.number, number)))
            else:
                finest = np.maximum(finest, abs(term.factor) * self.finest[term.number])
        return finest, others

    def _terms(self, number: int) -> tuple[Term, ...]:
        if sums(self._graph.layers[number - 1]):
            return self._accumulators.terms(number - 1)
        fused = self._accumulators.fused(number)
        return (Term(1.0, number, len(self._graph.nodes) if fused is None else fused, 0),)

    def _is_given(self, number: int, end: int) -> bool:
        """Whether a summand of the accumulator `end` has a scale already, or is a product, which has one."""
        return self._accumulators.rigid[number] or not (number == end or self._accumulators.flows[number])

    def _given(self, number: int, end: int) -> Floats:
        """That scale."""
        flowing = number == end or self._accumulators.flows[number]
        return self.finest[number] if flowing else self._plan.final[number]

    def assign(self, number: int, scale: Floats, spare_bits: int) -> None:
        """Gives an accumulator its scale, and those that flow into it theirs."""
        self._plan.wide[number] = scale
        layer, inputs = self._graph.layers[number - 1], self._graph.nodes[number - 1].inputs
        if sums(layer):
            self._combine(number, scale, spare_bits)
        elif isinstance(layer, AveragePool):
            self.assign(inputs[0], scale * layer.divisor, spare_bits)
        elif isinstance(layer, Flatten):
            channels = self._graph.shapes[inputs[0]][0]
            self.assign(inputs[0], scale.reshape(channels, -1)[:, 0], spare_bits)
        elif rescales(layer) and isinstance(layer, Add):
            self.assign(inputs[0], scale / layer.multipliers[0], spare_bits)

    def _combine(self, number: int, scale: Floats, spare_bits: int) -> None:
        multipliers = []
        alive = scale > 0
        for term in self._accumulators.terms(number - 1):
            if self._is_given(term.number, number):
                own = self._given(term.number, number)
                if self._accumulators.flows[term.number]:
                    self.assign(term.number, own, 0)
                times = _multiplier(abs(term.factor) * own, scale)
            else:
                finest = abs(term.factor) * self.finest[term.number][alive] / scale[alive]
                times = max(1, math.ceil(float(finest.max(initial=0.0)) / (1 << spare_bits) - 1e-9))
                self.assign(term.number, scale * (times / abs(term.factor)), spare_bits)
            multipliers.append((term.number, times if term.factor > 0 else -times))
        self._plan.multipliers[number - 1] = tuple(multipliers)

    def rescale(self, number: int, scale: Floats) -> None:
        """The scale of a product at the end of a flow is what it is: an integer brings it to `scale`."""
        own = self.finest[number]
        self.assign(number, own, 0)
        times = _multiplier(own, scale)
        if times != 1:
            self._plan.multipliers[number - 1] = ((number, times),)


def proportions(others: Iterable[Summand], profile: Floats) -> list[float]:
    """Of each summand the ratio of its scale to `profile`; those that are always 0 are left out.

    Raises Misaligned for one whose ratio differs between channels.
    """
    found = []
    for summand in others:
        ratio = scales.proportion(summand.scale, profile)
        if ratio is None:
            raise Misaligned(summand.term.index, summand.term.position)
        if ratio:
            found.append(ratio)
    return found


def _multiplier(own: Floats, scale: Floats) -> int:
    """The integer that makes integers of scale `scale` of those of scale `own`."""
    alive = scale > 0
    return scales.multiplier(float((own[alive] / scale[alive]).max(initial=0.0)))
