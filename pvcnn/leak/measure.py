"""All attacks on one private part."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from pvcnn.leak import budget
from pvcnn.leak.blind import identify
from pvcnn.leak.data import LeakData
from pvcnn.leak.decoding import reconstruct
from pvcnn.leak.dependence import distance_correlation
from pvcnn.leak.private import FeaturesFunction, Private, of_function, of_split, rounded, whole
from pvcnn.leak.report import LeakReport
from pvcnn.leak.retrieval import find_frames, find_people
from pvcnn.leak.weights import recover
from pvcnn.partition.split import Split

#: What is done, in order; `progress` of `measure` is told the name.
STAGES = ("features", "weights", "decoder", "retrieval", "blind identification", "distance correlation")


def measure(
    private: Private | Split | nn.Module | FeaturesFunction,
    data: LeakData,
    seconds: float = budget.DEFAULT_SECONDS,
    seed: int = 0,
    *,
    cut: str = "",
    progress: Callable[[str], None] = lambda stage: None,
) -> LeakReport:
    """What the features of `data.attacked` give away to an attacker who trains with `data.train`.

    - `private`: from `pvcnn.leak.private`; or a module that is the private part, of frames
      (n, channels, height, width) float32; or a split model or any function of frames, of whose layers
      attackers then know nothing.
    - `seconds`, positive: the attackers' budget, as a number of steps of training, so that a seed gives the
      same report on machines that compute alike (torch promises no more). `budget.MULTIPLICATIONS` says
      what a second is.
    - `cut` names the cut in the report.

    Takes about `seconds` of one thread and a few more. Raises ValueError for a budget that is not positive
    and features that are not finite or do not differ between frames.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"a budget of {seconds} seconds: it must be finite and positive")
    subject = _subject(private, data)
    train, attacked = data.train, data.attacked
    progress("features")
    exact = subject.features(train.inputs)
    features, seen = rounded(exact, exact), rounded(subject.features(attacked.inputs), exact)
    if not bool(torch.isfinite(features).all() and torch.isfinite(seen).all()):
        raise ValueError("features must be finite")
    progress("weights")
    weights = recover(
        subject, train.inputs, features, attacked.inputs, seen, budget.IMITATION * seconds, seed
    )
    progress("decoder")
    decoded = reconstruct(train, features, attacked, seen, budget.DECODER * seconds, seed)
    progress("retrieval")
    frames, embedding = find_frames(
        train, features, attacked, seen, decoded, weights.imitation, budget.EMBEDDING * seconds, seed
    )
    people = find_people(train, features, attacked, seen, decoded) if data.identity else None
    progress("blind identification")
    blind = identify(subject, attacked.inputs, seen)
    progress("distance correlation")
    return LeakReport(
        cut=cut,
        private=subject.description,
        data=data.name,
        identity=data.identity,
        input_shape=tuple(attacked.inputs.shape[1:]),
        feature_shape=tuple(seen.shape[1:]),
        training_frames=len(train),
        attacked_frames=len(attacked),
        budget_seconds=seconds,
        seed=seed,
        decoder=decoded,
        embedding=embedding,
        frames=frames,
        people=people,
        blind=blind,
        weights=weights,
        dependence=distance_correlation(attacked.inputs, seen, seed),
        pictures=attacked.pictures,
        identities=attacked.identities,
    )


def _subject(private: Private | Split | nn.Module | FeaturesFunction, data: LeakData) -> Private:
    if isinstance(private, Private):
        return private
    if isinstance(private, Split):
        return of_split(private)
    if isinstance(private, nn.Module):
        return whole(private.eval(), data.attacked.inputs)
    return of_function(private)
