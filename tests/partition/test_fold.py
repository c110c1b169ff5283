"""Rewritings of a chain keep the function."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.calibrate import calibrate, evaluate
from pvcnn.partition.fold import activations_first, fold_batch_norms
from pvcnn.partition.graph import BatchNorm, Flatten, LeakyReLU, MaxPool
from pvcnn.partition.trace import trace
from tests.partition.networks import chain, smooth_frames, trained

FRAMES = smooth_frames(8)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_folding_is_exact(bias: bool, affine: bool) -> None:
    model: nn.Module = chain(
        nn.Conv2d(1, 5, 3, padding=1, bias=bias),
        nn.BatchNorm2d(5, affine=True),
        nn.LeakyReLU(0.1),
        nn.Conv2d(5, 3, 3, stride=2, bias=bias),
        nn.BatchNorm2d(3, affine=affine),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(147, 6, bias=bias),
        nn.BatchNorm1d(6, affine=affine),
        nn.Linear(6, 1),
    )
    if affine:
        model = trained(model, FRAMES)
    frames = FRAMES.double()
    layers = trace(model, frames)
    folded = fold_batch_norms(layers)
    assert sum(isinstance(layer, BatchNorm) for layer in layers) == 3
    assert not any(isinstance(layer, BatchNorm) for layer in folded)
    expected, actual = evaluate(layers, frames)[-1], evaluate(folded, frames)[-1]
    assert torch.allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            chain(nn.BatchNorm2d(1), nn.Conv2d(1, 1, 3)),
            r"layer0 \(BatchNorm\): stands after nothing; move it",
        ),
        (
            chain(nn.Conv2d(1, 1, 3), nn.LeakyReLU(), nn.BatchNorm2d(1)),
            r"layer2 \(BatchNorm\): stands after layer1 \(LeakyReLU\); move it",
        ),
        (
            chain(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2), nn.BatchNorm2d(1)),
            r"layer2 .* after layer1 \(MaxPool\)",
        ),
    ],
)
def test_batch_norm_anywhere_else_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedLayer, match=message):
        fold_batch_norms(trace(model, FRAMES.double()))


def test_activations_move_before_pools_and_flattening() -> None:
    model = chain(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.Flatten(), nn.ReLU(), nn.Linear(147, 1))
    frames = FRAMES.double()
    layers = trace(model, frames)
    moved = activations_first(layers)
    assert [type(layer) for layer in moved[1:4]] == [LeakyReLU, MaxPool, Flatten]
    assert torch.equal(evaluate(moved, frames)[-1], evaluate(layers, frames)[-1])


def test_a_decreasing_activation_stays() -> None:
    layers = trace(chain(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.LeakyReLU(-0.5)), FRAMES.double())
    assert activations_first(layers) == layers


def test_an_activation_stays_behind_an_average() -> None:
    layers = trace(chain(nn.Conv2d(1, 3, 3), nn.AvgPool2d(2), nn.ReLU()), FRAMES.double())
    assert activations_first(layers) == layers


def test_calibration_sees_every_frame() -> None:
    """Ranges over more frames than one batch: the last frame holds the extremes."""
    frames = smooth_frames(130).double()
    frames[-1, 0, 3, 4], frames[-1, 0, 5, 6] = 50.0, -70.0
    layers = trace(chain(nn.ReLU(), nn.Conv2d(1, 2, 3), nn.Flatten()), frames)
    ranges = calibrate(layers, frames)
    outputs = evaluate(layers, frames)
    assert (ranges[0].low, ranges[0].high) == (0.0, 50.0)
    for bounds, values in zip(ranges, outputs, strict=True):
        assert (bounds.low, bounds.high) == (float(values.min()), float(values.max()))
        by_channel = values.transpose(0, 1).flatten(1)
        assert torch.equal(bounds.peaks, by_channel.abs().amax(1))
        assert torch.allclose(bounds.means, by_channel.mean(1), rtol=1e-12)
