"""Where a model is cut, and private parts that would hide nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pvcnn.errors import CutRefused, UnsupportedLayer
from pvcnn.models.deepfake import DeepfakeDetector
from pvcnn.partition.cut import cut_after, outputs_are_nonnegative, private_layers
from pvcnn.partition.fold import fold_batch_norms
from pvcnn.partition.split import split
from pvcnn.partition.trace import trace
from pvcnn.program.private import PrivatePart, private_evaluate
from tests.partition.networks import Square, chain, smooth_frames, stem

FRAMES = smooth_frames(4)


def model(*private: nn.Module) -> nn.Module:
    """`private`, then a lazily shaped public part that ends with one logit."""
    features = nn.Sequential(*private).eval()(FRAMES)
    channels, height, width = features.shape[1:]
    return chain(
        *private,
        nn.Conv2d(channels, 2, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * height * width, 1),
    )


def test_blocks_run_from_one_affine_layer_up_to_the_next() -> None:
    layers = fold_batch_norms(trace(DeepfakeDetector(), torch.randn(1, 1, 64, 64, dtype=torch.float64)))
    for blocks, first_public in ((1, "block2"), (2, "block3"), (3, "block4"), (4, "flatten")):
        before, after = cut_after(layers, blocks)
        assert before + after == layers
        assert after[0].name.startswith(first_public)


@pytest.mark.parametrize("cut", [-1, 0, 3, 10])
def test_both_sides_need_a_block(cut: int) -> None:
    with pytest.raises(CutRefused, match=rf"cut={cut}: the model has 3 blocks.*choose 1 to 2"):
        split(model(*stem()), FRAMES, cut)


@pytest.mark.parametrize(
    "private",
    [
        [nn.Conv2d(1, 4, 3, padding=1), nn.AvgPool2d(4)],
        [Square(), nn.Conv2d(1, 4, 3, padding=1), nn.AvgPool2d(4)],
        [nn.AvgPool2d(2), Square(), nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)],
    ],
    ids=["linear", "square-of-pixels", "square-of-averages"],
)
def test_rule_a_a_nonlinearity_behind_a_convolution(private: list[nn.Module]) -> None:
    with pytest.raises(CutRefused, match=r"rule \(a\), a nonlinearity before the cut.*put a Square"):
        split(model(*private), FRAMES)


@pytest.mark.parametrize(("filters", "pool"), [(16, 4), (4, 2), (1, 1), (9, 3)])
def test_rule_b_fewer_features_than_pixels(filters: int, pool: int) -> None:
    """(9, 3): 9 x 5 x 5 features are fewer than 256 pixels only since pooling drops a row and a column."""
    with pytest.raises(
        CutRefused, match=rf"rule \(b\).*makes {filters} features of every {pool**2} pixels; pool more"
    ):
        split(model(*stem(filters=filters, pool=pool)), FRAMES)


@pytest.mark.parametrize(("filters", "pool"), [(15, 4), (3, 2), (8, 3)])
def test_the_edge_of_rule_b(filters: int, pool: int) -> None:
    part = split(model(*stem(filters=filters, pool=pool)), FRAMES)
    assert part.report.features < part.report.pixels


def test_rule_b_counts_the_pixels_of_every_channel() -> None:
    frames = smooth_frames(4, channels=3)
    network = chain(*stem(3, 11, 2), nn.Flatten(), nn.Linear(11 * 64, 1))
    assert split(network, frames).private.output_shape == (11, 8, 8)
    with pytest.raises(CutRefused, match="makes 12 features of every 12 pixels"):
        split(chain(*stem(3, 12, 2), nn.Flatten(), nn.Linear(12 * 64, 1)), frames)


@pytest.mark.parametrize(
    ("private", "found"),
    [
        ([nn.Conv2d(1, 2, 5, padding=2), Square()], r"layer0 \(Conv2d 5x5, stride 1, padding 2\)"),
        ([nn.Conv2d(1, 2, 3, padding=1, stride=2), Square()], r"layer0 \(Conv2d 3x3, stride 2, padding 1\)"),
        ([nn.Conv2d(1, 2, 3), Square()], r"layer0 \(Conv2d 3x3, stride 1, padding 0\)"),
        ([nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4)], r"layer1 \(LeakyReLU\)"),
        ([nn.Conv2d(1, 2, 3, padding=1), Square(), nn.MaxPool2d(4)], r"layer2 \(MaxPool\)"),
        ([*stem(), nn.Flatten(), nn.Unflatten(1, (4, 4, 4))], r"layer5 \(Unflatten\)"),
    ],
)
def test_layers_that_encryption_cannot_evaluate(private: list[nn.Module], found: str) -> None:
    with pytest.raises(UnsupportedLayer, match=found):
        split(model(*private), FRAMES)


def test_a_flattening_at_the_cut_is_public() -> None:
    network = chain(*stem(), nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 1))
    part = split(network, FRAMES)
    assert part.private.output_shape == (4, 4, 4)
    assert [layer.name for layer in part.public.program.layers[:2]] == ["layer4", "layer5"]


def test_a_linear_layer_before_the_cut() -> None:
    network = chain(*stem(), nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 1))
    with pytest.raises(UnsupportedLayer, match=r"layer4 \(Flatten\): not supported before the cut"):
        split(network, FRAMES, cut=2)


def test_two_private_blocks_compute_what_torch_computes() -> None:
    second = [nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), Square(), nn.AvgPool2d(2)]
    network = model(*stem(pool=2), *second)
    part = split(network, FRAMES, cut=2)
    assert part.private.output_shape == (6, 4, 4)
    expected = nn.Sequential(*list(network.children())[:8]).double()(FRAMES.double()).detach().numpy()
    assert np.allclose(private_evaluate(part.private, FRAMES.double().numpy()), expected, rtol=1e-9)


def test_which_outputs_cannot_be_negative() -> None:
    def nonnegative(*layers: nn.Module) -> bool:
        return outputs_are_nonnegative(
            private_layers(fold_batch_norms(trace(chain(*layers), FRAMES.double())))
        )

    convolution = nn.Conv2d(1, 1, 3, padding=1)
    assert nonnegative(convolution, Square(), nn.AvgPool2d(2))
    assert nonnegative(convolution, nn.AvgPool2d(2), Square())
    assert not nonnegative(convolution, Square(), convolution, nn.AvgPool2d(2))
    assert not nonnegative(nn.AvgPool2d(2))


def test_signed_features_behind_a_convolution() -> None:
    network = model(*stem(pool=2, filters=2), nn.Conv2d(2, 2, 3, padding=1), nn.AvgPool2d(2))
    part = split(network, FRAMES, cut=2)
    assert (part.public.program.input_low, part.public.program.input_high) == (-2048, 2047)


def test_the_private_part_survives_its_encoding() -> None:
    part = split(model(*stem()), FRAMES).private
    decoded = PrivatePart.from_bytes(part.to_bytes())
    frames = FRAMES.double().numpy()
    assert np.array_equal(private_evaluate(decoded, frames), private_evaluate(part, frames))
