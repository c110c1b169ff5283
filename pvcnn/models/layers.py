"""Layers that torch lacks, and groups of layers that several networks use."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn


class Square(nn.Module):
    """Entrywise x^2: the activation that homomorphic encryption can evaluate exactly.

    A module of its own, so that a traced graph can keep it as one leaf.
    """

    def forward(self, values: Tensor) -> Tensor:
        return values * values


class ConvolutionNorm(nn.Sequential):
    """A convolution without bias, its batch norm and, unless `activation` is None, its activation.

    Padding keeps height and width, up to the stride; `kernel` must be odd.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        activation: type[nn.Module] | None = nn.ReLU,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            convolution=nn.Conv2d(
                inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
            ),
            normalisation=nn.BatchNorm2d(outputs),
        )
        if activation is not None:
            layers["activation"] = activation()
        super().__init__(layers)


class MeanHead(nn.Sequential):
    """The mean of every channel, and one linear layer: (n, channels, height, width) to (n, outputs)."""

    def __init__(self, channels: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__(
            OrderedDict(
                pooling=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(dropout),
                decision=nn.Linear(channels, outputs),
            )
        )
