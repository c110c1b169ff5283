"""Polynomials for activations: how close, where, and that training on with them helps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.models.layers import Polynomial
from pvcnn.partition.polynomials import fine_tune, fit_on_interval, fit_to_samples, replace_activations
from pvcnn.partition.split import split
from pvcnn.program.private import PrivatePolynomial, private_evaluate
from tests.partition.networks import chain, smooth_frames

FRAMES = smooth_frames(16)


def network(*activations: nn.Module) -> nn.Module:
    """Three convolutions, each but the last with an activation behind it and pooled by two."""
    torch.manual_seed(0)
    first, second = activations
    return chain(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        first,
        nn.AvgPool2d(4),
        nn.Conv2d(3, 4, 3, padding=1),
        second,
        nn.Flatten(),
        nn.Linear(64, 1),
    ).eval()


def test_relu_on_an_interval() -> None:
    """Chebyshev's weights: 1 / pi, 1 / 2 and 4 / (3 pi) of T_0, T_1 and T_2, to the nodes' accuracy."""
    constant, linear, quadratic = fit_on_interval(torch.relu, -1, 1, 2)
    expected = [1 / np.pi - 2 / (3 * np.pi), 0.5, 4 / (3 * np.pi)]
    assert np.allclose([constant, linear, quadratic], expected, atol=1e-3)
    scaled = fit_on_interval(torch.relu, -8, 8, 2)
    assert np.allclose(scaled, [8 * expected[0], expected[1], expected[2] / 8], atol=1e-2)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_polynomials_are_fitted_exactly(degree: int) -> None:
    coefficients = np.linspace(-1, 2, degree + 1)

    def function(x: Tensor) -> Tensor:
        return torch.from_numpy(np.polynomial.polynomial.polyval(x.numpy(), coefficients))

    samples = np.random.default_rng(0).normal(1, 2, 100)
    assert np.allclose(fit_to_samples(function, samples, degree), coefficients)
    assert np.allclose(fit_on_interval(function, -3, 4, degree), coefficients)


def test_fits_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="cannot fit"):
        fit_on_interval(torch.relu, 1, 1, 2)
    with pytest.raises(ValueError, match="2 values do not determine"):
        fit_to_samples(torch.relu, np.array([1.0, 1.0, 2.0]), 2)


def test_activations_before_the_cut_are_replaced() -> None:
    original = network(nn.ReLU(), nn.SiLU())
    changed = replace_activations(original, FRAMES, 1)
    assert isinstance(changed.get_submodule("layer2"), Polynomial)
    assert isinstance(changed.get_submodule("layer5"), nn.SiLU)
    assert isinstance(original.get_submodule("layer2"), nn.ReLU)
    both = replace_activations(original, FRAMES, 2, degree=4)
    assert isinstance(both.get_submodule("layer5"), Polynomial)
    with torch.no_grad():
        before, after = original(FRAMES), both(FRAMES)
    assert 0 < float((after - before).abs().max()) < 0.5 * float(before.std() + before.abs().max())


def test_a_function_is_not_replaced() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 14)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.last(torch.relu(self.first(x))).flatten(1)
            return logits

    with pytest.raises(UnsupportedLayer, match="relu: is called as a function"):
        replace_activations(Functional(), FRAMES, 1)


def test_fine_tuning_lowers_the_loss() -> None:
    changed = replace_activations(network(nn.ReLU(), nn.LeakyReLU(0.1)), FRAMES, 1)
    before = changed.get_submodule("layer2").get_parameter("coefficients").detach().clone()
    labels = (FRAMES.mean((1, 2, 3)) > 0).long()
    losses = fine_tune(changed, [(FRAMES, labels)], epochs=30, learning_rate=1e-2)
    assert losses[-1] < 0.7 * losses[0]
    assert not changed.training
    assert (changed.get_submodule("layer2").get_parameter("coefficients") != before).any()
    with pytest.raises(ValueError, match="no batches"):
        fine_tune(changed, [])
    with pytest.raises(ValueError, match="not a number"):
        fine_tune(changed, [(FRAMES * float("nan"), labels)])


def test_polynomials_on_both_sides_of_the_cut() -> None:
    polynomials = [Polynomial([0.1, 0.5, 0.2]), Polynomial([0.0, 0.6, 0.1, -0.05])]
    model = network(*polynomials)
    parts = split(model, FRAMES, cut=1)
    assert parts.private is not None
    assert isinstance(parts.private.layers[1], PrivatePolynomial)
    features = private_evaluate(parts.private, FRAMES.double().numpy())
    expected = nn.Sequential(*list(model.children())[:4]).double()(FRAMES.double()).detach().numpy()
    assert np.allclose(features, expected, rtol=1e-6, atol=1e-6)
    decided = parts.public(parts.features(FRAMES.double().numpy()))
    logits = model.double()(FRAMES.double()).detach().numpy().ravel()
    sure = abs(logits) > 0.05 * abs(logits).max()
    assert ((logits > 0) == np.ravel(decided).astype(bool))[sure].all()


def test_coefficients_are_in_no_repr() -> None:
    module = Polynomial([0.123456, 0.5, 0.2])
    assert "0.123" not in repr(module)
    assert "0.123" not in repr(PrivatePolynomial("p", np.array([0.123456, 0.5, 0.2])))
    for count in (2, 6):
        with pytest.raises(ValueError, match="3 to 5"):
            Polynomial([1.0] * count)
