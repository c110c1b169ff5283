"""Where a model is cut, and private parts that would hide nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pvcnn.errors import CutRefused, UnsupportedLayer
from pvcnn.models.deepfake import OneBlockDetector
from pvcnn.models.layers import Polynomial
from pvcnn.partition.cut import CutGraph, cut_graph, outputs_are_nonnegative, private_layers, refuse_broken
from pvcnn.partition.float_graph.fold import activations_first, fold_batch_norms
from pvcnn.partition.float_graph.graph import FRAMES as WHOLE_FRAMES
from pvcnn.partition.float_graph.graph import FloatGraph
from pvcnn.partition.torch_import.trace import trace
from pvcnn.program.private import PrivatePart, private_evaluate
from pvcnn.program.private_rules import broken_rules
from tests.partition.networks import Square, chain, smooth_frames, stem

FRAMES = smooth_frames(4)


def model(*private: nn.Module) -> nn.Module:
    """`private`, then a public part of fitting shape that ends with one logit."""
    features = nn.Sequential(*private).eval()(FRAMES)
    channels, height, width = features.shape[1:]
    return chain(
        *private,
        nn.Conv2d(channels, 2, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * height * width, 1),
    )


def prepared(network: nn.Module, frames: Tensor = FRAMES) -> FloatGraph:
    return activations_first(fold_batch_norms(trace(network, frames.double())))


def private_part(network: nn.Module, cut: int | str = 1, frames: Tensor = FRAMES) -> PrivatePart:
    """What the owner keeps, if no rule refuses it."""
    graph = prepared(network, frames)
    found = cut_graph(graph, cut)
    layers = private_layers(found.private)
    refuse_broken(broken_rules(layers, graph.input_shape, found.public.input_shape))
    return PrivatePart(graph.input_shape, 1.0, layers, 1.0, found.public.input_shape)


def shifting_norm(channels: int = 2) -> nn.BatchNorm2d:
    """Cannot be folded into a padded convolution."""
    norm = nn.BatchNorm2d(channels).eval()
    nn.init.ones_(norm.bias)
    return norm


class Residual(nn.Module):
    """A block whose shortcut has a convolution of its own."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, filters, 3, padding=1)
        self.second = nn.Conv2d(filters, filters, 3, padding=1)
        self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1), nn.BatchNorm2d(filters))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


def residual_network() -> FloatGraph:
    """A private stem, layer0 to layer3, then two blocks, layer4 and layer5, and a head."""
    blocks = [Residual(4, 3), Residual(3, 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 1)]
    return prepared(chain(*stem(), *blocks, *head))


def check_cut(graph: FloatGraph, found: CutGraph) -> None:
    """Both sides one after the other are the whole graph."""
    frames = FRAMES.double()
    features = frames if found.place == WHOLE_FRAMES else list(graph.evaluate(frames))[found.place - 1]
    assert torch.equal(found.public.output(features), graph.output(frames))
    assert found.public.input_shape == graph.shapes[found.place] == features.shape[1:]
    assert found.private + found.public.layers == graph.layers[: found.place] + graph.layers[found.place :]
    if found.private:
        alone = FloatGraph.chain(graph.input_shape, found.private)
        assert torch.equal(alone.output(frames), features)


def test_blocks_run_from_one_affine_layer_up_to_the_next() -> None:
    graph = prepared(OneBlockDetector(), torch.randn(1, 1, 64, 64))
    for blocks, first_public in ((1, "block2"), (2, "block3"), (3, "block4"), (4, "flatten")):
        found = cut_graph(graph, blocks)
        assert found.private + found.public.layers == graph.layers
        assert found.place == len(found.private)
        assert found.public.layers[0].name.startswith(first_public)


@pytest.mark.parametrize("cut", [-1, 3, 10])
def test_the_public_side_needs_a_block(cut: int) -> None:
    with pytest.raises(CutRefused, match=rf"cut={cut}: the model has 3 blocks.*choose 0 to 2"):
        cut_graph(prepared(model(*stem())), cut)


