"""ResNet-18 for small frames."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from pvcnn.models.layers import ConvolutionNorm, MeanHead

#: Channels and stride of the first block of each stage of two blocks.
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, added to their input or to a 1x1 projection of it."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvolutionNorm(inputs, outputs, stride=stride)
        self.second = ConvolutionNorm(outputs, outputs, activation=None)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvolutionNorm(inputs, outputs, kernel=1, stride=stride, activation=None)
        self.activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        residual = self.second(self.first(features))
        return cast(Tensor, self.activation(residual + self.shortcut(features)))


class ResNet18(nn.Module):
    """ResNet-18 for 32x32 colour frames and ten classes.

    K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition" (arXiv 1512.03385); a
    3x3 stem without pooling in place of the 7x7 one, as usual for small frames.

    11,173,962 parameters, 555,422,720 multiplications a frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvolutionNorm(3, STAGES[0][0])
        blocks: list[nn.Module] = []
        channels = STAGES[0][0]
        for outputs, stride in STAGES:
            blocks += [BasicBlock(channels, outputs, stride), BasicBlock(outputs, outputs, 1)]
            channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = MeanHead(channels, 10)

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 3, 32, 32) frames to (n, 10) logits."""
        return cast(Tensor, self.head(self.blocks(self.stem(frames))))
