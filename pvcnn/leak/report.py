"""What was measured of one cut, and what has to be said about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pvcnn.leak.blind import BlindIdentification
from pvcnn.leak.budget import Training
from pvcnn.leak.decoding import Reconstruction
from pvcnn.leak.dependence import Dependence
from pvcnn.leak.retrieval import Retrieval
from pvcnn.leak.summary import LeakSummary, PersonFigures
from pvcnn.leak.weights import Recovery

FORMAT = "pvcnn-leak-report"
VERSION = 1


@dataclass(frozen=True, eq=False)
class LeakReport:
    """Of one private part: `cut` names it, `private` describes its layers, `data` the frames.

    Shapes are those of one frame and its features. `people` is None where frames show nobody. `pictures`
    (n, channels, height, width) are the attacked ones, beside which `decoder` holds reconstructions, and
    `identities` (n,) say whom or what they show.
    """

    cut: str
    private: str
    data: str
    identity: str
    input_shape: tuple[int, ...]
    feature_shape: tuple[int, ...]
    training_frames: int
    attacked_frames: int
    budget_seconds: float
    seed: int
    decoder: Reconstruction = field(repr=False)
    embedding: Training
    frames: Retrieval
    people: Retrieval | None
    blind: BlindIdentification
    weights: Recovery
    dependence: Dependence
    pictures: Tensor = field(repr=False)
    identities: Tensor = field(repr=False)

    @property
    def ratio(self) -> float:
        """Features over pixels."""
        return math.prod(self.feature_shape) / math.prod(self.input_shape)

    def to_dict(self) -> dict[str, Any]:
        """For JSON. All but the processor times depends on the seed alone."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "cut": self.cut,
            "private": self.private,
            "data": self.data,
            "identity": self.identity,
            "input_shape": list(self.input_shape),
            "feature_shape": list(self.feature_shape),
            "features_over_pixels": self.ratio,
            "training_frames": self.training_frames,
            "attacked_frames": self.attacked_frames,
            "budget_seconds": self.budget_seconds,
            "seed": self.seed,
            "decoder": self.decoder.to_dict(),
            "embedding": {"steps": self.embedding.steps, "cpu_seconds": self.embedding.seconds},
            "frame_retrieval": self.frames.to_dict(),
            "person_retrieval": None if self.people is None else self.people.to_dict(),
            "blind_identification": self.blind.to_dict(),
            "weight_recovery": self.weights.to_dict(),
            "distance_correlation": self.dependence.to_dict(),
            "warnings": self.summary().warnings(),
        }

    def summary(self) -> LeakSummary:
        """The figures that testers should see before they encrypt."""
        people = None
        if self.people is not None:
            people = PersonFigures(
                self.identity,
                self.people.candidates,
                _per_mille(self.people.found["decoder"]),
                _per_mille(self.people.best),
                _per_mille(self.people.chance),
            )
        return LeakSummary(
            cut=self.cut,
            private=self.private,
            data=self.data,
            input_shape=self.input_shape,
            feature_shape=self.feature_shape,
            training_frames=self.training_frames,
            budget_milliseconds=round(1000 * self.budget_seconds),
            decoder_steps=self.decoder.training.steps,
            psnr=round(1000 * float(self.decoder.decibels.mean())),
            similarity=_per_mille(float(self.decoder.similarity.mean())),
            candidates=self.frames.candidates,
            frames_by_decoder=_per_mille(self.frames.found["decoder"]),
            frames_by_best=_per_mille(self.frames.best),
            people=people,
            is_blindly_identified=not self.blind.reason,
            weights_method=self.weights.method,
            copied_error=_per_mille(min(self.weights.feature_error, 1.0)),
            correlation=_per_mille(self.dependence.correlation),
            shuffled_correlation=_per_mille(self.dependence.shuffled),
        )


def _per_mille(share: float) -> int:
    return round(1000 * share)
