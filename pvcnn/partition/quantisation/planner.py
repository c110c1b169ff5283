"""Scales, shifts and tables for all values of a graph, before anything is rounded.

Every tensor is represented by integers and one scale per channel: value = integer * scale[channel]. The
scale may differ by channel at no cost, as the next layer's weights absorb it before they are rounded;
where tensors are added, the scales of one must be a multiple of the other's, the same for all channels.
So the graph is walked twice: first as if every tensor could choose, which shows what each would
choose; then with the proportions between channels that suit all that are tied together.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from pvcnn.partition.float_graph.graph import Activation, FloatGraph
from pvcnn.partition.quantisation.accumulators import Accumulators, find_accumulators, with_own_scales
from pvcnn.partition.quantisation.calibrate import ValueRange
from pvcnn.partition.quantisation.scale_plan import CapExceeded, FeatureScale, Misaligned, ScalePlan
from pvcnn.partition.quantisation.tables import CAPPED_DOMAIN_BITS, DOMAIN_BITS, cap, domain_bits
from pvcnn.partition.quantisation.ties import Ties, find_ties
from pvcnn.partition.quantisation.walk import Walk

Floats = NDArray[np.float64]


def plan_scales(
    graph: FloatGraph, ranges: tuple[ValueRange, ...], features: FeatureScale, weight_bits: int
) -> tuple[Accumulators, tuple[ValueRange, ...], ScalePlan]:
    """For a graph without batch norms; `ranges` of its values.

    The graph may come back with more layers, where a tensor that is added to others has scales of which
    no integer makes theirs; then there are more ranges, too. Raises UnsupportedLayer.
    """
    uniform: set[str] = set()
    while True:
        try:
            accumulators, plan = _plan(graph, ranges, features, weight_bits, uniform)
        except CapExceeded as found:
            uniform.add(graph.layers[found.index].name)
        except Misaligned as found:
            behind = found.index == len(graph.nodes)
            source = found.index if behind else graph.nodes[found.index].inputs[found.position]
            graph = with_own_scales(graph, found.index, found.position)
            ranges = (*ranges[: found.index + 1], ranges[source], *ranges[found.index + 1 :])
        else:
            return accumulators, ranges, plan


def _plan(
    graph: FloatGraph,
    ranges: tuple[ValueRange, ...],
    features: FeatureScale,
    weight_bits: int,
    uniform: AbstractSet[str],
) -> tuple[Accumulators, ScalePlan]:
    accumulators = find_accumulators(graph)
    per_channel, capped_bits = set(), DOMAIN_BITS
    for index, (layer, values) in enumerate(zip(graph.layers, _inputs(graph, ranges), strict=True)):
        if not isinstance(layer, Activation):
            continue
        limit = cap(layer)
        if layer.positively_homogeneous:
            per_channel.add(index)
        elif limit is not None and layer.name not in uniform:
            bits = domain_bits(float(values.peaks.max()), limit)
            if bits <= CAPPED_DOMAIN_BITS:
                per_channel.add(index)
                capped_bits = max(capped_bits, bits)
    ties = find_ties(accumulators, per_channel)

    def walk(profile: Floats | None) -> ScalePlan:
        return Walk(
            accumulators, ranges, ties, per_channel, features, weight_bits, capped_bits, profile
        ).run()

    return accumulators, walk(_profile(accumulators, ties, walk(None)))


def _inputs(graph: FloatGraph, ranges: tuple[ValueRange, ...]) -> list[ValueRange]:
    """Of each node's first input."""
    return [ranges[node.inputs[0]] for node in graph.nodes]


def _profile(accumulators: Accumulators, ties: Ties, wishes: ScalePlan) -> Floats:
    """For each label the proportion of its scale to others': the coarsest that any tied value wishes for."""
    profile = np.zeros(len(ties.shared))
    for number in ties.chosen:
        fused = accumulators.fused(number)
        wish = wishes.final.get(number)
        if wish is None and fused is not None:
            wish = wishes.final[fused + 1]
        assert wish is not None
        alive = wish[wish > 0]
        if len(alive):
            np.maximum.at(profile, ties.labels[number], wish / np.median(alive))
    profile[profile == 0] = 1.0
    return profile
