"""Torch's layers on one tensor, as modules and as functions: what they become, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.float_graph.graph import Activation, Conv2d, FloatGraph, apply, type_name
from pvcnn.partition.torch_import.trace import trace
from tests.partition.networks import Functional, Square, chain, smooth_frames

FRAMES = smooth_frames(3).double()
COLOUR = smooth_frames(3, channels=4).double()


def kinds(graph: FloatGraph) -> list[str]:
    return [type_name(layer) for layer in graph.layers]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 3, 3, padding=1),
        nn.Conv2d(4, 3, 5, stride=2, padding=2, bias=False),
        nn.Conv2d(4, 3, 3, padding="same"),
        nn.Conv2d(4, 3, (4, 4), padding="valid"),
        nn.Conv2d(4, 6, (3, 5), stride=(1, 2), padding=(0, 2), dilation=(2, 1)),
        nn.Conv2d(4, 6, 3, groups=2),
        nn.Conv2d(4, 8, 3, groups=4, padding=1),
        nn.Conv2d(4, 3, 1),
        nn.Conv2d(4, 3, 3, padding="same", dilation=3),
        nn.BatchNorm2d(4),
        nn.BatchNorm2d(4, affine=False),
        nn.MaxPool2d(3),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.MaxPool2d((2, 3), stride=(1, 2), dilation=2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.MaxPool2d(2, 2, 1, ceil_mode=True),
        nn.MaxPool2d(5, 4, 1, ceil_mode=True),
        nn.MaxPool2d(2, 3, 1, ceil_mode=True),
        nn.AvgPool2d((2, 2)),
        nn.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 0)),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.AvgPool2d(3, 1, 1, divisor_override=4),
        nn.AvgPool2d(3, 1, 1, count_include_pad=False, divisor_override=4),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((4, None)),
        nn.AdaptiveAvgPool2d((3, 8)),
        nn.AdaptiveMaxPool2d((2, 5)),
        nn.ReLU(),
        nn.LeakyReLU(0.3),
        nn.PReLU(init=0.2),
        nn.ReLU6(),
        nn.Hardtanh(),
        nn.Hardtanh(-0.25, 2.0),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.SiLU(),
        nn.GELU(),
        nn.GELU("tanh"),
        nn.Hardswish(),
        nn.Hardsigmoid(),
        nn.ELU(0.7),
        nn.Softplus(2.0),
        Square(),
        nn.Flatten(),
    ],
    ids=str,
)
def test_modules_compute_what_torch_computes(layer: nn.Module) -> None:
    graph = trace(chain(layer), COLOUR)
    (converted,) = graph.layers
    expected = layer.double().eval()(COLOUR)
    assert torch.allclose(apply(converted, COLOUR), expected, rtol=1e-12, atol=1e-12)
    assert graph.shapes[-1] == tuple(expected.shape[1:])
    assert converted.name == "layer0"
    assert "tensor" not in repr(graph)


@pytest.mark.parametrize("layer", [nn.Dropout(), nn.Dropout2d(), nn.AlphaDropout(), nn.Identity()])
def test_what_does_nothing_at_inference_leaves_no_layer(layer: nn.Module) -> None:
    assert kinds(trace(chain(nn.Conv2d(1, 1, 3), layer), FRAMES)) == ["Conv2d"]


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda m, x: F.relu(x), "ReLU"),
        (lambda m, x: F.relu(x, inplace=True), "ReLU"),
        (lambda m, x: F.relu(input=x), "ReLU"),
        (lambda m, x: torch.relu(x), "ReLU"),
        (lambda m, x: x.relu(), "ReLU"),
        (lambda m, x: x.relu_(), "ReLU"),
        (lambda m, x: x.clamp(min=0), "ReLU"),
        (lambda m, x: F.leaky_relu(x, 0.2), "LeakyReLU"),
        (lambda m, x: F.leaky_relu(x, negative_slope=0.2), "LeakyReLU"),
        (lambda m, x: F.relu6(x), "ReLU6"),
        (lambda m, x: torch.clamp(x, 0, 6), "ReLU6"),
        (lambda m, x: x.clamp(-1, 0.5), "Hardtanh"),
        (lambda m, x: F.hardtanh(x, -2.0, 2.0), "Hardtanh"),
        (lambda m, x: torch.sigmoid(x), "Sigmoid"),
        (lambda m, x: x.tanh(), "Tanh"),
        (lambda m, x: F.silu(x), "SiLU"),
        (lambda m, x: x * torch.sigmoid(x), "SiLU"),
        (lambda m, x: F.hardsigmoid(x) * x, "Hardswish"),
        (lambda m, x: F.gelu(x), "GELU"),
        (lambda m, x: F.gelu(x, approximate="tanh"), "GELU"),
        (lambda m, x: F.hardswish(x), "Hardswish"),
        (lambda m, x: F.elu(x, 0.5), "ELU"),
        (lambda m, x: F.softplus(x), "Softplus"),
        (lambda m, x: F.max_pool2d(x, 2), "MaxPool"),
        (lambda m, x: torch.max_pool2d(x, 2), "MaxPool"),
        (lambda m, x: F.max_pool2d(x, (2, 2), stride=2), "MaxPool"),
        (lambda m, x: F.max_pool2d(x, 3, 2, 1), "MaxPool"),
        (lambda m, x: F.adaptive_max_pool2d(x, 1), "MaxPool"),
        (lambda m, x: x.amax((2, 3), keepdim=True), "MaxPool"),
        (lambda m, x: F.avg_pool2d(x, 4), "AveragePool"),
        (lambda m, x: F.avg_pool2d(x, x.size()[2:]), "AveragePool"),
        (lambda m, x: F.avg_pool2d(x, kernel_size=2, count_include_pad=False), "AveragePool"),
        (lambda m, x: F.adaptive_avg_pool2d(x, (1, 1)), "AveragePool"),
        (lambda m, x: x.mean((2, 3), keepdim=True), "AveragePool"),
        (lambda m, x: torch.mean(x, dim=(-1, -2), keepdim=True), "AveragePool"),
        (lambda m, x: F.avg_pool2d(F.pad(x, (0, 1, 2, 0)), 3, 2), "AveragePool"),
        (lambda m, x: F.conv2d(F.pad(x, (0, 1, 2, 0)), m.stem.weight.transpose(0, 1), None, 2, 1), "Conv2d"),
        (lambda m, x: x * x, "Square"),
        (lambda m, x: torch.mul(x, x), "Square"),
        (lambda m, x: x.mul(x), "Square"),
        (lambda m, x: x**2, "Square"),
        (lambda m, x: x.pow(2), "Square"),
        (lambda m, x: torch.pow(x, 2.0), "Square"),
        (lambda m, x: torch.square(x), "Square"),
        (lambda m, x: x.square(), "Square"),
        (lambda m, x: x.flatten(1), "Flatten"),
        (lambda m, x: x.flatten(2).flatten(1), "Flatten"),
        (lambda m, x: torch.flatten(x, 1), "Flatten"),
        (lambda m, x: torch.flatten(x, start_dim=1), "Flatten"),
        (lambda m, x: x.view(x.size(0), -1), "Flatten"),
        (lambda m, x: x.view(x.size()[0], -1), "Flatten"),
        (lambda m, x: x.reshape(x.shape[0], -1), "Flatten"),
        (lambda m, x: x.reshape((x.shape[0], 512)), "Flatten"),
        (lambda m, x: x.view(-1, x.size(1) * x.size(2) * x.size(3)), "Flatten"),
        (lambda m, x: x.view(-1, 512), "Flatten"),
        (lambda m, x: torch.reshape(x, (-1, 2, 256)).flatten(1), "Flatten"),
    ],
)
def test_functions_and_methods(function: Callable[[nn.Module, Tensor], Tensor], kind: str) -> None:
    """`trace` itself compares the graph with the module."""
    graph = trace(Functional(function), FRAMES)
    assert kinds(graph) == ["Conv2d", kind]


@pytest.mark.parametrize(
    "identity",
    [
        lambda m, x: F.dropout(x, 0.5, m.training),
        lambda m, x: F.dropout(x, p=0.5, training=m.training),
        lambda m, x: x.contiguous(),
        lambda m, x: x.view(x.size(0), 2, 16, 16),
        lambda m, x: x.unsqueeze(1).squeeze(1),
        lambda m, x: x[:],
        lambda m, x: x[..., None].squeeze(-1),
        lambda m, x: x[:, None].squeeze(1),
        lambda m, x: x * 1 + 0,
        lambda m, x: x,
    ],
)
def test_functions_that_do_nothing(identity: Callable[[nn.Module, Tensor], Tensor]) -> None:
    assert kinds(trace(Functional(identity), FRAMES)) == ["Conv2d"]


def test_a_padding_layer_becomes_the_convolutions_own() -> None:
    model = chain(nn.ZeroPad2d((1, 2, 0, 3)), nn.Identity(), nn.Conv2d(1, 2, 3, stride=2, padding=1))
    graph = trace(model, FRAMES)
    (layer,) = graph.layers
    assert isinstance(layer, Conv2d)
    assert layer.windows.padding == (1, 4, 2, 3)


def test_a_layer_that_inherits_from_torchs_is_looked_into() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    graph = trace(chain(Standardised(1, 3, 3)), FRAMES)
    (layer,) = graph.layers
    assert isinstance(layer, Conv2d)
    assert layer.weight.mean((1, 2, 3)).abs().max() < 1e-7


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), r"padding_mode='reflect'.*use 'zeros'"),
        (nn.Conv2d(1, 2, 300, padding=150), r"Conv2d\): is too large: layer1: kernel is \(300, 300\)"),
        (nn.MaxPool2d(2, return_indices=True), r"return_indices"),
        (nn.AvgPool2d(2, padding=1, count_include_pad=False), r"AvgPool2d\): padding=1 .*use padding=0 or"),
        (nn.AvgPool2d(3, 2, ceil_mode=True), r"AvgPool2d\): ceil_mode=True .*divide 16x16 evenly"),
        (nn.AdaptiveAvgPool2d(7), r"AdaptiveAvgPool2d\): makes windows of different sizes of 16x16; choose"),
        (nn.AdaptiveAvgPool2d(32), r"AdaptiveAvgPool2d\): makes windows of different sizes"),
        (nn.AdaptiveMaxPool2d(1, return_indices=True), r"return_indices"),
        (nn.BatchNorm2d(1, track_running_stats=False), r"BatchNorm2d\): has no running statistics"),
        (nn.Softplus(1.0, 5.0), r"Softplus\): beta=1.0, threshold=5.0.*threshold=20"),
        (nn.Flatten(2), r"Flatten\): makes the shape \(1, 256\) of \(1, 16, 16\)"),
        (nn.Flatten(0), r"Flatten\): flattens axes 0 to -1; use start_dim=1"),
        (nn.ZeroPad2d(-1), r"ZeroPad2d\): padding \(-1, -1, -1, -1\) is not supported"),
        (nn.ConstantPad2d(1, 2.0), r"ConstantPad2d\).*pad with zeros"),
        (
            nn.LayerNorm(16),
            r"LayerNorm\): its mean and deviation depend on the frame; train with BatchNorm2d",
        ),
        (nn.GroupNorm(1, 1), r"GroupNorm"),
        (nn.InstanceNorm2d(1), r"InstanceNorm2d\).*BatchNorm2d"),
        (nn.Softmax(1), r"Softmax\): is supported as the model's last step alone, of logits"),
        (nn.Mish(), r"Mish\): not supported; use SiLU"),
        (nn.Hardshrink(), r"Hardshrink\): not supported; supported are Conv2d, Linear, BatchNorm1d"),
        (nn.ConvTranspose2d(1, 1, 3), r"ConvTranspose2d"),
        (nn.Upsample(scale_factor=2), r"Upsample"),
    ],
    ids=str,
)
def test_unsupported_modules_are_named(layer: nn.Module, reason: str) -> None:
    with pytest.raises(UnsupportedLayer, match=f"layer1.*{reason}"):
        trace(chain(nn.ReLU(), layer), FRAMES)


def test_padding_before_anything_else_is_refused() -> None:
    for layer in (nn.MaxPool2d(2), nn.ReLU(), nn.BatchNorm2d(1), nn.Flatten()):
        with pytest.raises(UnsupportedLayer, match=r"layer1 .*padded tensor.* before .*[cC]onv"):
            trace(chain(nn.ZeroPad2d(1), layer), FRAMES)
    with pytest.raises(UnsupportedLayer, match=r"output \(output\): the model returns a padded tensor"):
        trace(chain(nn.ReLU(), nn.ZeroPad2d(1)), FRAMES)


def test_parametrised_layers_are_named_with_the_remedy() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 3))
    with pytest.raises(UnsupportedLayer, match=r"layer0 \(ParametrizedConv2d\).*remove_parametrizations"):
        trace(chain(layer), FRAMES)


def test_softmax_at_the_end_is_left_out_and_noted() -> None:
    body = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    for ending in (nn.Softmax(1), nn.Softmax(-1), nn.LogSoftmax(1), nn.Sigmoid()):
        graph = trace(chain(*body, ending), COLOUR)
        assert kinds(graph) == ["AveragePool", "Flatten", "Linear"]
        (note,) = graph.notes
        assert note.startswith(f"layer3 ({type(ending).__name__}) is left out")
    with pytest.raises(UnsupportedLayer, match=r"layer3 \(Softmax\): dim=0 is not supported; use dim=1"):
        trace(chain(*body, nn.Softmax(0)), COLOUR)
    with pytest.raises(UnsupportedLayer, match=r"layer3 \(Softmax\): is supported as the model's last step"):
        trace(chain(*body, nn.Softmax(1), nn.ReLU()), COLOUR)


@pytest.mark.parametrize(
    "ending",
    [
        lambda m, x: F.softmax(x.flatten(1), 1),
        lambda m, x: x.flatten(1).softmax(dim=-1),
        lambda m, x: torch.log_softmax(x.flatten(1), 1),
        lambda m, x: x.flatten(1).sigmoid(),
    ],
)
def test_softmax_as_a_function(ending: Callable[[nn.Module, Tensor], Tensor]) -> None:
    graph = trace(Functional(ending), FRAMES)
    assert kinds(graph) == ["Conv2d", "Flatten"]
    assert len(graph.notes) == 1


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_same_padding_of_an_even_kernel_is_uneven() -> None:
    (layer,) = trace(chain(nn.Conv2d(1, 3, (4, 2), padding="same")), FRAMES).layers
    assert isinstance(layer, Conv2d)
    assert layer.windows.padding == (1, 2, 0, 1)


def test_a_sigmoid_of_maps_stays() -> None:
    graph = trace(chain(nn.Conv2d(1, 1, 3), nn.Sigmoid()), FRAMES)
    assert kinds(graph) == ["Conv2d", "Sigmoid"]
    assert graph.notes == ()


def test_prelu_with_a_slope_for_each_channel() -> None:
    layer = nn.PReLU(4)
    assert kinds(trace(chain(layer), COLOUR)) == ["LeakyReLU"]
    layer.weight.data[2] = 0.5
    with pytest.raises(
        UnsupportedLayer, match=r"PReLU\): has a slope for every channel; use num_parameters=1"
    ):
        trace(chain(layer), COLOUR)


def test_gelu_is_told_from_its_approximation() -> None:
    exact, approximate = (trace(chain(nn.GELU(kind)), FRAMES).layers[0] for kind in ("none", "tanh"))
    assert isinstance(exact, Activation)
    assert isinstance(approximate, Activation)
    assert (exact.kind, approximate.kind) == ("gelu", "gelu_tanh")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda m, x: x**3, r"pow.*exponent 3 is not supported; only squares are"),
        (lambda m, x: 2**x, r"first argument"),
        (lambda m, x: x**x, r"pow.*combines tensors"),
        (lambda m, x: F.dropout(x), r"dropout.*training=self.training"),
        (
            lambda m, x: F.batch_norm(x, torch.zeros(2), torch.ones(2), training=True),
            r"statistics of the batch",
        ),
        (lambda m, x: x.mean(), r"mean \(mean\): goes over the axes None; use dim=\(2, 3\)"),
        (lambda m, x: x.mean(1), r"goes over the axes 1"),
        (lambda m, x: x.clamp(max=1), r"clamp.*give both, or min=0 alone"),
        (lambda m, x: x.view(x.size(0), 2, -1), r"view \(view\): makes the shape \(2, 256\)"),
        (lambda m, x: x.view(3, -1), r"view.*the first size must be x.size\(0\) or -1"),
        (lambda m, x: x.view(x.size(0), 500), r"view.*must make up one frame"),
        (lambda m, x: x.view(x.size(0) * 2, -1), r"mul \(mul\): cannot be known before the frames are"),
        (lambda m, x: x.view(-1, 256), r"view.*the first size"),
        (lambda m, x: x.flatten(0), r"flattens axes 0 to -1"),
        (lambda m, x: x.flatten(), r"flattens axes 0 to -1"),
        (lambda m, x: x.squeeze(), r"squeeze.*may drop the axis of frames"),
        (lambda m, x: x.unsqueeze(0), r"unsqueeze.*before that of frames"),
        (lambda m, x: x[:, :1], r"getitem \(getitem\): parts of a tensor are not supported; use two"),
        (lambda m, x: x[0], r"getitem.*parts of a tensor"),
        (lambda m, x: x.chunk(2, 1)[0], r"chunk \(chunk\): parts of a tensor"),
        (lambda m, x: torch.split(x, 1, 1)[0], r"split \(split\): parts of a tensor"),
        (lambda m, x: x.permute(0, 1, 3, 2), r"permute \(permute\): axes keep their order"),
        (lambda m, x: x.flatten(1).argmax(1), r"argmax.*return its logits"),
        (lambda m, x: F.avg_pool2d(x, 3, ceil_mode=True), r"avg_pool2d.*ceil_mode"),
        (lambda m, x: F.max_pool2d(x.flatten(1), 2), r"gets values of shape \(512,\); it needs channels"),
        (lambda m, x: x.relu(3, 4), r"relu.*called with arguments that are not supported"),
        (lambda m, x: x.view(x.size(0), -1)[:, :, None, None], r"makes the shape \(512, 1, 1\)"),
        (lambda m, x: x.flatten(1).relu()[:, :, None, None] * x, r"shape \(512, 1, 1\) of \(512,\)"),
        (lambda m, x: x.requires_grad, r"requires_grad"),
    ],
)
def test_unsupported_functions_are_named(
    function: Callable[[nn.Module, Tensor], Tensor], reason: str
) -> None:
    with pytest.raises(UnsupportedLayer, match=reason):
        trace(Functional(function), FRAMES)
