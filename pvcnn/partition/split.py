"""Splitting a model: a private part for encrypted frames, and a public part of integers to be proved."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from pvcnn.partition.calibrate import LayerRange, calibrate
from pvcnn.partition.cut import check_rules, cut_after, outputs_are_nonnegative, private_layers
from pvcnn.partition.fold import activations_first, fold_batch_norms
from pvcnn.partition.graph import chain_shapes
from pvcnn.partition.quantize import HEADROOM, FeatureScale, quantise
from pvcnn.partition.report import Report, measure
from pvcnn.partition.trace import trace
from pvcnn.program.private import PrivatePart
from pvcnn.program.public_part import PublicPart

#: Features have this many bits, headroom over what calibration saw included.
FEATURE_BITS = 12


@dataclass(frozen=True)
class Split:
    """`private` is for the owner alone, and so are `public.weights` and `report`."""

    private: PrivatePart
    public: PublicPart
    report: Report


def split(
    model: nn.Module,
    calibration_frames: Tensor | ArrayLike,
    cut: int = 1,
    weights: str = "committed",
    *,
    pixel_bound: float | None = None,
) -> Split:
    """Cuts `model` after its `cut`-th block and quantises what follows (docs/protocol.md, "Programs").

    `calibration_frames`: (N, channels, height, width), N >= 1, prepared as frames will be; they fix every
    range, so take them from the same source. `pixel_bound` bounds the magnitude of pixels, by default
    twice the largest of the calibration frames. The model is not changed; it is taken in eval mode.

    Raises UnsupportedLayer naming the layer, CutRefused naming the rule, ValueError for frames or weights
    that are not finite numbers, and NotImplementedError for weights="published".
    """
    _check_weights_mode(weights)
    frames = _frames(calibration_frames)
    _check_finite(model)
    layers = activations_first(fold_batch_norms(trace(model, frames)))
    shapes = chain_shapes(layers, tuple(frames.shape[1:]))
    before, after = cut_after(layers, cut)
    private = private_layers(before)
    check_rules(private, shapes[0], shapes[len(before)])
    ranges = calibrate(layers, frames)
    features = _feature_scale(ranges[len(before) - 1], outputs_are_nonnegative(private))
    private_part = PrivatePart(
        input_shape=shapes[0],
        pixel_bound=_pixel_bound(frames, pixel_bound),
        layers=private,
        feature_step=features.step,
        output_shape=shapes[len(before)],
    )
    quantised = quantise(after, ranges[len(before) - 1 :], shapes[len(before)], features)
    report = measure(layers, ranges, frames, private_part, features, quantised)
    return Split(private_part, quantised.public, report)


def _check_weights_mode(weights: str) -> None:
    if weights == "published":
        raise NotImplementedError('weights="published" is not built yet; use weights="committed"')
    if weights != "committed":
        raise ValueError(f'weights={weights!r}: choose "committed" or "published"')


def _frames(calibration_frames: Tensor | ArrayLike) -> Tensor:
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


def _check_finite(model: nn.Module) -> None:
    for name, tensor in model.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name}: weights must be finite")


def _pixel_bound(frames: Tensor, given: float | None) -> float:
    peak = float(frames.abs().max())
    if given is None:
        return HEADROOM * peak or 1.0
    if not math.isfinite(given) or given < peak:
        raise ValueError(f"pixel_bound={given}: calibration frames reach {peak}")
    return float(given)


def _feature_scale(outputs: LayerRange, nonnegative: bool) -> FeatureScale:
    peak = HEADROOM * float(outputs.peaks.max()) or 1.0
    if nonnegative:
        high = (1 << FEATURE_BITS) - 1
        return FeatureScale(peak / high, 0, high)
    high = (1 << (FEATURE_BITS - 1)) - 1
    return FeatureScale(peak / high, -high - 1, high)
