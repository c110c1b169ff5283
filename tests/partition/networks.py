"""Seeded random networks, and frames that look like something."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pvcnn.program.private import private_evaluate

if TYPE_CHECKING:
    from pvcnn.partition.split import Split


class Square(nn.Module):
    """x^2, as a user would write it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x


class Functional(nn.Module):
    """A convolution, and then whatever `function` does."""

    def __init__(self, function: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, padding=1)
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self, self.stem(x))


def smooth_frames(count: int, channels: int = 1, side: int = 16, seed: int = 0) -> Tensor:
    """(count, channels, side, side) float32 of deviation 1, neighbouring pixels alike."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, channels, side + 4, side + 4, generator=generator)
    smooth = nn.functional.avg_pool2d(noise, 5, 1)
    return smooth / smooth.std()


def trained(model: nn.Module, frames: Tensor, seed: int = 0) -> nn.Module:
    """The model in eval mode, with every batch norm's numbers random and its logit about zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
                module.weight[::3] *= -1
                module.bias.copy_(torch.randn(module.bias.shape, generator=generator) * 0.3)
        model.train()
        for _ in range(3):
            model(frames)
        model.eval()
        last = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)][-1]
        assert last.bias is not None
        last.bias -= model(frames).median()
    return model


def stem(channels: int = 1, filters: int = 4, pool: int = 4) -> list[nn.Module]:
    """A private part that no rule refuses."""
    return [
        nn.Conv2d(channels, filters, 3, padding=1, bias=False),
        nn.BatchNorm2d(filters),
        Square(),
        nn.AvgPool2d(pool),
    ]


def small_network(seed: int = 0) -> nn.Module:
    """16x16 pixels, three blocks, one logit; a miniature of the detector."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = [
        *stem(pool=2, filters=3),
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(96, 1),
    ]
    return trained(nn.Sequential(*layers), smooth_frames(64, seed=seed), seed)


def chain(*layers: nn.Module) -> nn.Sequential:
    """Layers under the names layer0, layer1, ..., in eval mode."""
    return nn.Sequential(OrderedDict((f"layer{i}", layer) for i, layer in enumerate(layers))).eval()


def decides_alike(part: Split, model: nn.Module, frames: Tensor, margin: float = 0.2) -> bool:
    """Whether integers decide as floats do, but for logits within `margin` deviations of 0."""
    outputs = private_evaluate(part.private, frames.double().numpy())
    decisions = part.public(np.rint(outputs / part.private.feature_step).astype(np.int64))
    logits = model.double()(frames.double())[:, 0].detach().numpy()
    model.float()
    sure = np.abs(logits) > margin * logits.std()
    assert 0 < decisions.mean() < 1
    assert sure.mean() > 0.7
    return bool((decisions == (logits > 0))[sure].all())