def test_nothing_private() -> None:
    graph = residual_network()
    found = cut_graph(graph, 0)
    assert found.private == ()
    assert found.place == WHOLE_FRAMES
    assert found.public.layers == graph.layers
    check_cut(graph, found)


@pytest.mark.parametrize(
    ("cut", "last"),
    [
        (1, "layer3"),
        ("layer0", "layer0"),
        ("layer2", "layer2"),
        ("layer3", "layer3"),
    ],
)
def test_cuts_of_a_graph(cut: int | str, last: str) -> None:
    graph = residual_network()
    found = cut_graph(graph, cut)
    assert found.private[-1].name == last
    check_cut(graph, found)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (2, r"cut=2: 2 tensors cross there, those of layer3, layer4.relu; one alone may: "
            r"choose cut=0 or cut='layer3'$"),
        ("layer4.first", r"those of layer3, layer4.first; .*cut='layer3'$"),
        ("layer5.second", r"those of layer4.relu_1, layer5.second; .*cut='layer3'$"),
        ("layer8", r"cut='layer8': this is the last layer, and at least one must be public"),
        ("layer1", r"cut='layer1': no layer has this name once batch norms are folded; others are .*layer"),
        ("layer", r"cut='layer': no layer has this name"),
    ],
)  # fmt: skip
def test_cuts_of_a_graph_that_are_refused(cut: int | str, message: str) -> None:
    with pytest.raises(CutRefused, match=message):
        cut_graph(residual_network(), cut)


def test_a_cut_inside_a_branch() -> None:
    class Shortcut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv2d(1, 1, 3, padding=1)
            self.outer = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.inner(x)
            result: Tensor = self.outer(y + torch.tanh(y))
            return result

    graph = prepared(chain(Shortcut(), nn.Flatten(), nn.Linear(256, 1)))
    with pytest.raises(CutRefused, match=r"one alone may: choose cut=0 or cut='layer0.inner'$"):
        cut_graph(graph, "layer0.tanh")


@pytest.mark.parametrize("cut", [4, "layer4", "layer5", "layer5.add_1", "layer6"])
def test_joins_before_the_cut(cut: int | str) -> None:
    """One tensor crosses, but encrypted frames are evaluated in a chain alone."""
    with pytest.raises(UnsupportedLayer, match=r"layer4.add \(Add\): not supported before the cut"):
        cut_graph(residual_network(), cut)


def test_notes_stay_with_the_public_side() -> None:
    network = chain(*stem(), nn.Flatten(), nn.Linear(64, 3), nn.Softmax(1))
    assert len(cut_graph(prepared(network), 1).public.notes) == 1


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
        private_part(model(*private))


@pytest.mark.parametrize(("filters", "pool"), [(16, 4), (4, 2), (1, 1), (9, 3)])
def test_rule_b_fewer_features_than_pixels(filters: int, pool: int) -> None:
    """(9, 3): 9 x 5 x 5 features are fewer than 256 pixels only since pooling drops a row and a column."""
    with pytest.raises(
        CutRefused, match=rf"rule \(b\).*makes {filters} features of every {pool**2} pixels; pool more"
    ):
        private_part(model(*stem(filters=filters, pool=pool)))


@pytest.mark.parametrize(("filters", "pool"), [(15, 4), (3, 2), (8, 3)])
def test_the_edge_of_rule_b(filters: int, pool: int) -> None:
    part = private_part(model(*stem(filters=filters, pool=pool)))
    assert math.prod(part.output_shape) < math.prod(part.input_shape)


def test_rule_b_counts_the_pixels_of_every_channel() -> None:
    frames = smooth_frames(4, channels=3)
    network = chain(*stem(3, 11, 2), nn.Flatten(), nn.Linear(11 * 64, 1))
    assert private_part(network, frames=frames).output_shape == (11, 8, 8)
    with pytest.raises(CutRefused, match="makes 12 features of every 12 pixels"):
        private_part(chain(*stem(3, 12, 2), nn.Flatten(), nn.Linear(12 * 64, 1)), frames=frames)


