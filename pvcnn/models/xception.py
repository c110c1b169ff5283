"""A small Xception."""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

from torch import Tensor, nn

from pvcnn.models.layers import ConvolutionNorm, MeanHead


class SeparableNorm(nn.Sequential):
    """A 3x3 convolution of every channel alone, a 1x1 convolution across channels, and batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            OrderedDict(
                depthwise=nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
                pointwise=nn.Conv2d(inputs, outputs, 1, bias=False),
                normalisation=nn.BatchNorm2d(outputs),
            )
        )


class DownBlock(nn.Module):
    """Two separable convolutions and a 3x3 maximum that halves height and width; a projected shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            SeparableNorm(inputs, outputs),
            nn.ReLU(),
            SeparableNorm(outputs, outputs),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.shortcut = ConvolutionNorm(inputs, outputs, kernel=1, stride=2, activation=None)

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.layers(features) + self.shortcut(features))


class MiddleBlock(nn.Module):
    """Three separable convolutions, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            SeparableNorm(channels, channels),
            nn.ReLU(),
            SeparableNorm(channels, channels),
            nn.ReLU(),
            SeparableNorm(channels, channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, features + self.layers(features))


class Xception(nn.Module):
    """A small Xception for 64x64 colour frames, one logit.

    F. Chollet, "Xception: deep learning with depthwise separable convolutions" (arXiv 1610.02357), whose
    large form is a common baseline for deepfake detection (FaceForensics++, arXiv 1901.08971). Entry,
    middle and exit flow with two, two and one blocks and about a sixth of the channels.

    298,289 parameters, 32,177,408 multiplications a frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Sequential(
            ConvolutionNorm(3, 16, stride=2), ConvolutionNorm(16, 32), DownBlock(32, 64), DownBlock(64, 128)
        )
        self.middle = nn.Sequential(MiddleBlock(128), MiddleBlock(128))
        self.exit = nn.Sequential(DownBlock(128, 192), SeparableNorm(192, 256), nn.ReLU())
        self.head = MeanHead(256, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 3, 64, 64) frames to (n, 1) logits."""
        return cast(Tensor, self.head(self.exit(self.middle(self.entry(frames)))))
