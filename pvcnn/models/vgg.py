"""VGG-11 and VGG-16 for small frames.

K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition" (arXiv
1409.1556), configurations A and D, with batch norm behind every convolution. Five pools leave 1x1 of a
32x32 frame; the three linear layers behind have 512, 512 and 10 outputs in place of 4096, 4096 and 1000.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from pvcnn.models.layers import ConvolutionNorm

#: Output channels of the convolutions of every stage; each stage ends with a 2x2 max pool.
STAGES_A = ((64,), (128,), (256, 256), (512, 512), (512, 512))
STAGES_D = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
HIDDEN = 512


class VGG(nn.Module):
    """Stages of 3x3 convolutions with batch norm and ReLU, then three linear layers."""

    def __init__(self, stages: tuple[tuple[int, ...], ...], classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for stage in stages:
            for outputs in stage:
                layers.append(ConvolutionNorm(channels, outputs))
                channels = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, classes),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 3, 32, 32) frames to (n, classes) logits."""
        return cast(Tensor, self.classifier(self.features(frames)))


def vgg11() -> VGG:
    """Configuration A: eight convolutions.

    9,753,674 parameters, 153,293,824 multiplications a frame.
    """
    return VGG(STAGES_A)


def vgg16() -> VGG:
    """Configuration D: thirteen convolutions.

    15,249,354 parameters, 313,725,952 multiplications a frame.
    """
    return VGG(STAGES_D)
