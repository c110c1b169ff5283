"""Small networks with the joints of well-known ones, in torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.partition.networks import Square

#: Channels of the frames that all of them take.
CHANNELS = 2


class Residual(nn.Module):
    """x + f(x), with `activation` behind; a 1x1 convolution beside f where shapes differ."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: nn.Module) -> None:
        super().__init__()
        self.changed = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
        )
        same = stride == 1 and inputs == outputs
        self.kept: nn.Module = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.activation(self.kept(x) + self.changed(x))
        return result


class InvertedResidual(nn.Module):
    """MobileNet's: expansion, depthwise convolution, projection without activation."""

    def __init__(self, inputs: int, outputs: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        wide = 3 * inputs
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, wide, 1),
            nn.BatchNorm2d(wide),
            activation(),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide),
            nn.BatchNorm2d(wide),
            activation(),
            nn.Conv2d(wide, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        self.joins = inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return x + made if self.joins else made


class Inception(nn.Module):
    """Branches whose values differ in size by a factor of thirty, one behind the other."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(inputs, 2, 1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(inputs, 2, 1), nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(inputs, 2, 1), nn.ReLU()),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(inputs, 2, (1, 3), padding=(0, 1))),
            ]
        )
        with torch.no_grad():
            for branch, size in zip(self.branches, (6.0, 0.2, 1.0, 3.0), strict=True):
                for parameter in list(branch.parameters())[-2:]:
                    parameter.mul_(size)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Dense(nn.Module):
    """DenseNet's: each step sees all before it through a batch norm of its own."""

    def __init__(self, inputs: int, steps: int = 3, growth: int = 3) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(inputs + step * growth),
                nn.ReLU(),
                nn.Conv2d(inputs + step * growth, growth, 3, padding=1),
            )
            for step in range(steps)
        )

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = torch.cat([x, step(x)], dim=1)
        return x


class Excited(nn.Module):
    """A residual block whose channels are weighed by a gate (squeeze and excitation)."""

    def __init__(self, channels: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), activation(), nn.Conv2d(channels, channels, 1)
        )
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, 2, 1),
            nn.ReLU(),
            nn.Conv2d(2, channels, 1),
            nn.Sigmoid(),
        )
        self.last = activation()

    def forward(self, x: Tensor) -> Tensor:
        made = self.layers(x)
        result: Tensor = self.last(x + made * self.gate(made))
        return result


class Pyramid(nn.Module):
    """Sums of three, differences, halves, and a sum of tensors that were put together differently."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(CHANNELS, 3, 3, padding=1), nn.Conv2d(CHANNELS, 3, 1)
        self.third, self.fourth = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = torch.relu(self.first(x)), self.second(x)
        c = 0.5 * a - b + torch.relu(b)
        d = torch.cat([a, c], dim=1) + self.third(c)
        result: Tensor = self.fourth(d) - torch.cat([c, a], dim=1)
        return result


def headed(*layers: nn.Module, outputs: int = 3) -> nn.Sequential:
    """With global average pooling and a linear layer behind."""
    channels = nn.Sequential(*layers)(torch.zeros(1, CHANNELS, 12, 12)).shape[1]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs))


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "residual": lambda: headed(
        Residual(CHANNELS, 4, 1, nn.ReLU()),
        Residual(4, 4, 1, nn.ReLU()),
        Residual(4, 6, 2, nn.ReLU()),
        Residual(6, 6, 1, nn.LeakyReLU(0.1)),
    ),
    "residual-of-frames": lambda: headed(Residual(CHANNELS, CHANNELS, 1, nn.Identity())),
    "mobile-relu6": lambda: headed(
        nn.Conv2d(CHANNELS, 4, 3, padding=1),
        nn.ReLU6(),
        InvertedResidual(4, 4, nn.ReLU6),
        InvertedResidual(4, 6, nn.ReLU6),
        InvertedResidual(6, 6, nn.ReLU6),
    ),
    "mobile-hardswish": lambda: headed(
        InvertedResidual(CHANNELS, 4, nn.Hardswish), InvertedResidual(4, 4, nn.Hardswish)
    ),
    "inception": lambda: headed(Inception(CHANNELS), Inception(9)),
    "dense": lambda: headed(nn.Conv2d(CHANNELS, 3, 3, padding=1), Dense(3), nn.AvgPool2d(2), Dense(12, 1)),
    "excited": lambda: headed(Excited(CHANNELS, nn.ReLU), Excited(CHANNELS, nn.ReLU)),
    "excited-silu": lambda: headed(Excited(CHANNELS, nn.SiLU), Excited(CHANNELS, nn.SiLU)),
    "article": lambda: headed(
        nn.Conv2d(CHANNELS, 4, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.BatchNorm2d(4),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.BatchNorm2d(4),
        outputs=1,
    ),
    "pyramid": lambda: headed(Pyramid()),
    "squares": lambda: headed(
        nn.Conv2d(CHANNELS, 4, 3, padding=1), Square(), nn.AvgPool2d(2), nn.Conv2d(4, 4, 3), Square()
    ),
}

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": lambda: nn.LeakyReLU(0.2),
    "falling": lambda: nn.LeakyReLU(-0.3),
    "relu6": nn.ReLU6,
    "hardtanh": nn.Hardtanh,
    "capped": lambda: nn.Hardtanh(0.0, 1.5),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "gelu-tanh": lambda: nn.GELU(approximate="tanh"),
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "square": Square,
}
