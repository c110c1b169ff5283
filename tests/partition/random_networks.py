"""Seeded random directed acyclic networks, as torch modules."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.partition.networks import Square

#: Channels, height, width.
Maps = tuple[int, int, int]

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.ReLU6, nn.Sigmoid, nn.SiLU, nn.ELU, nn.Hardtanh, Square)

STEPS = ("convolution", "norm", "norm", "activation", "activation", "pool", "pool", "add", "cat", "gate")


class RandomNetwork(nn.Module):
    """`length` random steps, each of one tensor or of several that earlier ones made, then one logit.

    In eval mode, with random batch norms of which a third have negative scales and some no shift.
    """

    def __init__(self, seed: int, length: int = 14) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self._random = random.Random(seed)
        self.steps = nn.ModuleList()
        self._plan: list[tuple[str, tuple[int, ...]]] = []
        self._shapes: list[Maps] = [(2, 12, 12)]
        for _ in range(length):
            self._grow()
        channels, height, width = self._shapes[-1]
        self.head = nn.Linear(channels * height * width, 1)
        self.eval()

    def _grow(self) -> None:
        """Mostly takes the newest tensor, so that chains arise in which something can be folded."""
        newest = len(self._shapes) - 1
        source = newest if self._random.random() < 0.75 else self._random.randrange(len(self._shapes))
        channels, height, width = self._shapes[source]
        match self._random.choice(STEPS):
            case "convolution":
                filters = self._random.choice((2, 4))
                padding = self._random.choice((0, 0, 1)) if min(height, width) > 3 else 1
                groups = self._random.choice((1, 2))
                layer = nn.Conv2d(channels, filters, 3, 1, padding, groups=groups)
                shrunk = 2 - 2 * padding
                self._step(layer, source, (filters, height - shrunk, width - shrunk))
            case "norm":
                self._step(_random_norm(channels, self._random), source, (channels, height, width))
            case "activation":
                self._step(self._random.choice(ACTIVATIONS)(), source, (channels, height, width))
            case "pool" if min(height, width) >= 4:
                kind = self._random.choice((nn.MaxPool2d, nn.AvgPool2d))
                self._step(kind(2), source, (channels, height // 2, width // 2))
            case "add":
                self._join("add", self._like(source, lambda shape: shape == self._shapes[source]))
            case "cat":
                partners = self._like(source, lambda shape: shape[1:] == (height, width))
                if sum(self._shapes[number][0] for number in partners) <= 8:
                    self._join("cat", partners)
            case "gate":
                self._join("gate", (source,))

    def _like(self, source: int, fits: Callable[[Maps], bool]) -> tuple[int, ...]:
        partners = [number for number, shape in enumerate(self._shapes) if fits(shape)]
        return (source, self._random.choice(partners))

    def _step(self, layer: nn.Module, source: int, shape: Maps) -> None:
        self.steps.append(layer)
        self._plan.append((str(len(self.steps) - 1), (source,)))
        self._shapes.append(shape)

    def _join(self, kind: str, sources: tuple[int, ...]) -> None:
        channels = sum(self._shapes[number][0] for number in sources) if kind == "cat" else 0
        shape = self._shapes[sources[0]]
        self._plan.append((kind, sources))
        self._shapes.append((channels or shape[0], *shape[1:]))

    def forward(self, x: Tensor) -> Tensor:
        tensors = [x]
        for kind, sources in self._plan:
            taken = [tensors[number] for number in sources]
            match kind:
                case "add":
                    tensors.append(taken[0] + taken[1])
                case "cat":
                    tensors.append(torch.cat(taken, dim=1))
                case "gate":
                    tensors.append(taken[0] * torch.sigmoid(taken[0].mean((2, 3), keepdim=True)))
                case _:
                    tensors.append(self.steps[int(kind)](taken[0]))
        logit: Tensor = self.head(tensors[-1].flatten(1))
        return logit


def _random_norm(channels: int, source: random.Random) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    with torch.no_grad():
        norm.running_mean = torch.randn(channels)
        norm.running_var = torch.rand(channels) + 0.5
        norm.weight.copy_(torch.rand(channels) + 0.5)
        if source.random() < 0.4:
            norm.weight[0] *= -1
        norm.bias.copy_(torch.randn(channels))
        if source.random() < 0.3:
            norm.running_mean.zero_()
            norm.bias.zero_()
    return norm
