"""From torch modules to chains: what is recognised, and what is refused by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.models.deepfake import DeepfakeDetector
from pvcnn.partition.graph import (
    AveragePool,
    BatchNorm,
    Conv2d,
    Flatten,
    FloatLayer,
    LeakyReLU,
    Linear,
    MaxPool,
    apply,
    chain_shapes,
)
from pvcnn.partition.graph import Square as SquareLayer
from pvcnn.partition.trace import trace
from tests.partition.networks import Square, chain, smooth_frames

FRAMES = smooth_frames(3).double()


class Functional(nn.Module):
    """A convolution, and then whatever `function` does."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, padding=1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, self.stem(x))


def kinds(layers: tuple[FloatLayer, ...]) -> list[type]:
    return [type(layer) for layer in layers]


def test_the_detector() -> None:
    layers = trace(DeepfakeDetector(), torch.randn(2, 1, 64, 64, dtype=torch.float64))
    block = [Conv2d, BatchNorm, LeakyReLU, MaxPool]
    assert kinds(layers) == [Conv2d, BatchNorm, SquareLayer, AveragePool, *block * 3, Flatten, Linear]
    assert [layer.name for layer in layers[:4]] == [
        "block1.convolution",
        "block1.normalisation",
        "block1.square",
        "block1.pooling",
    ]
    assert chain_shapes(layers, (1, 64, 64))[-1] == (1,)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda m, x: F.relu(x), LeakyReLU),
        (lambda m, x: F.relu(x, inplace=True), LeakyReLU),
        (lambda m, x: torch.relu(x), LeakyReLU),
        (lambda m, x: x.relu(), LeakyReLU),
        (lambda m, x: F.leaky_relu(x, 0.2), LeakyReLU),
        (lambda m, x: F.leaky_relu(x, negative_slope=0.2), LeakyReLU),
        (lambda m, x: F.max_pool2d(x, 2), MaxPool),
        (lambda m, x: torch.max_pool2d(x, 2), MaxPool),
        (lambda m, x: F.max_pool2d(x, (2, 2), stride=2), MaxPool),
        (lambda m, x: F.avg_pool2d(x, 4), AveragePool),
        (lambda m, x: F.avg_pool2d(x, kernel_size=2, count_include_pad=False), AveragePool),
        (lambda m, x: x * x, SquareLayer),
        (lambda m, x: torch.mul(x, x), SquareLayer),
        (lambda m, x: x.mul(x), SquareLayer),
        (lambda m, x: x**2, SquareLayer),
        (lambda m, x: x.pow(2), SquareLayer),
        (lambda m, x: torch.pow(x, 2.0), SquareLayer),
        (lambda m, x: torch.square(x), SquareLayer),
        (lambda m, x: x.square(), SquareLayer),
        (lambda m, x: x.flatten(1), Flatten),
        (lambda m, x: torch.flatten(x, 1), Flatten),
        (lambda m, x: torch.flatten(x, start_dim=1), Flatten),
        (lambda m, x: x.view(x.size(0), -1), Flatten),
        (lambda m, x: x.view(x.size()[0], -1), Flatten),
        (lambda m, x: x.reshape(x.shape[0], -1), Flatten),
        (lambda m, x: x.reshape((x.shape[0], 512)), Flatten),
        (lambda m, x: x.view(-1, 512), Flatten),
    ],
)
def test_functions_and_methods(function: Callable[[nn.Module, Tensor], Tensor], kind: type) -> None:
    layers = trace(Functional(function), FRAMES)
    assert kinds(layers) == [Conv2d, kind]


@pytest.mark.parametrize(
    "identity",
    [
        lambda m, x: F.dropout(x, 0.5, m.training),
        lambda m, x: F.dropout(x, p=0.5, training=m.training),
        lambda m, x: x,
    ],
)
def test_dropout_leaves_no_layer(identity: Callable[[nn.Module, Tensor], Tensor]) -> None:
    assert kinds(trace(Functional(identity), FRAMES)) == [Conv2d]
    assert kinds(trace(chain(nn.Dropout(), nn.Conv2d(1, 1, 3), nn.Identity(), nn.Dropout2d()), FRAMES)) == [
        Conv2d
    ]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(1, 3, 3, padding=1),
        nn.Conv2d(1, 3, 5, stride=2, padding=2, bias=False),
        nn.Conv2d(1, 3, 3, padding="same"),
        nn.Conv2d(1, 3, (4, 4), padding="valid"),
        nn.BatchNorm2d(1),
        nn.BatchNorm2d(1, affine=False),
        nn.ReLU(),
        nn.LeakyReLU(0.3),
        nn.MaxPool2d(3),
        nn.AvgPool2d((2, 2)),
        Square(),
        nn.Flatten(),
    ],
    ids=str,
)
def test_modules_compute_what_torch_computes(layer: nn.Module) -> None:
    (converted,) = trace(chain(layer), FRAMES)
    expected = layer.double().eval()(FRAMES)
    assert torch.allclose(apply(converted, FRAMES), expected, rtol=1e-12, atol=1e-12)
    assert chain_shapes((converted,), (1, 16, 16))[-1] == tuple(expected.shape[1:])
    assert converted.name == "layer0"
    assert "tensor" not in repr(converted)


