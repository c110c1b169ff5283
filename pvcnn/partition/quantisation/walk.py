"""One walk over a graph that gives every value its scales (see `pvcnn.partition.quantisation.planner`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

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
    Multiply,
)
from pvcnn.partition.quantisation import scales
from pvcnn.partition.quantisation.accumulators import Accumulators, sums
from pvcnn.partition.quantisation.calibrate import ValueRange
from pvcnn.partition.quantisation.rounding import finest_scale
from pvcnn.partition.quantisation.scale_plan import CapExceeded, FeatureScale, Misaligned, ScalePlan
from pvcnn.partition.quantisation.scales import Choice, OverCap
from pvcnn.partition.quantisation.summands import Summand, Summands, proportions
from pvcnn.partition.quantisation.tables import (
    ACTIVATION_PEAK,
    DOMAIN_BITS,
    DOMAIN_PEAK,
    FUNCTION_PEAK,
    HEADROOM,
    activation_table,
    cap,
    function_table,
    slope,
    unit,
)
from pvcnn.partition.quantisation.ties import Ties
from pvcnn.program.bounds import Range
from pvcnn.program.layers import MAX_SHIFT
from pvcnn.program.table import Table

Floats = NDArray[np.float64]


class Walk:
    """`profile`: for each label the proportion of its scale to others'; None to let every value choose."""

    def __init__(
        self,
        accumulators: Accumulators,
        ranges: Sequence[ValueRange],
        ties: Ties,
        per_channel: AbstractSet[int],
        features: FeatureScale,
        weight_bits: int,
        capped_bits: int,
        profile: Floats | None,
    ) -> None:
        self._accumulators, self._graph = accumulators, accumulators.graph
        self._ranges, self._ties, self._per_channel = ranges, ties, per_channel
        self._weight_bits, self._capped_bits, self._profile = weight_bits, capped_bits, profile
        self._plan = ScalePlan()
        self._summands = Summands(accumulators, self._plan)
        self._plan.final[FRAMES] = np.full(self._graph.input_shape[0], features.step)
        #: Bounds of final values.
        self._bounds: dict[int, Range] = {FRAMES: (features.low, features.high)}

    def run(self) -> ScalePlan:
        """Raises Misaligned and CapExceeded where the graph must be changed first."""
        for index, node in enumerate(self._graph.nodes):
            number = index + 1
            if self._accumulators.wide[number]:
                if not sums(node.layer):
                    self._summands.finest[number] = self._own_finest(index, node.layer)
                if self._accumulators.ends(number):
                    self._end(number)
            elif number not in self._plan.final:
                self._pass_on(index, node.layer)
        last = self._plan.final[len(self._graph.nodes)]
        if self._profile is not None and scales.proportion(last, np.ones_like(last)) is None:
            raise Misaligned(len(self._graph.nodes), 0)  # logits are compared
        return self._plan

    def _own_finest(self, index: int, layer: FloatLayer) -> Floats:
        inputs = self._graph.nodes[index].inputs
        match layer:
            case Conv2d() | Linear():
                return finest_scale(layer, self._plan.final[inputs[0]], self._weight_bits)
            case Multiply():
                for position, number in enumerate(inputs):
                    if max(map(abs, self._bounds[number])) > FUNCTION_PEAK + 1:
                        raise Misaligned(index, position)  # a table must make fewer bits of it first
                return self._plan.final[inputs[0]] * self._plan.final[inputs[1]]
            case _:
                return self._passed(index, layer, [self._summands.finest[inputs[0]]])

    def _passed(self, index: int, layer: FloatLayer, inputs: list[Floats]) -> Floats:
        """The scale of what a layer makes that only selects, joins, adds up or rescales."""
        match layer:
            case AveragePool():
                return inputs[0] / layer.divisor
            case Flatten():
                return np.repeat(inputs[0], self._graph.shapes[index + 1][0] // len(inputs[0]))
            case Add():
                return inputs[0] * layer.multipliers[0]
            case Concatenate():
                return np.concatenate(inputs)
            case _:
                return inputs[0]

    def _pass_on(self, index: int, layer: FloatLayer) -> None:
        inputs = self._graph.nodes[index].inputs
        if isinstance(layer, Activation):
            self._activate_again(index, layer, inputs[0])
            return
        self._plan.final[index + 1] = self._passed(index, layer, [self._plan.final[n] for n in inputs])
        bounds = [self._bounds[number] for number in inputs]
        low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
        if isinstance(layer, AveragePool):
            low, high = min(low, 0) * layer.windows.size, max(high, 0) * layer.windows.size
        self._bounds[index + 1] = (low, high)

    def _activate_again(self, index: int, layer: Activation, number: int) -> None:
        """An activation of values that are final already: no q can leave the table's domain."""
        scale, bounds, peaks = self._plan.final[number], self._bounds[number], self._peaks(index + 1)
        shift = max(0, max(-bounds[0], bounds[1]).bit_length() + 1 - DOMAIN_BITS)
        if shift > MAX_SHIFT:
            raise Misaligned(index, 0)
        if index in self._per_channel:
            if cap(layer) is not None:
                raise CapExceeded(index)
            level = float((peaks[scale > 0] / scale[scale > 0]).max(initial=0.0)) / ACTIVATION_PEAK
            shift = max(shift, math.ceil(math.log2(level)) if level else 0)
            self._tabulate(index + 1, shift, activation_table(slope(layer)), scale * 2.0**shift)
            return
        step = scales.proportion(scale, np.ones_like(scale))
        if step is None:
            raise Misaligned(index, 0)
        half = (1 << shift) >> 1
        domain = ((bounds[0] + half) >> shift, (bounds[1] + half) >> shift)
        own = unit(layer, float(self._peaks(number).max()))
        table = function_table(layer, step * 2.0**shift, own, domain)
        self._tabulate(index + 1, shift, table, self._same(index, own))

    def _end(self, number: int) -> None:
        """Where a flow ends: its scale, those of what flows into it, and the table behind it."""
        fused = self._accumulators.fused(number)
        layer = None if fused is None else self._graph.layers[fused]
        if fused is None or not isinstance(layer, Activation):
            if number == len(self._graph.nodes):
                choice = self._choose(number, None, None)
                self._plan.final[number] = choice.scale
            else:
                choice = self._choose(number, self._levels(number, number), None)
                self._tabulate(number, choice.shift, activation_table(1.0), choice.scale * 2.0**choice.shift)
        elif fused in self._per_channel:
            limit = cap(layer)
            bits = DOMAIN_BITS if limit is None else self._capped_bits
            try:
                choice = self._choose(number, self._levels(number, fused + 1, bits), limit)
            except OverCap:
                raise CapExceeded(fused) from None
            table = activation_table(slope(layer), bits)
            self._tabulate(fused + 1, choice.shift, table, choice.scale * 2.0**choice.shift)
        else:
            choice = self._choose_uniform(number)
            step = float(choice.scale[0]) * 2.0**choice.shift
            own = unit(layer, step * DOMAIN_PEAK / HEADROOM)
            table = function_table(layer, step, own)
            self._tabulate(fused + 1, choice.shift, table, self._same(fused, own))
        if self._accumulators.rigid[number]:
            self._summands.rescale(number, choice.scale)
        else:
            self._summands.assign(number, choice.scale, choice.spare_bits)

    def _choose(self, number: int, levels: Floats | None, limit: float | None) -> Choice:
        """For a table through which any scale passes, saturating at `limit`; without levels for no table."""
        finest, others = self._parts(number)
        labels = self._ties.labels[number]
        finest = scales.largest_of_each(finest, labels)
        if levels is None:
            profile = np.ones(len(labels))
            return _checked(scales.revealed(profile, finest, proportions(others, profile)), others)
        levels = scales.largest_of_each(levels, labels)
        if self._profile is None or not (others or self._ties.is_shared(number)):
            if limit is not None and levels.max() > limit:
                raise OverCap
            return scales.free(finest, levels, limit)
        if limit is not None:
            raise OverCap
        profile = self._profile[labels]
        if len(others) == 1 and not finest.any():  # nothing but one tensor or product: its scale will do
            profile = np.where(others[0].scale > 0, others[0].scale, 1.0)
        choice = scales.in_proportion(profile, finest, levels, proportions(others, profile))
        return _checked(choice, others, levels)

    def _choose_uniform(self, number: int) -> Choice:
        """For a table that one scale fits."""
        finest, others = self._parts(number)
        step = HEADROOM * float(self._peaks(number).max()) / DOMAIN_PEAK
        return _checked(scales.uniform(finest, step, proportions(others, np.ones_like(finest))), others)

    def _parts(self, number: int) -> tuple[Floats, list[Summand]]:
        """Of an accumulator: the finest scale that weights allow, and the parts that have a scale already.

        The latter bind nothing while every value may choose.
        """
        finest, others = self._summands.of(number)
        return finest, [] if self._profile is None else others

    def _levels(self, number: int, output: int, domain_bits: int = DOMAIN_BITS) -> Floats:
        """For each channel the magnitude at which the table behind an accumulator should saturate.

        That of the outputs seen in calibration; or more, where values that the activation makes small,
        such as negative ones, would otherwise have too little room in the table's domain.
        """
        room = (1 << (domain_bits - 1)) / ACTIVATION_PEAK
        levels: Floats = np.maximum(self._peaks(output), self._peaks(number) * (HEADROOM / room))
        return levels

    def _peaks(self, number: int) -> Floats:
        peaks: Floats = self._ranges[number].peaks.numpy()
        return peaks

    def _tabulate(self, number: int, shift: int, table: Table, scale: Floats) -> None:
        self._plan.tables[number] = (shift, table)
        self._plan.final[number] = scale
        self._bounds[number] = (int(table.values.min()), int(table.values.max()))

    def _same(self, index: int, scale: float) -> Floats:
        """One scale for all channels that node `index` makes."""
        return np.full(self._graph.shapes[index + 1][0], scale)


def _checked(choice: Choice, others: list[Summand], levels: Floats | None = None) -> Choice:
    """`choice`, if integers make all summands of it. Raises Misaligned for one that must be rounded first."""
    for summand in sorted(others, key=lambda one: float(one.scale.max())):
        if not scales.is_multiple(summand.scale, choice.scale):
            raise Misaligned(summand.term.index, summand.term.position)
        if levels is not None and not scales.are_reached(levels, choice):
            raise Misaligned(summand.term.index, summand.term.position)
    return choice
