"""The second attack: which frame, of many, do features belong to, and which person do they show?

Each question is put in several ways, and the strongest attacker counts. Everybody who is asked about is a
stranger to what was trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from pvcnn.leak import budget
from pvcnn.leak.data import Frames
from pvcnn.leak.decoding import Reconstruction
from pvcnn.leak.networks import Encoder, Grid
from pvcnn.leak.private import FeaturesFunction, in_parts

_STEP = 64
_TEMPERATURE = 0.07
#: Directions in which identities are told apart, and how far their spread is trusted.
_DIRECTIONS, _SHRINKAGE = 160, 0.05


@dataclass(frozen=True)
class Retrieval:
    """How often each attacker was right, by its name, and how often guessing is, among `candidates`."""

    found: dict[str, float]
    chance: float
    candidates: int

    @property
    def best(self) -> float:
        """Of the strongest attacker."""
        return max(self.found.values())

    def to_dict(self) -> dict[str, Any]:
        return {
            "found": self.found,
            "best": self.best,
            "chance": self.chance,
            "candidates": self.candidates,
        }


def find_frames(
    train: Frames,
    features: Tensor,
    attacked: Frames,
    seen: Tensor,
    decoded: Reconstruction,
    imitation: FeaturesFunction | None,
    seconds: float,
    seed: int,
) -> tuple[Retrieval, budget.Training]:
    """Each attacked frame among all of them.

    By what the decoder makes of features; by directions into which one network takes features and another
    frames, trained until pairs agree; and by features that a private part of the attacker's own, if there
    is an `imitation`, makes of the frames. Anybody who may *submit* the candidates needs none of this: equal
    frames have equal features.
    """
    pictures = _nearest(_centred(decoded.pictures) @ _centred(attacked.pictures).T)
    inputs = _nearest(_centred(decoded.inputs) @ _centred(attacked.inputs).T)
    directions, training = _embedded(train, features, attacked, seen, seconds, seed)
    found = {"decoder": max(pictures, inputs), "embedding": _nearest(directions)}
    if imitation is not None:
        found["imitation"] = _by_imitation(imitation, features, attacked, seen)
    return Retrieval(found, 1 / len(seen), len(seen)), training


def find_people(
    train: Frames, features: Tensor, attacked: Frames, seen: Tensor, decoded: Reconstruction
) -> Retrieval | None:
    """The person (or class) of each attacked frame: that of the most similar other frame.

    Frames cut from the same source do not count. By the decoder's pictures beside the true ones of the
    others (people whose pictures are known); by features beside features, as they are and in directions
    that tell the attacker's own people apart (people who were tested before). None if there is
    nobody to find: fewer than two identities, or sources that stand alone.
    """
    people = attacked.identities
    same_source = attacked.sources[:, None] == attacked.sources
    if len(set(people.tolist())) < 2 or not bool(((people[:, None] == people) & ~same_source).any(1).all()):
        return None

    def named(likeness: Tensor) -> float:
        nearest = likeness.masked_fill(same_source, -torch.inf).argmax(1)
        return float((people[nearest] == people).float().mean())

    grid = Grid(features, tuple(train.inputs.shape[1:]))
    standard = grid.standardised(seen).flatten(1)
    told = _told_apart(grid.standardised(features).flatten(1), train.identities, standard)
    found = {
        "decoder": max(
            named(_centred(decoded.pictures) @ _centred(attacked.pictures).T),
            named(_centred(decoded.inputs) @ _centred(attacked.inputs).T),
        ),
        "features": named(F.normalize(standard, dim=1) @ F.normalize(standard, dim=1).T),
        "discriminant": named(told @ told.T),
    }
    chance = float((people[:, None] == people).masked_fill(same_source, False).float().sum(1).mean())
    chance /= float((~same_source).float().sum(1).mean())
    return Retrieval(found, chance, len(set(people.tolist())))


def _centred(images: Tensor) -> Tensor:
    flat = images.flatten(1)
    return F.normalize(flat - flat.mean(1, keepdim=True), dim=1)


def _nearest(likeness: Tensor) -> float:
    """How often a row's largest entry is on the diagonal; ties are lost."""
    own = likeness.diagonal()[:, None]
    others = likeness.clone().fill_diagonal_(-torch.inf)
    return float((own[:, 0] > others.amax(1)).float().mean())


def _embedded(
    train: Frames, features: Tensor, attacked: Frames, seen: Tensor, seconds: float, seed: int
) -> tuple[Tensor, budget.Training]:
    shape = tuple(train.inputs.shape[1:])
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        towers = torch.nn.ModuleList([Encoder(features, shape), Encoder(train.inputs, shape)])
    ours, theirs = towers

    def loss(chosen: Tensor) -> Tensor:
        likeness = ours(features[chosen]) @ theirs(train.inputs[chosen]).T / _TEMPERATURE
        own = torch.arange(len(chosen))
        return F.cross_entropy(likeness, own) + F.cross_entropy(likeness.T, own)

    each = budget.multiplications(ours, features[:1]) + budget.multiplications(theirs, train.inputs[:1])
    steps = budget.steps_for(seconds, _STEP * each)
    training = budget.train(towers, loss, len(features), _STEP, steps, seed)
    with torch.no_grad():
        left = torch.cat([ours(part) for part in in_parts(seen)])
        right = torch.cat([theirs(part) for part in in_parts(attacked.inputs)])
    return left @ right.T, training


def _by_imitation(imitation: FeaturesFunction, features: Tensor, attacked: Frames, seen: Tensor) -> float:
    with torch.no_grad():
        made = torch.cat([imitation(part) for part in in_parts(attacked.inputs)]).flatten(1)
    spread = features.flatten(1).std(0) + 1e-6
    return _nearest(-torch.cdist(seen.flatten(1) / spread, made / spread))


def _told_apart(features: Tensor, identities: Tensor, seen: Tensor) -> Tensor:
    """Unit vectors of `seen` (n, directions) in which one identity's features lie close together.

    Principal directions of the attacker's features, whitened by the spread within identities (Fisher's
    discriminant as used for faces: Belhumeur, Hespanha, Kriegman, 1997).
    """
    mean = features.mean(0)
    count = min(_DIRECTIONS, *features.shape)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        _, _, axes = torch.svd_lowrank(features - mean, q=count)
    values = (features - mean) @ axes
    inverse = torch.from_numpy(np.unique(identities.numpy(), return_inverse=True)[1])
    sums = torch.zeros(int(inverse.max()) + 1, values.shape[1]).index_add_(0, inverse, values)
    within = values - (sums / inverse.bincount()[:, None])[inverse]
    scatter = within.T @ within / len(within)
    scatter += _SHRINKAGE * scatter.diagonal().mean() * torch.eye(len(scatter))
    scales, directions = torch.linalg.eigh(scatter)
    return F.normalize((seen - mean) @ axes @ directions / scales.clamp_min(1e-12).sqrt(), dim=1)