def test_one_module_called_twice_gets_two_names() -> None:
    bend = nn.ReLU()
    layers = trace(chain(nn.Conv2d(1, 2, 3), bend, nn.Conv2d(2, 2, 3), bend), FRAMES)
    assert len({layer.name for layer in layers}) == 4


def test_names_are_what_programs_accept() -> None:
    """Spaces become underscores, and a name that is then taken gets a number."""
    layers = trace(nn.Sequential(OrderedDict({"a_b": nn.ReLU(), "a b": nn.ReLU()})), FRAMES)
    assert [layer.name for layer in layers] == ["a_b", "a_b-2"]


def test_the_model_is_not_changed() -> None:
    model = chain(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trace(model, FRAMES)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Conv2d(1, 2, 3, groups=1, dilation=2), r"Conv2d\): dilation=\(2, 2\).*use dilation=1"),
        (nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), r"padding_mode='reflect'.*use 'zeros'"),
        (nn.Conv2d(1, 2, (3, 5)), r"kernel_size \(3, 5\) differs by axis"),
        (nn.Conv2d(1, 2, 3, stride=(1, 2)), r"stride \(1, 2\) differs by axis"),
        (nn.Conv2d(1, 2, 3, padding=(0, 1)), r"padding \(0, 1\) differs by axis"),
        (nn.Conv2d(1, 2, 4, padding="same"), r"use an odd kernel"),
        (nn.MaxPool2d(2, stride=1), r"MaxPool2d\): stride 1 differs from kernel_size 2"),
        (nn.MaxPool2d(3, padding=1, stride=3), r"padding=1 is not supported; use padding=0"),
        (nn.MaxPool2d(2, dilation=2), r"dilation=2"),
        (nn.MaxPool2d(2, ceil_mode=True), r"ceil_mode=True is not supported; use ceil_mode=False"),
        (nn.MaxPool2d((2, 4)), r"kernel_size \(2, 4\) differs by axis"),
        (nn.MaxPool2d(2, return_indices=True), r"return_indices"),
        (nn.AvgPool2d(2, stride=1), r"AvgPool2d\): stride 1 differs from kernel_size 2"),
        (nn.AvgPool2d(2, padding=1), r"padding=1 with count_include_pad=True .*use padding=0"),
        (nn.AvgPool2d(2, ceil_mode=True), r"ceil_mode=True"),
        (nn.AvgPool2d(2, divisor_override=3), r"divisor_override"),
        (nn.AvgPool2d((2, 4)), r"differs by axis"),
        (nn.BatchNorm2d(1, track_running_stats=False), r"BatchNorm2d\): has no running statistics"),
        (nn.Flatten(2), r"flattens axes 2 to -1; use start_dim=1"),
        (nn.Sigmoid(), r"Sigmoid\): not supported; leave it out after the last layer"),
        (nn.GELU(), r"GELU\): not supported; supported are Conv2d, BatchNorm1d"),
        (nn.AdaptiveAvgPool2d(1), r"AdaptiveAvgPool2d\): not supported; use AvgPool2d"),
        (nn.ConvTranspose2d(1, 1, 3), r"ConvTranspose2d"),
        (nn.InstanceNorm2d(1), r"InstanceNorm2d"),
    ],
    ids=str,
)
def test_unsupported_modules_are_named(layer: nn.Module, reason: str) -> None:
    with pytest.raises(UnsupportedLayer, match=f"layer1.*{reason}"):
        trace(chain(nn.ReLU(), layer), FRAMES)


def test_groups_are_refused() -> None:
    with pytest.raises(UnsupportedLayer, match=r"layer1 \(Conv2d\): groups=2 is not supported; use groups=1"):
        trace(chain(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 3, groups=2)), FRAMES)


