"""Private weights from (frame, features), and frames from features alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pvcnn.leak import weights
from pvcnn.leak.blind import identify
from pvcnn.leak.private import Private, of_function, whole
from pvcnn.leak.systems import nonlinearity
from pvcnn.leak.weights import Recovery, recover
from pvcnn.models.layers import Square
from tests.leak.synthetic import data

DATA = data()
FRAMES, ATTACKED = DATA.train.inputs, DATA.attacked.inputs


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(3)


def attack(private: Private, seconds: float = 0.1, noise: float = 0.0) -> Recovery:
    seen = private.features(FRAMES)
    seen = seen + noise * seen.std() * torch.randn_like(seen)
    return recover(private, FRAMES, seen, ATTACKED, private.features(ATTACKED), seconds, 0)


@pytest.mark.parametrize(
    "stem",
    [
        nn.Conv2d(1, 3, 3, padding=1),
        nn.Conv2d(1, 3, 4, stride=4),
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.AvgPool2d(4)),
    ],
    ids=["convolution", "stride", "pooled"],
)
def test_linear_stem_is_solved_for(stem: nn.Module) -> None:
    found = attack(whole(stem.eval(), FRAMES))
    assert found.method == "linear system"
    assert found.weight_error is not None
    assert found.weight_error < 1e-3
    assert found.feature_error < 1e-3


def block(bias: bool = True) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1, bias=bias), Square(), nn.AvgPool2d(4)).eval()


@pytest.mark.parametrize("bias", [True, False])
def test_squares_are_solved_for_up_to_signs(bias: bool) -> None:
    found = attack(whole(block(bias), FRAMES))
    assert found.method == "quadratic system"
    assert found.weight_error is not None
    assert found.weight_error < 1e-2
    assert found.feature_error < 1e-2
    assert found.imitation is not None


def test_noise_on_features_costs_the_attacker_accuracy() -> None:
    clean, noisy = attack(whole(block(), FRAMES)), attack(whole(block(), FRAMES), noise=0.3)
    assert clean.feature_error < noisy.feature_error / 10


def test_deeper_parts_are_imitated() -> None:
    deep = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4), nn.Conv2d(2, 3, 2)).eval()
    found = attack(whole(deep, FRAMES), seconds=3.0)
    assert found.method == "imitation by gradient descent"
    assert found.training is not None
    assert found.feature_error < 0.6
    assert attack(whole(deep, FRAMES), seconds=0.01).feature_error > found.feature_error


def test_training_that_diverges_is_a_useless_copy() -> None:
    def explode(frames: torch.Tensor) -> torch.Tensor:
        return frames * torch.inf

    assert weights._feature_error(explode, FRAMES, ATTACKED, ATTACKED) == weights._DIVERGED


def test_a_function_of_unknown_layers_is_not_solved_for() -> None:
    found = attack(of_function(lambda frames: frames.abs()))
    assert found.method == "none: the layers are not known"
    assert found.imitation is None


def test_affine_or_not_is_computed() -> None:
    assert nonlinearity(nn.Conv2d(1, 2, 3), FRAMES) < 1e-5
    assert nonlinearity(torch.abs, FRAMES) > 0.1


def test_blind_identification_of_a_linear_stem() -> None:
    stem = nn.Conv2d(1, 4, 3, padding=1).eval()
    private = whole(stem, ATTACKED)
    found = identify(private, ATTACKED, private.features(ATTACKED))
    assert found.reason == ""
    assert found.kernel == 3
    assert found.psnr is not None
    assert found.psnr > 40


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (block(), "not linear"),
        (nn.Conv2d(1, 4, 4, stride=4), "no more features"),
        (nn.Conv2d(1, 64, 4, stride=4), "fewer places"),
        (nn.Flatten(), "no maps"),
    ],
    ids=["square", "compressive", "stride", "flat"],
)
def test_where_blind_identification_does_not_apply(module: nn.Module, reason: str) -> None:
    private = whole(module.eval(), ATTACKED)
    found = identify(private, ATTACKED, private.features(ATTACKED))
    assert reason in found.reason
    assert found.psnr is None
