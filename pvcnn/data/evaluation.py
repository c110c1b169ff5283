"""Frames to judge a detector by, and how sure the judgement is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pvcnn.data.faces import load_faces
from pvcnn.data.fakes import FrameMaker, Kind
from pvcnn.data.frames import prepare

#: What is made from every image, once as it is and once degraded.
KINDS_PER_IMAGE = (Kind.REAL,) * 4 + (Kind.SELF_BLEND,) * 2 + (Kind.SWAP,) * 2


@dataclass(frozen=True)
class Evaluation:
    """Frames (n, 64, 64) uint8 with, per frame, what they are, whom they show, whether degraded."""

    frames: NDArray[np.uint8]
    kinds: NDArray[np.int64]
    people: NDArray[np.int64]
    degraded: NDArray[np.bool_]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,): 1 fake, 0 real."""
        labels: NDArray[np.int64] = (self.kinds != Kind.REAL).astype(np.int64)
        return labels

    @property
    def prepared(self) -> NDArray[np.float64]:
        """(n, 1, 64, 64) as the detector takes them."""
        return prepare(self.frames)

    def select(self, kind: Kind | None, degraded: bool | None) -> NDArray[np.bool_]:
        """The reals and the fakes of one kind (None: every kind), plain or degraded (None: both)."""
        chosen = np.ones(len(self.kinds), bool)
        if kind is not None:
            chosen &= (self.kinds == Kind.REAL) | (self.kinds == kind)
        if degraded is not None:
            chosen &= self.degraded == degraded
        return chosen


def evaluation_frames(people: tuple[int, ...], seed: int) -> Evaluation:
    """Sixteen frames of every image of `people`: half real, a quarter of each kind of fake."""
    maker = FrameMaker(load_faces(), people)
    generator = torch.Generator().manual_seed(seed)
    sources = torch.arange(len(maker)).repeat(len(KINDS_PER_IMAGE))
    kinds = torch.tensor(KINDS_PER_IMAGE).repeat_interleave(len(maker))
    batches = [maker.make(sources, kinds, generator, hard=hard) for hard in (False, True)]
    return Evaluation(
        torch.cat([batch.frames for batch in batches]).numpy(),
        torch.cat([batch.kinds for batch in batches]).numpy(),
        torch.cat([batch.people for batch in batches]).numpy(),
        np.repeat([False, True], len(sources)),
    )


def area_under_curve(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The probability that a fake scores above a real one (ties count half)."""
    fakes, reals = scores[labels == 1], np.sort(scores[labels == 0])
    below = np.searchsorted(reals, fakes, "left") + np.searchsorted(reals, fakes, "right")
    return float(below.mean() / (2 * len(reals)))


def equal_error_threshold(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The score above which as large a share of reals lies as of fakes lies below."""
    candidates = np.sort(scores)
    reals, fakes = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])
    false_alarms = 1 - np.searchsorted(reals, candidates, "right") / len(reals)
    misses = np.searchsorted(fakes, candidates, "right") / len(fakes)
    best = int(np.argmin(np.abs(false_alarms - misses)))
    # Halfway to the next score: no frame sits on the threshold itself.
    return float(candidates[best : best + 2].mean())


def interval_over_people(
    measure: Callable[[NDArray[np.float64], NDArray[np.int64]], float],
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
    people: NDArray[np.int64],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """The 95 % bootstrap interval of `measure(scores, labels)` when people are drawn anew.

    Frames of one person resemble each other, so people are drawn, never frames. With few people
    the interval is wide, and still too narrow: it knows nothing of people unlike these.
    """
    members = [np.flatnonzero(people == person) for person in np.unique(people)]
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        chosen = np.concatenate([members[i] for i in generator.integers(len(members), size=len(members))])
        values.append(measure(scores[chosen], labels[chosen]))
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
