"""Splitting a model: a private part for encrypted frames, and a public part of integers to be proved."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from pvcnn.errors import CutRefused
from pvcnn.partition.calibrated import Calibrated, checked_frames
from pvcnn.partition.cut import cut_graph, private_layers, refuse_broken
from pvcnn.partition.quantisation.measure import measure, round_features
from pvcnn.partition.quantisation.quantize import REVEAL
from pvcnn.partition.quantisation.report import Report
from pvcnn.partition.quantisation.scale_plan import FeatureScale
from pvcnn.program.private import PrivatePart, private_evaluate
from pvcnn.program.private_rules import broken_rules
from pvcnn.program.public_part import PublicPart

Integers = NDArray[np.int64]
#: Begins a note of the report on a cut that hides nothing and was accepted.
LEAKY = "leaky cut, accepted"


@dataclass(frozen=True)
class Split:
    """`private` is for the owner alone, and so are `report` and, unless they are published, `public.weights`.

    `private_part` is None if the model was split with cut=0: then features are pixels, rounded.
    `logit_scale` times revealed logits are about the model's.
    """

    private_part: PrivatePart | None
    public: PublicPart
    report: Report
    feature_scale: FeatureScale
    logit_scale: float

    @property
    def private(self) -> PrivatePart:
        """The private part. Raises CutRefused if there is none."""
        if self.private_part is None:
            raise CutRefused("cut=0: nothing is private, so nothing could be encrypted; cut behind a layer")
        return self.private_part

    def features(self, frames: Tensor | ArrayLike) -> Integers:
        """What the public part gets for frames (N, channels, height, width): (N, *input shape), unchecked."""
        pixels = np.asarray(frames, dtype=np.float64)
        outputs = pixels if self.private_part is None else private_evaluate(self.private_part, pixels)
        return round_features(outputs, self.feature_scale)


def split(
    model: nn.Module | str | os.PathLike[str],
    calibration_frames: Tensor | ArrayLike,
    cut: int | str = 1,
    weights: str = "committed",
    reveal: str = "decisions",
    *,
    pixel_bound: float | None = None,
    labels: ArrayLike | None = None,
    weight_bits: int | None = None,
    accept_leaky_cut: bool = False,
) -> Split:
    """Cuts `model` and quantises what follows (docs/protocol.md, "Programs").

    - `model`: a module that torch.fx can trace, taken in eval mode and not changed; or the path of an ONNX
      file (docs/models.md, section "ONNX").
    - `calibration_frames`: (N, channels, height, width), N >= 1, prepared as frames will be; they fix every
      range, so take them from the same source.
    - `cut`: how many blocks, each of a convolution or linear layer and what follows it, are private; or the
      name of a layer or module, behind which to cut; 0 keeps nothing private.
    - `weights`: "committed", or "published", which makes proofs much cheaper.
    - `reveal`: "decisions", the class of the largest logit (with one logit, whether it is above 0); "logits";
      or "correct", how many decisions are the labels that frames come with.
    - `pixel_bound` bounds the magnitude of pixels, by default twice the largest of the calibration frames.
    - `labels` (N,): the calibration frames' classes, which only serve the report.
    - `weight_bits`: 8 by default, and up to 10 for many weights; up to 12 make deep models more exact.
    - `accept_leaky_cut`: a private part that fails the rules of docs/threat-model.md is not refused.

    Raises UnsupportedLayer naming the layer, CutRefused naming the rule, ValueError for frames or weights
    that are not finite numbers, and what `load_onnx` raises for a file.
    """
    _check_choices(weights, reveal)
    frames = checked_frames(calibration_frames)
    known = None if labels is None else _labels(labels, len(frames))
    calibrated = Calibrated.of(model, frames, pixel_bound)
    graph, bound = calibrated.graph, calibrated.pixel_bound
    parts = cut_graph(graph, cut)
    private = private_layers(parts.private)
    shape = parts.public.input_shape
    broken = broken_rules(private, graph.input_shape, shape) if private else {}
    if not accept_leaky_cut:
        refuse_broken(broken)
    features, private_part = calibrated.private_part(parts, private)
    quantised = calibrated.quantised(parts, features, reveal, weight_bits)
    report = measure(graph, parts.place, calibrated.ranges, frames, private_part, quantised, bound, known)
    report = replace(report, notes=(*report.notes, *(f"{LEAKY}: {why}" for why in broken.values())))
    public = replace(quantised.public, published=weights == "published")
    return Split(private_part, public, report, features, quantised.logit_scale)


def _check_choices(weights: str, reveal: str) -> None:
    if weights not in ("committed", "published"):
        raise ValueError(f'weights={weights!r}: choose "committed" or "published"')
    if reveal not in REVEAL:
        raise ValueError(f"reveal={reveal!r}: choose {' or '.join(map(repr, REVEAL))}")


def _labels(labels: ArrayLike, count: int) -> Integers:
    known = np.asarray(labels)
    if known.shape != (count,) or not (np.issubdtype(known.dtype, np.integer) or known.dtype == np.bool_):
        raise ValueError(f"labels must be {count} integers, one for each calibration frame")
    return known.astype(np.int64)
