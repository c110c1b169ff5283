"""The deepfake detectors: the demo's, of which three blocks are private, and one with one private block."""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

from torch import Tensor, nn

from pvcnn.models.layers import Square

#: Of the detector with one private block, as in pvCNN's own.
CHANNELS = (8, 16, 32, 64)
#: Of the demo's: much behind encryption, little where the cluster looks.
DEEP_CHANNELS = (8, 32, 8, 64)
#: The cut of the demo's detector: so many blocks are made for encrypted evaluation.
PRIVATE_BLOCKS = 3
SLOPE = 0.1


class PrivateBlock(nn.Sequential):
    """For encrypted evaluation: the square is the only nonlinearity. 1x64x64 to 8x16x16 by default."""

    convolution: nn.Conv2d
    normalisation: nn.BatchNorm2d
    square: Square
    pooling: nn.AvgPool2d

    def __init__(self, inputs: int = 1, outputs: int = CHANNELS[0], pooling: int = 4) -> None:
        super().__init__(
            OrderedDict(
                convolution=nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                normalisation=nn.BatchNorm2d(outputs),
                square=Square(),
                pooling=nn.AvgPool2d(pooling),
            )
        )


class Reduction(nn.Sequential):
    """A linear block that leaves little of its input: few channels, height and width halved."""

    convolution: nn.Conv2d
    normalisation: nn.BatchNorm2d
    pooling: nn.AvgPool2d

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            OrderedDict(
                convolution=nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                normalisation=nn.BatchNorm2d(outputs),
                pooling=nn.AvgPool2d(2),
            )
        )


class PublicBlock(nn.Sequential):
    """Height and width halve, unless `pooling` is 1: then there is no pool."""

    convolution: nn.Conv2d
    normalisation: nn.BatchNorm2d
    activation: nn.LeakyReLU
    pooling: nn.MaxPool2d

    def __init__(self, inputs: int, outputs: int, pooling: int = 2) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            convolution=nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            normalisation=nn.BatchNorm2d(outputs),
            activation=nn.LeakyReLU(SLOPE),
        )
        if pooling > 1:
            layers["pooling"] = nn.MaxPool2d(pooling)
        super().__init__(layers)


class DeepfakeDetector(nn.Module):
    """The demo's: three private blocks, which leave 32 numbers of a frame; a public one, and one logit.

    Two private blocks end with a square and average pooling, the third is a linear reduction to 8x2x2, one
    number for every 128 pixels: what the cluster sees is nonlinear twice and little
    (docs/threat-model.md, "What the features give away"). The cut belongs behind `block3`. Four blocks of
    3x3 convolution and batch norm are those of pvCNN (arXiv 2201.09186) still, channels are not.

    9,769 parameters, 940,288 multiplications a frame.
    """

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        first, second, third, fourth = DEEP_CHANNELS
        self.block1 = PrivateBlock(1, first, 4)
        self.block2 = PrivateBlock(first, second, 4)
        self.block3 = Reduction(second, third)
        self.block4 = PublicBlock(third, fourth, pooling=1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.decision = nn.Linear(fourth * 2 * 2, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 1, 64, 64) prepared frames to (n, 1) logits; a logit above 0 says "fake"."""
        features = self.block4(self.block3(self.block2(self.block1(frames))))
        return cast(Tensor, self.decision(self.dropout(self.flatten(features))))


class OneBlockDetector(nn.Module):
    """Four blocks of 3x3 convolution, batch norm, activation and pooling, then one logit.

    The first block alone is made to be private; its 4x4 average pooling leaves 8x16x16 features, half as
    many as pixels, from which a decoder restores faces. The network follows pvCNN's detector
    (arXiv 2201.09186) otherwise.

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
