"""The deepfake detector in the order of layers that pvCNN's authors give."""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

from torch import Tensor, nn

from pvcnn.models.deepfake import CHANNELS, SLOPE, PrivateBlock


class ArticleBlock(nn.Sequential):
    """Convolution, LeakyReLU, then batch norm, then pooling. Height and width halve."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            OrderedDict(
                convolution=nn.Conv2d(inputs, outputs, 3, padding=1),
                activation=nn.LeakyReLU(SLOPE),
                normalisation=nn.BatchNorm2d(outputs),
                pooling=nn.MaxPool2d(2),
            )
        )


class ArticleDetector(nn.Module):
    """Four blocks with batch norm behind the activation, then one logit, for 64x64 gray frames.

    J. Weng, J. Weng, G. Tang, A. Yang, M. Li, J.-N. Liu, "pvCNN: privacy-preserving and verifiable
    convolutional neural network testing" (arXiv 2201.09186). The first block is that of
    `pvcnn.models.deepfake`, made for encrypted frames. Behind an activation and before a pool or a padded
    convolution a batch norm cannot be folded exactly: this network is there to show it.

    24,873 parameters, 1,179,904 multiplications a frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self.block1 = PrivateBlock()
        self.block2 = ArticleBlock(CHANNELS[0], CHANNELS[1])
        self.block3 = ArticleBlock(CHANNELS[1], CHANNELS[2])
        self.block4 = ArticleBlock(CHANNELS[2], CHANNELS[3])
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.5)
        self.decision = nn.Linear(CHANNELS[3] * 2 * 2, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 1, 64, 64) frames to (n, 1) logits."""
        features = self.block4(self.block3(self.block2(self.block1(frames))))
        return cast(Tensor, self.decision(self.dropout(self.flatten(features))))
