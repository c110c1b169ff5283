"""MobileNetV2 for small frames."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from pvcnn.models.layers import ConvolutionNorm, MeanHead

#: Expansion, output channels, number of blocks and stride of the first of them, for each stage.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, LAST = 32, 1280


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise convolution, 1x1 projection; added to its input where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvolutionNorm(inputs, hidden, kernel=1, activation=nn.ReLU6))
        layers.append(ConvolutionNorm(hidden, hidden, stride=stride, groups=hidden, activation=nn.ReLU6))
        layers.append(ConvolutionNorm(hidden, outputs, kernel=1, activation=None))
        self.layers = nn.Sequential(*layers)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        changed = cast(Tensor, self.layers(features))
        return features + changed if self.is_residual else changed


class MobileNetV2(nn.Module):
    """MobileNetV2 for 32x32 colour frames and ten classes.

    M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: inverted residuals and linear
    bottlenecks" (arXiv 1801.04381); the first two of its five strides are 1, as usual for small frames.

    2,236,682 parameters, 87,976,448 multiplications a frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvolutionNorm(3, STEM, activation=nn.ReLU6)
        blocks: list[nn.Module] = []
        channels = STEM
        for expansion, outputs, count, first_stride in STAGES:
            for block in range(count):
                stride = first_stride if block == 0 else 1
                blocks.append(InvertedResidual(channels, outputs, stride, expansion))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.last = ConvolutionNorm(channels, LAST, kernel=1, activation=nn.ReLU6)
        self.head = MeanHead(LAST, 10, dropout=0.2)

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 3, 32, 32) frames to (n, 10) logits."""
        return cast(Tensor, self.head(self.last(self.blocks(self.stem(frames)))))
