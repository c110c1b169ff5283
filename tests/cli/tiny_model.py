"""A model for the command line's tests: 64x64 frames, 16 features, one linear layer."""

from __future__ import annotations

import torch
from torch import nn

from pvcnn.models.layers import Square


def build() -> nn.Module:
    """The same untrained network every time."""
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1), Square(), nn.AvgPool2d(16), nn.Flatten(), nn.Linear(16, 1)
    ).eval()


def too_deep() -> nn.Module:
    """A private part for which there are no encryption parameters."""
    torch.manual_seed(5)
    first = nn.Conv2d(1, 1, 3, padding=1)
    nn.init.ones_(first.bias)  # type: ignore[arg-type]
    squares = [Square() for _ in range(12)]
    return nn.Sequential(first, *squares, nn.AvgPool2d(16), nn.Flatten(), nn.Linear(16, 1)).eval()


def linear_before_the_pool() -> nn.Module:
    """A private part that fails rule (a)."""
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1), nn.AvgPool2d(16), nn.Flatten(), nn.Linear(16, 1)
    ).eval()
