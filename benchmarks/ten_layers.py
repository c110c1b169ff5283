"""A network of ten layers with weights for handwritten digits, which plans and attacks are tried on.

It ships no weights: it is trained where it is needed, on the digits that scikit-learn has, within seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pvcnn.data.digits import load_digits
from pvcnn.partition.polynomials import fine_tune

NAME = "ten-layers"
#: Outputs of the convolutions and the pool behind each, 1 for none.
CONVOLUTIONS = ((8, 4), (16, 2), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (32, 1))
_HIDDEN, _CLASSES = 64, 10
_EPOCHS, _BATCH, _RATE = 20, 64, 2e-3


def ten_layers() -> nn.Module:
    """Eight convolutions of 3x3 with batch norm, two linear layers, ReLU and means; for 32x32 gray frames.

    Trained, in eval mode, the same each time.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        network = _untrained()
        fine_tune(network, _Batches(), _EPOCHS, _RATE)
    return network


def accuracy(network: nn.Module) -> float:
    """Share of the digits by other hands that are recognised."""
    _, test = load_digits()
    with torch.no_grad():
        found = network(torch.from_numpy(test.frames).float()).argmax(1)
    return float((found == torch.from_numpy(test.labels)).float().mean())


def _untrained() -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, side = 1, 32
    for number, (outputs, pool) in enumerate(CONVOLUTIONS, 1):
        layers[f"convolution{number}"] = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
        layers[f"normalisation{number}"] = nn.BatchNorm2d(outputs)
        layers[f"activation{number}"] = nn.ReLU()
        if pool > 1:
            layers[f"pooling{number}"] = nn.AvgPool2d(pool)
        channels, side = outputs, side // pool
    layers["flatten"] = nn.Flatten()
    layers["hidden"] = nn.Linear(channels * side**2, _HIDDEN)
    layers["activation9"] = nn.ReLU()
    layers["classes"] = nn.Linear(_HIDDEN, _CLASSES)
    return nn.Sequential(layers)


class _Batches:
    """Shuffled anew for each epoch."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        train, _ = load_digits()
        frames, labels = torch.from_numpy(train.frames).float(), torch.from_numpy(train.labels)
        for chosen in torch.split(torch.randperm(len(frames)), _BATCH):
            yield frames[chosen], labels[chosen]
