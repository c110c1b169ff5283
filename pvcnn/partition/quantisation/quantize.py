"""From a float graph to a program of integers and its weights.

`pvcnn.partition.quantisation.planner` chooses scales and tables; here weights are rounded and layers put
together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.float_graph.graph import (
    FRAMES,
    Conv2d,
    FloatGraph,
    Linear,
    type_name,
)
from pvcnn.partition.quantisation.accumulators import without_batch_norms
from pvcnn.partition.quantisation.calibrate import ValueRange, calibrate
from pvcnn.partition.quantisation.emitter import Emitter, Quantised
from pvcnn.partition.quantisation.planner import plan_scales
from pvcnn.partition.quantisation.scale_plan import FeatureScale
from pvcnn.partition.quantisation.tables import HEADROOM

#: Weights have WEIGHT_BITS, or up to MOST_WEIGHT_BITS where the table of as many entries that they are looked
#: up in is smaller than a 256th of their number. Two bits more are worth 10 dB in networks of 16 layers.
WEIGHT_BITS = 8
MOST_WEIGHT_BITS = 10
_WEIGHTS_AN_ENTRY = 256
#: Features have this many bits, headroom over what calibration saw included.
FEATURE_BITS = 12
#: What can be revealed: each frame's decision, or the logits that it follows from, or only how many of all
#: frames' decisions are their labels.
REVEAL = ("decisions", "logits", "correct")

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def quantise_graph(
    graph: FloatGraph,
    frames: Tensor,
    reveal: str = "decisions",
    weight_bits: int | None = None,
) -> Quantised:
    """The program of a whole graph, without a private part: features are frames, rounded.

    `frames`: (N, *graph.input_shape) float64 for calibration. Raises what `quantise` raises.
    """
    ranges = calibrate(graph, frames)
    features = feature_scale(ranges[FRAMES], nonnegative=ranges[FRAMES].low >= 0)
    return quantise(graph, ranges, features, reveal, weight_bits)


def feature_scale(values: ValueRange, nonnegative: bool, bound: float | None = None) -> FeatureScale:
    """FEATURE_BITS bits for values up to `bound`, by default HEADROOM times what calibration saw."""
    peak = bound or HEADROOM * float(values.peaks.max()) or 1.0
    if nonnegative:
        high = (1 << FEATURE_BITS) - 1
        return FeatureScale(peak / high, 0, high)
    high = (1 << (FEATURE_BITS - 1)) - 1
    return FeatureScale(peak / high, -high - 1, high)


def quantise(
    graph: FloatGraph,
    ranges: tuple[ValueRange, ...],
    features: FeatureScale,
    reveal: str = "decisions",
    weight_bits: int | None = None,
) -> Quantised:
    """The program of the public layers.

    `ranges` are those of the graph's values on calibration frames; the first is that of the private part's
    outputs, before they are divided by the features' step. The blinding of the weights' commitment is
    drawn here, once per model. Without `weight_bits` the number of weights decides. Raises
    UnsupportedLayer for a layer that programs do not have, or a model that does not end with logits.
    """
    _check_output(graph)
    weight_bits = weight_bits or _weight_bits(graph)
    accumulators, ranges, plan = plan_scales(without_batch_norms(graph), ranges, features, weight_bits)
    emitter = Emitter(accumulators, ranges, plan, features, weight_bits)
    last = [layer for layer in graph.layers if isinstance(layer, Conv2d | Linear)] or graph.layers[-1:]
    return emitter.run(last[-1].name, reveal)


def _weight_bits(graph: FloatGraph) -> int:
    weights = sum(layer.weight.numel() for layer in graph.layers if isinstance(layer, Conv2d | Linear))
    return min(max((weights // _WEIGHTS_AN_ENTRY).bit_length() - 1, WEIGHT_BITS), MOST_WEIGHT_BITS)


def _check_output(graph: FloatGraph) -> None:
    layer, shape = graph.layers[-1], graph.shapes[-1]
    if len(shape) != 1:
        raise UnsupportedLayer(
            f"{layer.name} ({type_name(layer)}): the model returns values of shape {shape}, not logits; "
            "end it with a Flatten, or a Linear layer of one output for each class (one alone for yes or no)"
        )
