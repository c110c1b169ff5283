"""The fourth attack: private weights, for a cluster that poses as a tester and so knows (frame, features).

By a linear system where the private part is affine or squares once; else by training a private part of
the attacker's own, with the same kinds of layers, until it does the same: what that recovers is the
function, which is what a thief wants, whether or not its weights are the owner's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from pvcnn.leak import budget
from pvcnn.leak.private import BATCH, FeaturesFunction, Private, in_parts, of_layers
from pvcnn.leak.systems import LINEAR, nonlinearity, solve_affine, solve_squares, squares_of
from pvcnn.partition.float_graph.graph import BatchNorm, Conv2d, FloatLayer, Linear, apply

_STEP = 16
#: What an entry that a layer makes costs, beside multiplications: memory, in multiplications.
_ENTRY = 30
_RATE = 1e-2
#: The error of a copy whose training diverged, as polynomials' may: no better than useless.
_DIVERGED = 1e6


@dataclass(frozen=True)
class Recovery:
    """How, from how many `pairs`, and how well.

    `feature_error` is the root mean square error of predicted features of unseen people's frames, relative
    to their spread: 0 is a copy, 1 knows no more than the mean. `weight_error` compares the first
    convolution's filters, up to what features cannot show (signs, and scale and order if a network
    was trained): relative error, of the best match for each; None if there is nothing to compare.
    """

    method: str
    pairs: int
    feature_error: float
    weight_error: float | None
    training: budget.Training | None
    imitation: FeaturesFunction | None = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        training = self.training
        return {
            "method": self.method,
            "pairs": self.pairs,
            "feature_error": self.feature_error,
            "weight_error": self.weight_error,
            "steps": 0 if training is None else training.steps,
            "cpu_seconds": 0.0 if training is None else training.seconds,
        }


def recover(
    private: Private,
    frames: Tensor,
    features: Tensor,
    attacked: Tensor,
    seen: Tensor,
    seconds: float,
    seed: int,
) -> Recovery:
    """From `frames` and their `features`; judged by `attacked` frames and their features `seen`."""
    if nonlinearity(private.function, frames) < LINEAR:
        affine = solve_affine(frames, features, seed)
        if affine is not None:
            solved, pairs = affine
            error = _feature_error(solved, features, attacked, seen)
            wrong = _affine_error(private, solved, frames)
            return Recovery("linear system", pairs, error, wrong, None, solved)
    squares = squares_of(private.layers)
    if squares is not None:
        convolution, pool = squares
        found, pairs = solve_squares(convolution, pool, frames, features, seed)
        assert private.layers is not None
        copy = of_layers((found, *private.layers[1:])).function
        error = _feature_error(copy, features, attacked, seen)
        wrong = _up_to_sign(found.weight, convolution.weight)
        return Recovery("quadratic system", pairs, error, wrong, None, copy)
    if private.layers is None:
        return Recovery("none: the layers are not known", 0, 1.0, None, None, None)
    if not any(isinstance(layer, Conv2d | Linear) for layer in private.layers):
        return Recovery("none: there are no weights", 0, 0.0, None, None, private.function)
    return _imitate(private.layers, frames, features, attacked, seen, seconds, seed)


class Imitation(nn.Module):
    """Layers of the same kinds and shapes as `layers`, their weights drawn at random, to be trained."""

    def __init__(self, layers: tuple[FloatLayer, ...], frames: Tensor) -> None:
        super().__init__()
        self._layers = layers
        self.trained = nn.ParameterDict()
        values = frames
        for index, layer in enumerate(layers):
            for name, tensor in _weights(layer):
                drawn = torch.randn_like(tensor) if name == "weight" else torch.zeros_like(tensor)
                self.trained[f"{name}{index}"] = nn.Parameter(
                    torch.ones_like(tensor) if name == "scale" else drawn
                )
            with torch.no_grad():
                values = apply(self._filled(index), values)
                if f"weight{index}" in self.trained:  # so that values neither vanish nor explode
                    spread = values.std().clamp_min(1e-6)
                    self.trained[f"weight{index}"].div_(spread)
                    values = values / spread

    def _filled(self, index: int) -> FloatLayer:
        layer = self._layers[index]
        found: Any = {name: self.trained[f"{name}{index}"] for name, _ in _weights(layer)}
        return replace(layer, **found) if found else layer

    def forward(self, frames: Tensor) -> Tensor:
        values = frames
        for index in range(len(self._layers)):
            values = apply(self._filled(index), values)
        return values

    def filters(self) -> Tensor | None:
        """Of the first convolution."""
        for index, layer in enumerate(self._layers):
            if isinstance(layer, Conv2d):
                return torch.Tensor.detach(self.trained[f"weight{index}"])
        return None


def _weights(layer: FloatLayer) -> Iterator[tuple[str, Tensor]]:
    match layer:
        case Conv2d() | Linear():
            yield from (("weight", layer.weight), ("bias", layer.bias))
        case BatchNorm():
            yield from (("scale", layer.scale), ("shift", layer.shift))
        case _:
            pass


def _imitate(
    layers: tuple[FloatLayer, ...],
    frames: Tensor,
    features: Tensor,
    attacked: Tensor,
    seen: Tensor,
    seconds: float,
    seed: int,
) -> Recovery:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = Imitation(layers, frames[:BATCH])
    spread = _spread(features)
    entries = sum(values.numel() for values in _values(layers, frames[:1]))
    each = budget.multiplications(network, frames[:1]) + _ENTRY * entries
    steps = budget.steps_for(seconds, _STEP * each)

    def loss(chosen: Tensor) -> Tensor:
        return torch.mean(((network(frames[chosen]) - features[chosen]) / spread) ** 2)

    training = budget.train(network, loss, len(frames), _STEP, steps, seed, _RATE)
    error = _feature_error(network, features, attacked, seen)
    filters = network.filters()
    true = next((layer.weight for layer in layers if isinstance(layer, Conv2d)), None)
    wrong = None if filters is None or true is None else _up_to_scale(filters, true)
    return Recovery("imitation by gradient descent", len(frames), error, wrong, training, network)


def _values(layers: tuple[FloatLayer, ...], frames: Tensor) -> Iterator[Tensor]:
    values = frames
    for layer in layers:
        values = apply(layer, values)
        yield values


def _spread(features: Tensor) -> Tensor:
    """For each channel (or flat feature) the standard deviation."""
    across = (0, *range(2, features.ndim))
    return features.std(across, keepdim=True).clamp_min(1e-6)[0]


def _feature_error(function: FeaturesFunction, features: Tensor, attacked: Tensor, seen: Tensor) -> float:
    with torch.no_grad():
        made = torch.cat([function(part) for part in in_parts(attacked)])
    error = math.sqrt(float((((made - seen) / _spread(features)) ** 2).mean()))
    return error if math.isfinite(error) else _DIVERGED


def _affine_error(private: Private, solved: FeaturesFunction, frames: Tensor) -> float:
    """Of the whole linear map, which frames of one pixel show."""
    impulses = torch.zeros_like(frames[:1])
    impulses[..., frames.shape[2] // 2, frames.shape[3] // 2] = 1
    with torch.no_grad():
        origin = torch.zeros_like(impulses)
        true = private.function(impulses) - private.function(origin)
        found = solved(impulses) - solved(origin)
    return float((found - true).norm() / true.norm().clamp_min(1e-12))


def _up_to_sign(found: Tensor, true: Tensor) -> float:
    a, b = found.flatten(1), true.flatten(1)
    errors = torch.minimum((a - b).norm(dim=1), (a + b).norm(dim=1))
    return float(errors.norm() / b.norm())


def _up_to_scale(found: Tensor, true: Tensor) -> float:
    """Each true filter beside the found one that is nearest in direction: the mean sine of the angle."""
    a, b = (nn.functional.normalize(filters.flatten(1), dim=1) for filters in (found, true))
    cosines = (b @ a.T).abs().amax(1).clamp(0, 1)
    return float((1 - cosines**2).sqrt().mean())
