"""Layers that torch lacks, and groups of layers that several networks use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Square(nn.Module):
    """Entrywise x^2: the activation that homomorphic encryption can evaluate exactly.

    A module of its own, so that a traced graph can keep it as one leaf.
    """

    def forward(self, values: Tensor) -> Tensor:
        return values * values


class Polynomial(nn.Module):
    """Entrywise c_0 + c_1 x + ... + c_d x^d, 2 <= d <= 4: other activations that encryption can evaluate.

    `coefficients` (d + 1,) are trained like weights. A quadratic one costs what a square costs, one of degree
    three or four a level more. Traced as one leaf.
    """

    coefficients: nn.Parameter

    def __init__(self, coefficients: Sequence[float]) -> None:
        super().__init__()
        if not 3 <= len(coefficients) <= 5:
            raise ValueError(
                f"a polynomial of degree 2 to 4 has 3 to 5 coefficients, not {len(coefficients)}"
            )
        self.coefficients = nn.Parameter(torch.tensor([float(c) for c in coefficients]))

    def forward(self, values: Tensor) -> Tensor:
        result = self.coefficients[-1]
        for coefficient in reversed(self.coefficients[:-1].unbind()):
            result = result * values + coefficient
        return result

    def extra_repr(self) -> str:
        """The degree; coefficients may be secret."""
        return f"degree={len(self.coefficients) - 1}"


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