def test_nested_paths_are_named() -> None:
    model = chain(nn.ReLU(), chain(nn.ReLU(), nn.Sequential(nn.Softsign())))
    with pytest.raises(UnsupportedLayer, match=r"layer1\.layer1\.0 \(Softsign\)"):
        trace(model, FRAMES)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda m, x: torch.sigmoid(x), r"sigmoid\): not supported"),
        (lambda m, x: F.gelu(x), r"gelu\): not supported"),
        (lambda m, x: x.tanh(), r"tanh \(tanh\): not supported"),
        (lambda m, x: x**3, r"pow.*exponent 3 is not supported; only squares are"),
        (lambda m, x: x * 2, r"mul"),
        (lambda m, x: 2**x, r"first argument"),
        (lambda m, x: x + x, r"add"),
        (lambda m, x: x + m.stem(x[:, :1]), r"stem \(Conv2d\): 2 layers use its output"),
        (lambda m, x: F.relu(x) * x, r"2 layers use its output"),
        (lambda m, x: x * m.stem.weight.sum(), r"stem.weight.*parameters may only"),
        (lambda m, x: F.dropout(x), r"dropout.*training=self.training"),
        (lambda m, x: x.view(x.size(0), 2, -1), r"view"),
        (lambda m, x: x.flatten(0), r"flattens axes 0 to -1"),
        (lambda m, x: x.flatten(), r"flattens axes 0 to -1"),
        (lambda m, x: F.max_pool2d(x, 2, 1), r"max_pool2d.*stride 1 differs"),
        (lambda m, x: F.avg_pool2d(x, 2, ceil_mode=True), r"avg_pool2d.*ceil_mode"),
        (lambda m, x: x.relu(3, 4), r"relu.*called with arguments that are not supported"),
        (lambda m, x: x if x.sum() > 0 else -x, r"torch.fx cannot trace Functional"),
        (lambda m, x: (x, x), r"one logit|as a tensor|alone"),
        (lambda m, x: {"logit": x}, r"must return its logit alone"),
        (lambda m, x: torch.ones(3, 1), r"constants and parameters may only be used inside layers"),
    ],
)
def test_unsupported_functions_are_named(
    function: Callable[[nn.Module, Tensor], Tensor], reason: str
) -> None:
    with pytest.raises(UnsupportedLayer, match=reason):
        trace(Functional(function), FRAMES)


def test_a_mutation_in_place_that_others_see_is_refused() -> None:
    def mutate(m: nn.Module, x: Tensor) -> Tensor:
        x.relu_()
        return x

    with pytest.raises(UnsupportedLayer, match="2 layers use its output"):
        trace(Functional(mutate), FRAMES)


def test_hooks_are_refused() -> None:
    model = chain(nn.Conv2d(1, 1, 3), nn.ReLU())
    model[1].register_forward_hook(lambda module, inputs, output: output + 1)
    with pytest.raises(UnsupportedLayer, match=r"layer1 \(ReLU\): has forward hooks"):
        trace(model, FRAMES)


def test_a_chain_that_computes_something_else_is_refused() -> None:
    """A hook on the whole model escapes torch.fx; comparing outputs does not let it pass."""
    model = chain(nn.Conv2d(1, 1, 3), nn.ReLU())
    model.register_forward_hook(lambda module, inputs, output: output + 1)
    with pytest.raises(UnsupportedLayer, match="does not compute what the model computes"):
        trace(model, FRAMES)


def test_a_reshape_that_mixes_frames_is_refused() -> None:
    with pytest.raises(UnsupportedLayer, match="does not compute what the model computes"):
        trace(Functional(lambda m, x: x.view(-1, 256)), FRAMES)


def test_several_inputs_are_refused() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x

    with pytest.raises(UnsupportedLayer, match="takes 2 inputs"):
        trace(Two(), FRAMES)


@pytest.mark.parametrize(
    "model",
    [chain(nn.Conv2d(1, 2, 3), nn.Linear(14, 1)), chain(nn.Flatten(), nn.Linear(256, 4), nn.Linear(4, 1))],
)
def test_shapes_that_torch_takes_but_programs_do_not(model: nn.Module) -> None:
    layers = trace(model, FRAMES)
    if isinstance(layers[0], Conv2d):
        with pytest.raises(UnsupportedLayer, match=r"layer1 \(Linear\): cannot take values of shape"):
            chain_shapes(layers, (1, 16, 16))
    else:
        assert chain_shapes(layers, (1, 16, 16))[-1] == (1,)
