"""What is known of each cut of a model: needs no torch, so that limits and tables can be read anywhere."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from pvcnn.leak.summary import LeakSummary

FORMAT = "pvcnn-cut-plan"
VERSION = 1


@dataclass(frozen=True)
class MeasuredFrame:
    """One frame up and down on this machine: processor seconds and bytes.

    prepare_seconds: keys and encoded weights, once a campaign; error_steps: the largest of the frame's
    features, flooding included, in quantisation steps.
    """

    prepare_seconds: float
    encrypt_seconds: float
    evaluate_seconds: float
    error_steps: float
    evaluation_keys: int
    upload: int
    download: int


@dataclass(frozen=True)
class EncryptedCost:
    """The private part on ciphertexts, as `pvcnn.he.parameters.design` plans it.

    seconds: predicted, for a frame, of one thread; sizes are bytes, the evaluation keys' once a campaign.
    noise_steps: what evaluation adds to a feature at most, in quantisation steps; error_steps: flooding
    included. headroom_bits: the least over all layers, from the largest value to where decryption would
    wrap around; proved: whether no frame at all can exceed that value (else: no calibration frame does).
    memory: bytes that making keys and evaluating takes in one process, about.
    """

    degree: int
    seconds: float
    evaluation_keys: int
    upload: int
    download: int
    noise_steps: float
    error_steps: float
    headroom_bits: int
    proved: bool
    flooding_bits: int
    memory: int
    measured: MeasuredFrame | None = None


@dataclass(frozen=True)
class PublicCost:
    """The rest of the model in a proof of one frame: constraints, their domain, seconds predicted."""

    constraints: int
    domain: int
    prove_seconds: float


@dataclass(frozen=True)
class CutRow:
    """One cut, behind the value number `place` of the graph, which the layer `layer` of type `kind` makes.

    `blocks`: how many it leaves private, None if it divides one. `private` describes the layers before it,
    if they form a chain. `refused` is the reason why this cut cannot be taken; else `encrypted` (None for
    cut=0, where nothing is private) and `public` are there. `leak` is None where nothing was attacked.
    """

    place: int
    layer: str
    kind: str
    blocks: int | None
    private: str
    input_shape: tuple[int, ...]
    feature_shape: tuple[int, ...]
    refused: str = ""
    encrypted: EncryptedCost | None = None
    public: PublicCost | None = None
    leak: LeakSummary | None = None

    @property
    def cut(self) -> str:
        """As `pvcnn split --cut` takes it; quoted if the layer's name is a number: Python alone takes it."""
        if self.blocks is not None:
            return str(self.blocks)
        return repr(self.layer) if self.layer.isdecimal() else self.layer

    @property
    def fits(self) -> bool:
        """Whether something is private and can be evaluated on encrypted frames."""
        return self.encrypted is not None

    @property
    def features(self) -> int:
        return math.prod(self.feature_shape)

    @property
    def ratio(self) -> float:
        """Features over pixels."""
        return self.features / math.prod(self.input_shape)

    @property
    def seconds(self) -> float:
        """Of a frame on its way through both parts, as predicted: what makes one cut cheaper than another."""
        encrypted = self.encrypted.seconds if self.encrypted else 0.0
        return encrypted + (self.public.prove_seconds if self.public else 0.0)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cut": self.cut,
            "layer": self.layer,
            "kind": self.kind,
            "blocks": self.blocks,
            "private": self.private,
            "feature_shape": list(self.feature_shape),
            "features": self.features,
            "features_over_pixels": self.ratio,
            "fits": self.fits,
            "refused": self.refused,
            "encrypted": None if self.encrypted is None else asdict(self.encrypted),
            "public": None if self.public is None else asdict(self.public),
            "leak": None if self.leak is None else leak_fields(self.leak),
        }


@dataclass(frozen=True)
class CutPlan:
    """All cuts of one model, in the order of its layers; the first is cut=0, for reference.

    `polynomials`: the degree of those that take the place of activations before each cut, None if none do.
    """

    model: str
    weights: str
    polynomials: int | None
    seed: int
    budget_seconds: float
    rows: tuple[CutRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON. All but measured seconds depends on model, frames and seed alone."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model,
            "weights": self.weights,
            "polynomials": self.polynomials,
            "seed": self.seed,
            "budget_seconds": self.budget_seconds,
            "cuts": [row.to_dict() for row in self.rows],
        }


def leak_fields(leak: LeakSummary) -> dict[str, Any]:
    """The figures of the attacks; shares from 0 to 1, by the decoder and by the strongest attack."""
    people = leak.people
    return {
        "data": leak.data,
        "budget_seconds": leak.budget_milliseconds / 1000,
        "psnr": leak.psnr / 1000,
        "similarity": leak.similarity / 1000,
        "candidates": leak.candidates,
        "frame_retrieval": {"decoder": leak.frames_by_decoder / 1000, "best": leak.frames_by_best / 1000},
        "person_retrieval": None
        if people is None
        else {
            "kind": people.kind,
            "count": people.count,
            "decoder": people.by_decoder / 1000,
            "best": people.by_best / 1000,
            "chance": people.chance / 1000,
        },
        "is_blindly_identified": leak.is_blindly_identified,
        "weights_method": leak.weights_method,
        "copied_error": leak.copied_error / 1000,
        "distance_correlation": leak.correlation / 1000,
        "shuffled_correlation": leak.shuffled_correlation / 1000,
        "warnings": leak.warnings(),
    }
