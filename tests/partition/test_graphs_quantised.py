"""Integer networks with branches follow the floats: every layer, and every decision that is not close."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import nn

from pvcnn.partition.split import Split, split
from pvcnn.program import layers as integer
from tests.partition.architectures import ACTIVATIONS, ARCHITECTURES, CHANNELS, headed
from tests.partition.networks import smooth_frames, trained
from tests.partition.random_networks import RandomNetwork

Kind = TypeVar("Kind", bound=integer.Layer)

FRAMES = smooth_frames(32, CHANNELS, 12)
UNSEEN = smooth_frames(32, CHANNELS, 12, seed=9)


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return trained(ARCHITECTURES[name](), FRAMES)


def least_signal_to_noise(part: Split) -> float:
    """In dB, of all layers for which integers stand."""
    found = [layer.signal_to_noise for layer in part.report.layers if layer.signal_to_noise is not None]
    return min(found)


def layers(part: Split, kind: type[Kind]) -> list[Kind]:
    return [layer for layer in part.public.program.layers if isinstance(layer, kind)]


def assert_decided_alike(part: Split, model: nn.Module, frames: torch.Tensor) -> None:
    """But for frames whose largest logits are less than a tenth of a deviation apart."""
    with torch.no_grad():
        logits = model.double()(frames.double()).numpy()
    ordered = np.sort(
        np.concatenate([logits, np.zeros_like(logits)], axis=1) if logits.shape[1] == 1 else logits
    )
    sure = ordered[:, -1] - ordered[:, -2] > 0.1 * logits.std()
    expected = (logits[:, 0] > 0) if logits.shape[1] == 1 else logits.argmax(axis=1)
    assert sure.mean() > 0.7
    assert (part.public(part.features(frames)) == expected)[sure].all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_layer_follows_the_floats(name: str) -> None:
    model = network(name)
    part = split(model, FRAMES, cut=0)
    assert least_signal_to_noise(part) > 28
    assert part.report.agreement > 0.9
    assert_decided_alike(part, model, UNSEEN)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_behind_layers_and_behind_itself(name: str) -> None:
    make = ACTIVATIONS[name]
    model = headed(
        nn.Conv2d(CHANNELS, 4, 3, padding=1),
        make(),
        nn.Conv2d(4, 4, 3, padding=1),
        make(),
        nn.AvgPool2d(2),
        make(),
    )
    part = split(model.eval(), FRAMES, cut=0)
    assert least_signal_to_noise(part) > 29
    part.public(part.features(UNSEEN))


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs(seed: int) -> None:
    """Whatever is added to, joined with or gated by whatever."""
    part = split(RandomNetwork(seed), FRAMES, cut=0)
    assert least_signal_to_noise(part) > 20
    part.public(part.features(FRAMES))


def test_a_sum_shares_one_table_with_its_activation() -> None:
    part = split(network("residual"), FRAMES, cut=0)
    kinds = [type(layer).__name__ for layer in part.public.program.layers]
    assert kinds.count("Requantise") == 8  # two a block
    assert kinds.count("Combine") == 4
    assert len({layer.table for layer in layers(part, integer.Requantise)}) == 2


def test_tensors_that_are_added_need_no_layer_of_their_own() -> None:
    part = split(network("residual"), FRAMES, cut=0)
    first, second, third, fourth = layers(part, integer.Combine)
    # Where both sides are convolutions their scales agree; elsewhere an integer makes up for the difference.
    assert first.multipliers == third.multipliers == (1, 1)
    for layer in (second, fourth):
        assert sorted(layer.multipliers)[0] == 1
        assert 8 <= sorted(layer.multipliers)[1] < 4096
    assert len(layers(part, integer.Convolution)) == 10


def test_relu6_uses_one_table_and_scales_by_channel() -> None:
    first = nn.Conv2d(CHANNELS, 8, 3, padding=1, bias=False)
    model = headed(first, nn.ReLU6(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU6())
    with torch.no_grad():
        first.weight *= torch.logspace(-2, 0.7, 8).reshape(-1, 1, 1, 1)
    part = split(model.eval(), FRAMES, cut=0)
    tables = [layer.table for layer in layers(part, integer.Requantise)]
    assert len(set(tables)) == 1
    assert least_signal_to_noise(part) > 35
    quiet = part.public.weights.weight["0"][0]
    assert abs(quiet).max() > 60


def test_relu6_saturates_at_six() -> None:
    """On frames brighter than calibration's too, which activations of other kinds need not follow."""
    first = nn.Conv2d(CHANNELS, 2, 1, bias=False)
    model = headed(first, nn.ReLU6()).eval()
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.5]]).reshape(2, 2, 1, 1))
    part = split(model, FRAMES, cut=0, reveal="logits")
    bright = FRAMES * 1.9
    logits = part.public(part.features(bright)) * part.logit_scale
    with torch.no_grad():
        expected = model.double()(bright.double()).numpy()
        unbounded = model[-1](torch.relu(first(bright.double())).mean((2, 3))).numpy()
    assert np.abs(logits - expected).max() < 0.1 * np.abs(unbounded - expected).max()


def test_near_ranges_share_a_table() -> None:
    """The table follows from the power of two next to twice the range: 12 layers have few of them."""
    steps: list[nn.Module] = []
    for _ in range(12):
        steps += [nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS), nn.SiLU()]
    part = split(trained(headed(*steps), FRAMES), FRAMES, cut=0)
    assert len({layer.table for layer in layers(part, integer.Requantise)}) <= 6


def test_a_value_that_several_layers_take_is_requantised_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(CHANNELS, 3, 3), nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.one(x)
            return y * torch.sigmoid(y) + torch.tanh(self.two(y))

    part = split(headed(Twice()).eval(), FRAMES, cut=0)
    assert least_signal_to_noise(part) > 30
    names = [layer.name for layer in layers(part, integer.Requantise)]
    assert sum(name.endswith("one.requantise") for name in names) == 1


def test_batch_norms_of_features() -> None:
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(288, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Sigmoid(), nn.Linear(8, 3)
    )
    part = split(trained(model, FRAMES), FRAMES, cut=0)
    assert least_signal_to_noise(part) > 28


def test_two_heads_in_one() -> None:
    """Logits that were made apart are compared on one scale."""

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.large, self.small = nn.Linear(288, 2), nn.Linear(288, 2)
            with torch.no_grad():
                self.large.weight.mul_(9)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.flatten(1)
            return torch.cat([self.large(x), self.small(x)], dim=1)

    part = split(Heads().eval(), FRAMES, cut=0)
    assert part.report.agreement == 1.0
    assert least_signal_to_noise(part) > 28


def test_channels_that_are_always_zero_and_never_differ() -> None:
    """Dead channels inside a sum, constant ones in front of a table, and frames of nothing."""
    block = Barren()
    part = split(headed(block, Barren()).eval(), FRAMES, cut=0)
    assert least_signal_to_noise(part) > 28
    dark = split(headed(block).eval(), torch.zeros(2, CHANNELS, 12, 12), cut=0)
    assert dark.report.agreement == 1.0
    dark.public(dark.features(torch.zeros(1, CHANNELS, 12, 12)))


class Barren(nn.Module):
    """One channel of a sum is dead, another constant, in both summands or in one."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.Conv2d(CHANNELS, CHANNELS, 1)
        with torch.no_grad():
            for convolution, bias in ((self.left, 0.0), (self.right, 1.5)):
                assert convolution.bias is not None
                convolution.weight[0] = 0
                convolution.bias[0] = bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = torch.relu(self.left(x))
        return torch.sigmoid(kept + torch.relu(kept + self.right(x)))
