"""AlexNet for small frames."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class AlexNet(nn.Module):
    """AlexNet for 32x32 colour frames and ten classes.

    A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural
    networks", NIPS 2012: five convolutions, three pools whose windows overlap, two hidden layers, no batch
    norm. The stem is 3x3 with stride 2 in place of 11x11 with stride 4, the hidden layers have 1024
    units in place of 4096, there are no groups and no local response normalisation.

    3,771,210 parameters, 36,059,136 multiplications a frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(256, 1024),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(1024, 1024),
            nn.ReLU(),
            nn.Linear(1024, 10),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 3, 32, 32) frames to (n, 10) logits."""
        return cast(Tensor, self.classifier(self.features(frames)))
