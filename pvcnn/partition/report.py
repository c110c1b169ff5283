"""What splitting and quantising did to a model, measured on the calibration frames. For the owner."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pvcnn.partition.calibrate import LayerRange, batches, evaluate
from pvcnn.partition.graph import FloatLayer
from pvcnn.partition.quantize import FeatureScale, Quantised
from pvcnn.program.inference import LayerTrace, trace
from pvcnn.program.layers import Layer, Requantise, Shape
from pvcnn.program.private import PrivatePart, private_evaluate
from pvcnn.program.table import Table

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LayerReport:
    """One layer: the range of its float values; of its integer values the clipped fraction and the noise.

    `clipped` is the fraction of values at which its table saturates, `signal_to_noise` in dB compares
    integer (times scale) with float values. Both are None where no integer tensor stands for the layer.
    """

    name: str
    kind: str
    low: float
    high: float
    clipped: float | None
    signal_to_noise: float | None


@dataclass(frozen=True)
class Report:
    """`agreement`: the fraction of calibration frames on which float and integer network decide alike."""

    layers: tuple[LayerReport, ...]
    frames: int
    agreement: float
    pixel_bound: float
    pixels: int
    features: int
    feature_scale: FeatureScale

    def __str__(self) -> str:
        lines = [
            f"{'layer':<32}{'kind':<14}{'low':>11}{'high':>11}{'clipped':>10}{'signal/noise':>14}",
            *(_line(layer) for layer in self.layers),
            f"decisions: as by the float model on {self.agreement:.1%} of {self.frames} calibration frames",
            f"features: {self.features} from {self.pixels} pixels "
            f"(ratio {self.features / self.pixels:.3f}), integers in "
            f"[{self.feature_scale.low}, {self.feature_scale.high}]",
            "privacy against the cluster: not proved",
        ]
        return "\n".join(lines)


@dataclass
class _Tally:
    signal: float = 0.0
    noise: float = 0.0
    clipped: int = 0
    count: int = 0

    def decibels(self) -> float:
        if self.noise == 0:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal else -math.inf


def measure(
    layers: tuple[FloatLayer, ...],
    ranges: tuple[LayerRange, ...],
    frames: Tensor,
    private: PrivatePart,
    features: FeatureScale,
    quantised: Quantised,
) -> Report:
    """Runs float and integer network side by side on `frames`. `layers` are those before and after the cut.

    Raises RangeError if the integer network leaves its ranges even on these frames.
    """
    private_count = len(private.layers)
    tallies: dict[int, _Tally] = {private_count - 1: _Tally()}
    tallies |= {private_count + stage.float_layer: _Tally() for stage in quantised.stages}
    program, alike = quantised.public.program, 0
    for batch in batches(frames):
        outputs = evaluate(layers, batch)
        x = round_features(private_evaluate(private, batch.numpy()), features)
        integers = trace(program, quantised.public.weights, x)
        _compare(tallies[private_count - 1], outputs[private_count - 1], x, np.array([features.step]))
        for stage in quantised.stages:
            tally = tallies[private_count + stage.float_layer]
            values = integers.layers[stage.program_layer]
            _compare(tally, outputs[private_count + stage.float_layer], values.output, stage.scale)
            tally.clipped += _saturated(program.layers[stage.program_layer], values)
        decisions = (outputs[-1] > 0).numpy()[:, 0]
        alike += int((decisions == (integers.decisions == 1)).sum())
    return Report(
        layers=tuple(
            _layer_report(layer, bounds, tallies.get(i))
            for i, (layer, bounds) in enumerate(zip(layers, ranges, strict=True))
        ),
        frames=len(frames),
        agreement=alike / len(frames),
        pixel_bound=private.pixel_bound,
        pixels=_count(private.input_shape),
        features=_count(private.output_shape),
        feature_scale=features,
    )


def round_features(outputs: Floats, features: FeatureScale) -> NDArray[np.int64]:
    """round(output / step), unchecked: `trace` refuses what is out of range."""
    return np.rint(outputs / features.step).astype(np.int64)


def _compare(tally: _Tally, real: Tensor, values: NDArray[np.int64], scale: Floats) -> None:
    expected = real.numpy()
    approximate = values * scale.reshape(-1, *[1] * (values.ndim - 2))
    tally.signal += float((expected**2).sum())
    tally.noise += float(((approximate - expected) ** 2).sum())
    tally.count += expected.size


def _saturated(layer: Layer, values: LayerTrace) -> int:
    """How many values sit where the table is flat at an end: they lost what distinguished them."""
    if not isinstance(layer, Requantise) or values.quotient is None:
        return 0
    low, high = _unsaturated(layer.table)
    return int(((values.quotient < low) | (values.quotient > high)).sum())


def _unsaturated(table: Table) -> tuple[int, int]:
    """The q between the table's flat ends. A flat end at 0, as ReLU has, is no saturation."""
    steps = np.flatnonzero(np.diff(table.values))
    low, high = table.low, table.high
    if len(steps) and table.values[0] != 0:
        low += int(steps[0])
    if len(steps) and table.values[-1] != 0:
        high = table.low + int(steps[-1]) + 1
    return low, high


def _layer_report(layer: FloatLayer, bounds: LayerRange, tally: _Tally | None) -> LayerReport:
    return LayerReport(
        name=layer.name,
        kind=type(layer).__name__,
        low=bounds.low,
        high=bounds.high,
        clipped=tally.clipped / tally.count if tally else None,
        signal_to_noise=tally.decibels() if tally else None,
    )


def _line(layer: LayerReport) -> str:
    clipped = "" if layer.clipped is None else f"{layer.clipped:.4%}"
    noise = "" if layer.signal_to_noise is None else f"{layer.signal_to_noise:.1f} dB"
    return f"{layer.name:<32}{layer.kind:<14}{layer.low:>11.4g}{layer.high:>11.4g}{clipped:>10}{noise:>14}"


def _count(shape: Shape) -> int:
    return math.prod(shape)
