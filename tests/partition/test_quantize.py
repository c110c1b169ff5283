"""From float layers to integers: errors stay within what rounding explains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pvcnn.errors import RangeError, UnsupportedLayer
from pvcnn.partition.float_graph.fold import fold_batch_norms
from pvcnn.partition.quantisation.calibrate import calibrate
from pvcnn.partition.quantisation.measure import round_features
from pvcnn.partition.quantisation.quantize import quantise, quantise_graph
from pvcnn.partition.quantisation.scale_plan import FeatureScale
from pvcnn.partition.quantisation.tables import HEADROOM, activation_table
from pvcnn.partition.split import Split, split
from pvcnn.partition.torch_import.trace import trace
from pvcnn.program import layers as integer
from pvcnn.program.inference import trace as run
from tests.partition.networks import Square, chain, decides_alike, smooth_frames, stem, trained

FRAMES = smooth_frames(48)
UNSEEN = smooth_frames(32, seed=9)


def requantisations(part: Split) -> list[integer.Requantise]:
    return [layer for layer in part.public.program.layers if isinstance(layer, integer.Requantise)]


def noise(part: Split) -> list[float]:
    """Signal to noise of every public layer that integers stand for, in dB."""
    return [layer.signal_to_noise for layer in part.report.layers if layer.signal_to_noise is not None]


PUBLIC_PARTS: dict[str, Callable[[], list[nn.Module]]] = {
    "leaky": lambda: [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 1),
    ],
    "relu-strided": lambda: [
        nn.Conv2d(4, 6, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(6, 8, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 1),
    ],
    "linear-only": lambda: [
        nn.Flatten(),
        nn.Linear(64, 16),
        nn.BatchNorm1d(16),
        nn.LeakyReLU(0.2),
        nn.Linear(16, 16),
        nn.Linear(16, 1),
    ],
    "pools": lambda: [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.AvgPool2d(2),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1),
        nn.MaxPool2d(2),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(6, 1),
    ],
    "twice-bent": lambda: [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.LeakyReLU(0.5),
        nn.LeakyReLU(-0.3),
        nn.Flatten(),
        nn.Linear(96, 1),
    ],
    "average-last": lambda: [
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 1, 1),
        nn.AvgPool2d(4),
        nn.Flatten(),
    ],
}


def network(name: str) -> nn.Module:
    """A stem and the public part of that name, the same at every call."""
    torch.manual_seed(0)
    return trained(chain(*stem(), *PUBLIC_PARTS[name]()), FRAMES)


@pytest.mark.parametrize("name", PUBLIC_PARTS)
def test_integers_follow_the_floats(name: str) -> None:
    model = network(name)
    part = split(model, FRAMES)
    assert min(noise(part)) > 25
    assert all(layer.clipped is None or layer.clipped < 0.01 for layer in part.report.layers)
    assert part.report.agreement >= 0.9
    assert decides_alike(part, model, UNSEEN)


def test_wider_numbers_come_nearer() -> None:
    """Where no table rounds, weights alone separate integers from floats, and less so the wider they are."""
    torch.manual_seed(2)
    frames = torch.rand(16, 3, 8, 8, dtype=torch.float64)
    model = chain(nn.Conv2d(3, 1, 3, padding=1), nn.AvgPool2d(8), nn.Flatten())
    graph = fold_batch_norms(trace(model, frames))
    ranges = calibrate(graph, frames)
    scale = FeatureScale(2.0**-24, 0, 1 << 25)
    expected = graph.output(frames).numpy()
    errors = []
    for bits in (4, 8, 12, 16):
        quantised = quantise(graph, ranges, scale, weight_bits=bits)
        program, weights = quantised.public.program, quantised.public.weights
        logits = run(program, weights, round_features(frames.numpy(), scale)).layers[-2].output
        errors.append(float(np.abs(logits * quantised.logit_scale - expected).max()))
    assert errors[0] > 4 * errors[1] > 16 * errors[2] > 64 * errors[3]


def test_equal_activations_share_one_table() -> None:
    """Tables are shared by the proof if they are equal, whatever the layers' scales."""
    model = chain(
        *stem(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.1),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Flatten(),
        nn.Linear(64, 4),
        nn.Linear(4, 1),
    )
    part = split(trained(model, FRAMES), FRAMES)
    tables = [layer.table for layer in requantisations(part)]
    leaky, relu, identity = activation_table(0.1), activation_table(0.0), activation_table(1.0)
    assert tables == [leaky, leaky, relu, identity, identity]
    assert len(set(tables)) == 3


def test_tables_hold_activation_and_saturation() -> None:
    table = activation_table(0.1)
    assert (table.low, table.high) == (-2048, 2047)
    assert [int(table.values[q - table.low]) for q in (-2048, -100, -4, 0, 1, 511, 512, 2047)] == [
        -205,
        -10,
        0,
        0,
        1,
        511,
        511,
        511,
    ]
    assert activation_table(0.0).values.min() == 0
    assert activation_table(1.0).values.min() == -512


