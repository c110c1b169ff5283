"""A small DenseNet."""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import torch
from torch import Tensor, nn

from pvcnn.models.layers import MeanHead

GROWTH = 12
#: Layers of each dense block.
BLOCKS = (6, 6, 6)


class DenseLayer(nn.Module):
    """Batch norm, ReLU and a 3x3 convolution, whose channels are put behind those of the input."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.normalisation = nn.BatchNorm2d(inputs)
        self.activation = nn.ReLU()
        self.convolution = nn.Conv2d(inputs, GROWTH, 3, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(n, inputs, height, width) to (n, inputs + GROWTH, height, width)."""
        grown = self.convolution(self.activation(self.normalisation(features)))
        return torch.cat((features, grown), dim=1)


class Transition(nn.Sequential):
    """Batch norm, ReLU and a 1x1 convolution; then 2x2 means halve height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            OrderedDict(
                normalisation=nn.BatchNorm2d(channels),
                activation=nn.ReLU(),
                convolution=nn.Conv2d(channels, channels, 1, bias=False),
                pooling=nn.AvgPool2d(2),
            )
        )


class DenseNet(nn.Module):
    """DenseNet of 22 layers for 32x32 colour frames and ten classes: growth 12, three blocks of six layers.

    G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, "Densely connected convolutional networks" (arXiv
    1608.06993), in its basic form without bottlenecks or compression, with half of its smallest depth.

    270,706 parameters, 72,906,000 multiplications a frame.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = 16
        self.stem = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        layers: list[nn.Module] = []
        for block, count in enumerate(BLOCKS):
            if block > 0:
                layers.append(Transition(channels))
            for _ in range(count):
                layers.append(DenseLayer(channels))
                channels += GROWTH
        self.blocks = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU())
        self.head = MeanHead(channels, 10)

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 3, 32, 32) frames to (n, 10) logits."""
        return cast(Tensor, self.head(self.blocks(self.stem(frames))))
