"""A model as a float graph, with the range of each of its values: what every cut of it starts from."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from pvcnn.partition.cut import CutGraph, outputs_are_nonnegative
from pvcnn.partition.float_graph.fold import activations_first, fold_batch_norms
from pvcnn.partition.float_graph.graph import Flatten, FloatGraph, FloatLayer
from pvcnn.partition.quantisation.calibrate import ValueRange, calibrate
from pvcnn.partition.quantisation.emitter import Quantised
from pvcnn.partition.quantisation.quantize import feature_scale, quantise
from pvcnn.partition.quantisation.scale_plan import FeatureScale
from pvcnn.partition.quantisation.tables import HEADROOM
from pvcnn.partition.torch_import.trace import trace
from pvcnn.program.private import PrivateLayer, PrivatePart


@dataclass(frozen=True, eq=False)
class Calibrated:
    """`ranges` are those of the graph's values on calibration frames, the frames' own first."""

    graph: FloatGraph
    ranges: tuple[ValueRange, ...]
    pixel_bound: float

    @classmethod
    def of(
        cls, model: nn.Module | str | os.PathLike[str], frames: Tensor, pixel_bound: float | None = None
    ) -> Calibrated:
        """Of a module or ONNX file on `frames` (N, channels, height, width), which `checked_frames` made.

        `pixel_bound` is by default HEADROOM times the largest magnitude of a pixel. Raises what
        `pvcnn.partition.split.split` raises for models and frames.
        """
        graph = activations_first(fold_batch_norms(_float_graph(model, frames)))
        return cls(graph, calibrate(graph, frames), _pixel_bound(frames, pixel_bound))

    def private_part(
        self, parts: CutGraph, layers: tuple[PrivateLayer, ...]
    ) -> tuple[FeatureScale, PrivatePart | None]:
        """The scale of a cut's features, and its private `layers` with their ranges; None without any."""
        crossing = self.ranges[parts.place]
        if not layers:
            return feature_scale(crossing, crossing.low >= 0, self.pixel_bound), None
        features = feature_scale(crossing, outputs_are_nonnegative(layers))
        shape, room = (
            parts.public.input_shape,
            _private_ranges(parts.private, self.ranges[1 : parts.place + 1]),
        )
        part = PrivatePart(self.graph.input_shape, self.pixel_bound, layers, features.step, shape, room)
        return features, part

    def quantised(
        self,
        parts: CutGraph,
        features: FeatureScale,
        reveal: str = "decisions",
        weight_bits: int | None = None,
    ) -> Quantised:
        """The public graph of a cut in integers. Raises what `quantise` raises."""
        ranges = (self.ranges[parts.place],) * parts.flattens + self.ranges[parts.place :]
        return quantise(parts.public, ranges, features, reveal, weight_bits)


def checked_frames(calibration_frames: Tensor | ArrayLike) -> Tensor:
    """Float64 frames on the processor. Raises ValueError for another shape or values not finite."""
    if isinstance(calibration_frames, Tensor):
        frames = calibration_frames.detach().to(device="cpu", dtype=torch.float64)
    else:
        frames = torch.from_numpy(np.array(calibration_frames, dtype=np.float64))
    if frames.ndim != 4 or 0 in frames.shape:
        raise ValueError(
            f"calibration frames must have the shape (N, channels, height, width), not {tuple(frames.shape)}"
        )
    if not bool(torch.isfinite(frames).all()):
        raise ValueError("calibration frames must be finite")
    return frames


def _float_graph(model: nn.Module | str | os.PathLike[str], frames: Tensor) -> FloatGraph:
    if isinstance(model, nn.Module):
        _check_finite(model)
        return trace(model, frames)
    from pvcnn.partition.onnx_import.translate import load_onnx  # of the extra `onnx`

    graph = load_onnx(model)
    if graph.input_shape != tuple(frames.shape[1:]):
        found = tuple(frames.shape[1:])
        raise ValueError(f"calibration frames have the shape {found}, the model takes {graph.input_shape}")
    return graph


def _check_finite(model: nn.Module) -> None:
    for name, tensor in model.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name}: weights must be finite")


def _private_ranges(layers: tuple[FloatLayer, ...], ranges: tuple[ValueRange, ...]) -> tuple[float, ...]:
    """How large the output of each private layer is taken to be: HEADROOM times what calibration saw."""
    peaks = (
        float(values.peaks.max())
        for layer, values in zip(layers, ranges, strict=True)
        if not isinstance(layer, Flatten)
    )
    return tuple(HEADROOM * peak or 1.0 for peak in peaks)


def _pixel_bound(frames: Tensor, given: float | None) -> float:
    peak = float(frames.abs().max())
    if given is None:
        return HEADROOM * peak or 1.0
    if not math.isfinite(given) or given < peak:
        raise ValueError(f"pixel_bound={given}: calibration frames reach {peak}")
    return float(given)
