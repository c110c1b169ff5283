"""LeNet-5."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class LeNet5(nn.Module):
    """LeNet-5 for 32x32 gray frames and ten classes.

    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 86 (1998), in today's usual form: ReLU in place of tanh, the
    second convolution sees all channels, means of 2x2 without coefficients, a linear last layer.

    61,706 parameters, 416,520 multiplications a frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 1, 32, 32) frames to (n, 10) logits."""
        return cast(Tensor, self.classifier(self.features(frames)))
