"""A network of Inception blocks for small frames."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from pvcnn.models.layers import ConvolutionNorm, MeanHead


class InceptionBlock(nn.Module):
    """Four branches side by side: 1x1, 5x5, two 3x3 and a 3x3 mean, each behind or before a 1x1."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.single = ConvolutionNorm(inputs, 16, kernel=1)
        self.wide = nn.Sequential(ConvolutionNorm(inputs, 12, kernel=1), ConvolutionNorm(12, 16, kernel=5))
        self.twice = nn.Sequential(
            ConvolutionNorm(inputs, 16, kernel=1), ConvolutionNorm(16, 24), ConvolutionNorm(24, 24)
        )
        self.mean = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1), ConvolutionNorm(inputs, pooled, kernel=1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(n, inputs, height, width) to (n, 56 + pooled, height, width)."""
        branches = (self.single(features), self.wide(features), self.twice(features), self.mean(features))
        return torch.cat(branches, dim=1)


class ReductionBlock(nn.Module):
    """Three branches that halve height and width: 3x3, two 3x3, and a 3x3 maximum."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.single = ConvolutionNorm(inputs, 32, stride=2)
        self.twice = nn.Sequential(
            ConvolutionNorm(inputs, 16, kernel=1), ConvolutionNorm(16, 24), ConvolutionNorm(24, 32, stride=2)
        )
        self.maximum = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(n, inputs, height, width) to (n, 64 + inputs, height / 2, width / 2)."""
        branches = (self.single(features), self.twice(features), self.maximum(features))
        return torch.cat(branches, dim=1)


class InceptionNetwork(nn.Module):
    """Inception and reduction blocks for 32x32 colour frames and ten classes.

    C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception architecture for
    computer vision" (arXiv 1512.00567), figures 5 and 10; a quarter of its channels, three blocks and a
    reduction between the second and the third.

    88,834 parameters, 13,507,280 multiplications a frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvolutionNorm(3, 32), nn.MaxPool2d(2))
        self.blocks = nn.Sequential(
            InceptionBlock(32, pooled=8),
            InceptionBlock(64, pooled=16),
            ReductionBlock(72),
            InceptionBlock(136, 16),
        )
        self.head = MeanHead(72, 10)

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 3, 32, 32) frames to (n, 10) logits."""
        return cast(Tensor, self.head(self.blocks(self.stem(frames))))
