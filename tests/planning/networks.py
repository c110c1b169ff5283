"""Small networks with and without cuts that fit, for the frames of tests/leak/synthetic.py."""

from __future__ import annotations

import torch
from torch import nn

from pvcnn.data.smooth import smooth_frames
from pvcnn.models.layers import Square
from tests.leak.synthetic import SHAPE


def single() -> nn.Sequential:
    """One cut that fits."""
    return nn.Sequential(*list(network().children())[:3], nn.Flatten(), nn.Linear(32, 2)).eval()


def unfit() -> nn.Sequential:
    """No cut that fits."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(392, 2)).eval()


def network() -> nn.Sequential:
    """Three blocks that can be private but for the ReLU of the last, then a linear layer."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        Square(),
        nn.AvgPool2d(4),
        nn.Conv2d(2, 1, 1),
        nn.AvgPool2d(2),
        nn.Conv2d(1, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8, 2),
    ).eval()


def calibration() -> torch.Tensor:
    return torch.from_numpy(smooth_frames(8, SHAPE, 0)).float()
