"""Float and integer network side by side on the calibration frames."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pvcnn.partition.float_graph.graph import FRAMES, FloatGraph, FloatLayer, type_name
from pvcnn.partition.quantisation.calibrate import ValueRange, batches
from pvcnn.partition.quantisation.emitter import Quantised, Stage
from pvcnn.partition.quantisation.report import Accuracy, LayerReport, Report
from pvcnn.partition.quantisation.scale_plan import FeatureScale
from pvcnn.partition.quantisation.tables import unsaturated
from pvcnn.program.inference import LayerTrace, trace_by_node
from pvcnn.program.layers import Layer, Requantise
from pvcnn.program.private import PrivatePart, private_evaluate
from pvcnn.program.program import Program

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass
class _Tally:
    signal: float = 0.0
    noise: float = 0.0
    clipped: int = 0
    count: int = 0

    def add(self, expected: Floats, values: Integers, scale: Floats) -> None:
        approximate = values * scale.reshape(-1, *[1] * (values.ndim - 2))
        self.signal += float((expected**2).sum())
        self.noise += float(((approximate - expected) ** 2).sum())
        self.count += expected.size

    def decibels(self) -> float:
        if self.noise == 0:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal else -math.inf


def round_features(outputs: Floats, features: FeatureScale) -> Integers:
    """round(output / step), unchecked: inference refuses what is out of range."""
    return np.rint(outputs / features.step).astype(np.int64)


def measure(
    graph: FloatGraph,
    place: int,
    ranges: Sequence[ValueRange],
    frames: Tensor,
    private: PrivatePart | None,
    quantised: Quantised,
    pixel_bound: float,
    labels: Integers | None = None,
) -> Report:
    """Runs both on `frames`. `graph` is the whole model, `ranges` those of its values, cut at value `place`.

    `labels` (N,) are classes, or 0 and 1. Raises RangeError if the integer network leaves its ranges even on
    these frames.
    """
    comparison = _Comparison(graph, place, quantised)
    decisions = np.concatenate([comparison.run(batch, private) for batch in batches(frames)], axis=1)
    return Report(
        layers=tuple(map(comparison.report, range(len(graph.nodes)), ranges[1:])),
        frames=len(frames),
        agreement=float((decisions[0] == decisions[1]).mean()),
        accuracy=None
        if labels is None
        else Accuracy(*(float((made == labels).mean()) for made in decisions)),
        pixel_bound=pixel_bound,
        pixels=math.prod(graph.input_shape),
        features=math.prod(graph.shapes[place]),
        feature_scale=quantised.features,
        is_private=private is not None,
        notes=graph.notes,
    )


class _Comparison:
    """Adds up, layer by layer and batch by batch, what integers differ by from floats."""

    def __init__(self, graph: FloatGraph, place: int, quantised: Quantised) -> None:
        self._graph, self._place, self._quantised = graph, place, quantised
        names = {layer.name for layer in graph.layers}
        self._stages = {stage.name: stage for stage in quantised.stages if stage.name in names}
        self._tallies = {name: _Tally() for name in self._stages}
        if place != FRAMES:
            self._tallies[graph.layers[place - 1].name] = _Tally()

    def run(self, frames: Tensor, private: PrivatePart | None) -> Integers:
        """(2, N): what the float model decides on a batch, and what the integer model does."""
        pixels = frames.numpy()
        features = round_features(
            pixels if private is None else private_evaluate(private, pixels), self._quantised.features
        )
        integers = _Integers(self._quantised, features, self._stages.values())
        for index, output in enumerate(self._graph.evaluate(frames)):
            values, layer = output.numpy(), self._graph.layers[index]
            if index + 1 == self._place:
                step = np.array([self._quantised.features.step])
                self._tallies[layer.name].add(values, features.reshape(values.shape), step)
            if layer.name in self._stages:
                self._compare(self._stages[layer.name], values, integers)
        return np.stack([_decisions(values), _decisions(integers.logits())])

    @property
    def _program(self) -> Program:
        return self._quantised.public.program

    def _compare(self, stage: Stage, values: Floats, integers: _Integers) -> None:
        made = integers.of(stage)
        tally = self._tallies[stage.name]
        tally.add(values, made.output, stage.scale)
        if stage.saturates:
            tally.clipped += _saturated(self._program.layers[stage.program_layer], made)

    def report(self, index: int, bounds: ValueRange) -> LayerReport:
        """Of the float layer of node `index`, whose values had these bounds."""
        layer: FloatLayer = self._graph.layers[index]
        tally = self._tallies.get(layer.name)
        return LayerReport(
            name=layer.name,
            kind=type_name(layer),
            low=bounds.low,
            high=bounds.high,
            clipped=tally.clipped / tally.count if tally else None,
            signal_to_noise=tally.decibels() if tally else None,
        )


class _Integers:
    """The integer network on a batch, run as far as was asked for, keeping what will be."""

    def __init__(self, quantised: Quantised, features: Integers, stages: Iterable[Stage]) -> None:
        program = quantised.public.program
        labels = None if program.label_classes is None else np.zeros(len(features), np.int64)
        self._nodes = trace_by_node(program, quantised.public.weights, features, labels)
        #: The node that makes the logits.
        self._logits = program.nodes[-1].inputs[0] - 1
        self._next = 0
        self._wanted = Counter([self._logits, *(stage.program_layer for stage in stages)])
        self._kept: dict[int, LayerTrace] = {}

    def of(self, stage: Stage) -> LayerTrace:
        """What stands for a float layer; every stage may be asked for once."""
        return self._take(stage.program_layer)

    def logits(self) -> Integers:
        """(N, k): on what the last layer decides. May be asked for once."""
        return self._take(self._logits).output

    def _take(self, number: int) -> LayerTrace:
        while self._next <= number:
            self._advance()
        self._wanted[number] -= 1
        return self._kept[number] if self._wanted[number] else self._kept.pop(number)

    def _advance(self) -> None:
        made = next(self._nodes)
        if self._wanted[self._next]:
            self._kept[self._next] = made
        self._next += 1


def _decisions(logits: NDArray[np.float64] | Integers) -> Integers:
    """(N,) of (N, k)."""
    decisions = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(axis=1)
    return decisions.astype(np.int64)


def _saturated(layer: Layer, values: LayerTrace) -> int:
    """How many values sit where the table is clipped."""
    if not isinstance(layer, Requantise) or values.quotient is None:
        return 0
    low, high = unsaturated(layer.table)
    return int(((values.quotient < low) | (values.quotient > high)).sum())