def test_nothing_is_requantised_before_the_decision() -> None:
    part = split(network("average-last"), FRAMES)
    kinds = [type(layer).__name__ for layer in part.public.program.layers]
    assert kinds == ["Convolution", "Requantise", "Convolution", "AveragePool", "Flatten", "Sign"]


def test_calibration_frames_leave_headroom() -> None:
    part = split(network("leaky"), FRAMES)
    values = part.features(FRAMES)
    assert values.max() <= 4095 / HEADROOM + 1
    part.public((values * 1.9).astype(np.int64))
    with pytest.raises(
        RangeError, match=r"features, frame .*4096|features, frame .*lies outside \[0, 4095\]"
    ):
        part.public(values * 3)


def test_bias_bits_are_what_the_biases_need() -> None:
    part = split(network("leaky"), FRAMES)
    for layer in part.public.program.affine_layers:
        bias = part.public.weights.bias[layer.name]
        peak = 1 << (layer.bias_bits - 1)
        assert -peak <= bias.min()
        assert bias.max() < peak
        assert layer.bias_bits == 2 or bias.min() < -peak // 2 or bias.max() >= peak // 2


def test_dead_channels_and_zero_weights() -> None:
    """A channel of zeros, with and without a bias, has no scale of its own."""
    convolution, linear = nn.Conv2d(4, 3, 3, padding=1), nn.Linear(48, 1)
    model = chain(*stem(), convolution, nn.ReLU(), nn.Flatten(), linear)
    assert convolution.bias is not None
    with torch.no_grad():
        convolution.weight[:2] = 0
        convolution.bias[:2] = torch.tensor([0, 2.5])
    part = split(model, FRAMES)
    assert min(noise(part)) > 25
    with torch.no_grad():
        for parameter in (*convolution.parameters(), *linear.parameters()):
            parameter.zero_()
    assert split(model, FRAMES).public(part.features(FRAMES)).tolist() == [0] * len(FRAMES)


def test_frames_of_zeros() -> None:
    part = split(network("leaky"), torch.zeros(2, 1, 16, 16))
    assert part.private.pixel_bound == 1.0
    assert part.report.agreement == 1.0


@pytest.mark.parametrize(
    ("public", "message"),
    [
        ([nn.Conv2d(4, 1, 3, padding=1)], r"layer4 \(Conv2d\): .*shape \(1, 4, 4\), not logits; end it"),
        ([nn.Conv2d(4, 3, 4)], r"layer4 \(Conv2d\): .*shape \(3, 1, 1\), not logits; end it with a Flatten"),
        (
            [
                nn.Conv2d(4, 100, 3, padding=1),
                nn.ReLU(),
                nn.Flatten(),
                nn.BatchNorm1d(1600),
                nn.ReLU(),
                nn.Linear(1600, 1),
            ],
            r"layer7 \(BatchNorm\): of 1600 features, folds into no layer; move it",
        ),
    ],
)
def test_public_parts_that_programs_cannot_express(public: list[nn.Module], message: str) -> None:
    with pytest.raises(UnsupportedLayer, match=message):
        split(chain(*stem(), *public), FRAMES)


def test_biases_beyond_what_is_representable() -> None:
    linear = nn.Linear(64, 1)
    assert linear.bias is not None
    with torch.no_grad():
        linear.weight.mul_(1e-12)
        linear.bias.fill_(1e8)
    with pytest.raises(UnsupportedLayer, match=r"layer5 \(Linear\): a bias is more than .* give the layer"):
        split(chain(*stem(), nn.Flatten(), linear), FRAMES)


def test_values_that_overflow_name_their_layer() -> None:
    frames = FRAMES.double()
    graph = trace(chain(nn.Conv2d(1, 1, 3), Square(), nn.Flatten()), frames)
    with pytest.raises(ValueError, match="layer1: values on calibration frames must be finite"):
        calibrate(graph, frames * 1e200)


def test_whole_graphs_without_a_private_part() -> None:
    model = chain(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(392, 3))
    frames = FRAMES.double()
    graph = trace(model, frames)
    quantised = quantise_graph(graph, frames, reveal="logits")
    assert quantised.features.low < 0
    logits = quantised.public(round_features(frames.numpy(), quantised.features))
    expected = graph.output(frames).numpy()
    assert np.abs(logits * quantised.logit_scale - expected).max() < 0.02 * np.abs(expected).max()
    bright = quantise_graph(graph, frames.abs())
    assert (bright.features.low, bright.features.high) == (0, 4095)


def test_many_weights_have_more_bits() -> None:
    """Their table costs next to nothing then."""
    bits = []
    for features in (64, 1 << 9, 1 << 10):
        model = chain(nn.Flatten(), nn.Linear(256, features), nn.ReLU(), nn.Linear(features, 2))
        part = split(model, FRAMES, cut=0)
        bits.append({layer.weight_bits for layer in part.public.program.affine_layers})
    assert bits == [{8}, {9}, {10}]
    exact = split(model, FRAMES, cut=0, weight_bits=12)
    assert {layer.weight_bits for layer in exact.public.program.affine_layers} == {12}
    assert noise(exact)[-1] > noise(part)[-1]