@pytest.mark.parametrize(
    ("private", "found"),
    [
        ([nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4)], r"layer1 \(ReLU\)"),
        ([nn.Conv2d(1, 2, 3, padding=1), Square(), nn.MaxPool2d(4)], r"layer2 \(MaxPool\)"),
    ],
)
def test_layers_that_encryption_cannot_evaluate(private: list[nn.Module], found: str) -> None:
    blocks = sum(isinstance(layer, nn.Conv2d) for layer in private)
    with pytest.raises(UnsupportedLayer, match=found):
        private_part(model(*private), blocks)


def test_a_flattening_at_the_cut_is_public() -> None:
    graph = prepared(chain(*stem(), nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 1)))
    for cut in (1, "layer3", "layer4"):
        found = cut_graph(graph, cut)
        assert found.public.input_shape == (4, 4, 4)
        assert [layer.name for layer in found.public.layers[:2]] == ["layer4", "layer5"]
        check_cut(graph, found)


@pytest.mark.parametrize(
    "private",
    [
        [nn.Conv2d(1, 2, 5, padding=2), Square(), nn.AvgPool2d(4, 2)],
        [nn.Conv2d(1, 2, 3, padding=1, stride=2), Square(), nn.AvgPool2d(3, 2, 1)],
        [nn.Conv2d(1, 2, (3, 5), padding=(1, 2)), Square(), nn.AvgPool2d(4, divisor_override=1)],
        [nn.Conv2d(1, 2, 3, padding=2, dilation=2), Polynomial([0.1, 0.5, 0.2, 0.1]), nn.AvgPool2d(2)],
        [nn.Conv2d(1, 4, 3, stride=2), Square(), shifting_norm(4), nn.Conv2d(4, 4, 3, 2, 1, groups=2)],
    ],
    ids=["5x5", "stride", "uneven", "dilated", "groups and a batch norm"],
)
def test_private_layers_compute_what_torch_computes(private: list[nn.Module]) -> None:
    network = model(*private)
    part = private_part(network, sum(isinstance(layer, nn.Conv2d) for layer in private))
    expected = nn.Sequential(*private).double()(FRAMES.double()).detach().numpy()
    assert np.allclose(private_evaluate(part, FRAMES.double().numpy()), expected, rtol=1e-6, atol=1e-6)


def test_a_linear_layer_before_the_cut() -> None:
    """Features are (8, 1, 1) then, and the public part flattens them."""
    network = chain(*stem(), nn.Flatten(), nn.Linear(64, 8), Square(), nn.Linear(8, 1))
    part = private_part(network, 2)
    assert part.output_shape == (8, 1, 1)
    expected = nn.Sequential(*list(network.children())[:7]).double()(FRAMES.double()).detach().numpy()
    assert np.allclose(private_evaluate(part, FRAMES.double().numpy())[..., 0, 0], expected, rtol=1e-9)


def test_two_private_blocks_compute_what_torch_computes() -> None:
    second = [nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), Square(), nn.AvgPool2d(2)]
    network = model(*stem(pool=2), *second)
    part = private_part(network, 2)
    assert part.output_shape == (6, 4, 4)
    expected = nn.Sequential(*list(network.children())[:8]).double()(FRAMES.double()).detach().numpy()
    assert np.allclose(private_evaluate(part, FRAMES.double().numpy()), expected, rtol=1e-9)


def test_which_outputs_cannot_be_negative() -> None:
    def nonnegative(*layers: nn.Module) -> bool:
        return outputs_are_nonnegative(private_layers(prepared(chain(*layers)).layers))

    convolution = nn.Conv2d(1, 1, 3, padding=1)
    assert nonnegative(convolution, Square(), nn.AvgPool2d(2))
    assert nonnegative(convolution, nn.AvgPool2d(2), Square())
    assert not nonnegative(convolution, Square(), convolution, nn.AvgPool2d(2))
    assert not nonnegative(nn.AvgPool2d(2))


def test_the_private_part_survives_its_encoding() -> None:
    part = private_part(model(*stem()))
    decoded = PrivatePart.from_bytes(part.to_bytes())
    frames = FRAMES.double().numpy()
    assert np.array_equal(private_evaluate(decoded, frames), private_evaluate(part, frames))
