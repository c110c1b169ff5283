"""The fifth figure: distance correlation between frames and features, beside that of shuffled pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

SHUFFLES = 200


@dataclass(frozen=True)
class Dependence:
    """In [0, 1]; `shuffled` is the mean over random pairings, which small samples do not bring to 0.

    `exceeded` is how many of the pairings reach the true one's correlation.
    """

    correlation: float
    shuffled: float
    exceeded: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "correlation": self.correlation,
            "shuffled": self.shuffled,
            "shuffles": SHUFFLES,
            "exceeded": self.exceeded,
        }


def distance_correlation(frames: Tensor, features: Tensor, seed: int) -> Dependence:
    """Of n frames (n, ...) and their features (n, ...), n at least 2.

    G. Szekely, M. Rizzo, N. Bakirov, "Measuring and testing dependence by correlation of distances" (2007).
    0 in the limit of many frames exactly if frames and features are independent.
    """
    a, b = _centred_distances(frames), _centred_distances(features)
    scale = math.sqrt(float((a * a).mean() * (b * b).mean()))
    if scale == 0:
        return Dependence(0.0, 0.0, SHUFFLES)

    def correlation(product: Tensor) -> float:
        return math.sqrt(max(0.0, float(product.mean())) / scale)

    generator = torch.Generator().manual_seed(seed)
    true = correlation(a * b)
    shuffled = []
    for _ in range(SHUFFLES):
        order = torch.randperm(len(b), generator=generator)
        shuffled.append(correlation(a * b[order][:, order]))
    return Dependence(true, sum(shuffled) / SHUFFLES, sum(value >= true for value in shuffled))


def _centred_distances(values: Tensor) -> Tensor:
    flat = values.flatten(1).double()
    distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    return distances - distances.mean(0) - distances.mean(1, keepdim=True) + distances.mean()
