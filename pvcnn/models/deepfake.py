"""The deepfake detector of the demo."""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

from torch import Tensor, nn

from pvcnn.models.layers import Square

CHANNELS = (8, 16, 32, 64)
SLOPE = 0.1


class PrivateBlock(nn.Sequential):
    """1x64x64 to 8x16x16, for encrypted evaluation: the square is the only nonlinearity."""

    convolution: nn.Conv2d
    normalisation: nn.BatchNorm2d
    square: Square
    pooling: nn.AvgPool2d

    def __init__(self) -> None:
        super().__init__(
            OrderedDict(
                convolution=nn.Conv2d(1, CHANNELS[0], 3, padding=1, bias=False),
                normalisation=nn.BatchNorm2d(CHANNELS[0]),
                square=Square(),
                pooling=nn.AvgPool2d(4),
            )
        )


class PublicBlock(nn.Sequential):
    """Height and width halve."""

    convolution: nn.Conv2d
    normalisation: nn.BatchNorm2d
    activation: nn.LeakyReLU
    pooling: nn.MaxPool2d

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            OrderedDict(
                convolution=nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                normalisation=nn.BatchNorm2d(outputs),
                activation=nn.LeakyReLU(SLOPE),
                pooling=nn.MaxPool2d(2),
            )
        )


class DeepfakeDetector(nn.Module):
    """Four blocks of 3x3 convolution, batch norm, activation and pooling, then one logit.

    The first block is made to be private: its activation is a square, which can be evaluated on
    encrypted frames, and its 4x4 average pooling leaves 8x16x16 features, half as many as pixels.
    The network follows pvCNN's detector (arXiv 2201.09186) otherwise.

    24,761 parameters, 1,179,904 multiplications a frame.
    """

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.block1 = PrivateBlock()
        self.block2 = PublicBlock(CHANNELS[0], CHANNELS[1])
        self.block3 = PublicBlock(CHANNELS[1], CHANNELS[2])
        self.block4 = PublicBlock(CHANNELS[2], CHANNELS[3])
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.decision = nn.Linear(CHANNELS[3] * 2 * 2, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 1, 64, 64) prepared frames to (n, 1) logits; a logit above 0 says "fake"."""
        features = self.block4(self.block3(self.block2(self.block1(frames))))
        return cast(Tensor, self.decision(self.dropout(self.flatten(features))))
