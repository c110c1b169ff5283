"""From torch modules to graphs: names, joins, and models that are refused as a whole."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.models.deepfake import OneBlockDetector
from pvcnn.partition.float_graph.graph import Add, BatchNorm, FloatGraph, type_name
from pvcnn.partition.torch_import.trace import trace
from tests.partition.networks import Functional, chain, smooth_frames
from tests.partition.random_networks import RandomNetwork

FRAMES = smooth_frames(3).double()


def kinds(graph: FloatGraph) -> list[str]:
    return [type_name(layer) for layer in graph.layers]


def test_the_detector() -> None:
    graph = trace(OneBlockDetector(), torch.randn(2, 1, 64, 64, dtype=torch.float64))
    block = ["Conv2d", "BatchNorm", "LeakyReLU", "MaxPool"]
    assert kinds(graph) == ["Conv2d", "BatchNorm", "Square", "AveragePool", *block * 3, "Flatten", "Linear"]
    assert [layer.name for layer in graph.layers[:4]] == [
        "block1.convolution",
        "block1.normalisation",
        "block1.square",
        "block1.pooling",
    ]
    assert graph.shapes[-1] == (1,)
    assert [node.inputs for node in graph.nodes] == [(index,) for index in range(len(graph.nodes))]


def test_one_module_called_twice_gets_two_names() -> None:
    bend = nn.ReLU()
    graph = trace(chain(nn.Conv2d(1, 2, 3), bend, nn.Conv2d(2, 2, 3), bend), FRAMES)
    assert [layer.name for layer in graph.layers] == ["layer0", "layer1", "layer2", "layer1-2"]


def test_names_are_what_programs_accept() -> None:
    """Spaces become underscores, and a name that is then taken gets a number."""
    graph = trace(nn.Sequential(OrderedDict({"a_b": nn.ReLU(), "a b": nn.ReLU()})), FRAMES)
    assert [layer.name for layer in graph.layers] == ["a_b", "a_b-2"]


def test_the_model_is_not_changed() -> None:
    model = chain(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trace(model, FRAMES)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert next(model.parameters()).dtype == torch.float32


def test_frames_are_not_changed() -> None:
    frames = FRAMES.clone()
    trace(chain(nn.ReLU(inplace=True), nn.Conv2d(1, 1, 3)), frames)
    assert torch.equal(frames, FRAMES)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda m, x: x + F.relu(x), ["ReLU", "Add"]),
        (lambda m, x: torch.add(F.relu(x), x, alpha=-3), ["ReLU", "Add"]),
        (lambda m, x: F.relu(x).sub(x, alpha=2), ["ReLU", "Add"]),
        (lambda m, x: F.relu(x) - x, ["ReLU", "Add"]),
        (lambda m, x: F.relu(x).add_(x), ["ReLU", "Add"]),
        (lambda m, x: x + x, ["Add"]),
        (lambda m, x: sum([F.relu(x), torch.tanh(x), x]), ["ReLU", "Tanh", "Add", "Add"]),
        (lambda m, x: F.relu(x) * x, ["ReLU", "Multiply"]),
        (lambda m, x: x * x.mean((2, 3), keepdim=True), ["AveragePool", "Multiply"]),
        (lambda m, x: x.mean((2, 3), keepdim=True) * x, ["AveragePool", "Multiply"]),
        (lambda m, x: x * x.mean((2, 3))[:, :, None, None], ["AveragePool", "Multiply"]),
        (lambda m, x: x * x.mean((2, 3)).unsqueeze(-1).unsqueeze(2).expand_as(x),
         ["AveragePool", "Multiply"]),
        (lambda m, x: x.mean((2, 3)), ["AveragePool", "Flatten"]),
        (lambda m, x: x.mean((2, 3)) * x.amax((2, 3)),
         ["AveragePool", "Flatten", "MaxPool", "Flatten", "Multiply"]),
        (lambda m, x: torch.cat([x, F.relu(x), x], 1), ["ReLU", "Concatenate"]),
        (lambda m, x: torch.cat((x, F.relu(x)), dim=-3), ["ReLU", "Concatenate"]),
        (lambda m, x: torch.concat([x.flatten(1), F.relu(x).flatten(1)], 1),
         ["ReLU", "Flatten", "Flatten", "Concatenate"]),
        (lambda m, x: torch.cat([x], 1), []),
        (lambda m, x: (x - 0.5) / 0.25, ["BatchNorm", "BatchNorm"]),
        (lambda m, x: 1 - 2 * x, ["BatchNorm", "BatchNorm"]),
        (lambda m, x: -x, ["BatchNorm"]),
        (lambda m, x: x * m.stem.weight.sum(), ["BatchNorm"]),
        (lambda m, x: x + m.stem.bias[:, None, None], ["BatchNorm"]),
        (lambda m, x: m.stem.bias.view(1, 2, 1, 1).exp() * x, ["BatchNorm"]),
        (lambda m, x: torch.sub(x, torch.tensor([1.0, 2.0]).view(2, 1, 1), alpha=2), ["BatchNorm"]),
        (lambda m, x: x.mean((2, 3)) + m.stem.bias, ["AveragePool", "Flatten", "BatchNorm"]),
    ],
)  # fmt: skip
def test_joins_and_constants(function: Callable[[Functional, Tensor], Tensor], found: list[str]) -> None:
    """`trace` compares the graph with the module, and so does this."""
    model = Functional(function)
    graph = trace(model, FRAMES)
    assert kinds(graph) == ["Conv2d", *found]
    expected = model.double()(FRAMES)
    assert torch.allclose(graph.output(FRAMES), expected, rtol=1e-12, atol=1e-12)


def test_multipliers_of_a_sum() -> None:
    graph = trace(Functional(lambda m, x: torch.add(F.relu(x), x, alpha=-3)), FRAMES)
    assert graph.layers[-1] == Add("add", (1.0, -3.0))
    assert graph.nodes[-1].inputs == (2, 1)


def test_a_flattening_is_shared() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return F.relu(flat) + flat

    assert kinds(trace(Functional(forward), FRAMES)) == ["Conv2d", "Flatten", "ReLU", "Add"]


def test_what_leads_nowhere_is_left_out() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        F.gelu(x).flatten(1)
        return F.relu(x)

    assert kinds(trace(Functional(forward), FRAMES)) == ["Conv2d", "ReLU"]


def test_squeeze_and_excitation_through_linear_layers() -> None:
    """What torch computes on (channels,) becomes convolutions on (channels, 1, 1)."""

    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.squeeze = nn.AdaptiveAvgPool2d(1)
            self.excite = nn.Sequential(
                nn.Linear(4, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 4), nn.Sigmoid()
            )

        def forward(self, x: Tensor) -> Tensor:
            count, channels, _, _ = x.size()
            gate: Tensor = self.excite(self.squeeze(x).view(count, channels)).view(count, channels, 1, 1)
            return x * gate.expand_as(x)

    graph = trace(chain(nn.Conv2d(1, 4, 3), Gate(), nn.Conv2d(4, 1, 1)), FRAMES)
    body = ["Conv2d", "BatchNorm", "ReLU", "Conv2d", "Sigmoid"]
    assert kinds(graph) == ["Conv2d", "AveragePool", *body, "Multiply", "Conv2d"]
    assert graph.layers[2].name == "layer1.excite.0"
    assert graph.nodes[7].inputs == (1, 7)


def test_linear_layers_of_whole_maps_as_a_gate() -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(256, 3)

        def forward(self, x: Tensor) -> Tensor:
            gate: Tensor = self.linear(x.flatten(1)).view(-1, 3, 1, 1)
            return torch.cat([x, x * 2, -x], 1) * gate

    graph = trace(chain(Gate()), FRAMES)
    assert kinds(graph) == ["BatchNorm", "BatchNorm", "Concatenate", "Conv2d", "Multiply"]


def test_an_unflattening_behind_a_linear_layer() -> None:
    body = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 6), nn.Tanh(), nn.Unflatten(1, (6, 1, 1))]
    graph = trace(chain(*body, nn.Conv2d(6, 2, 1)), FRAMES)
    assert kinds(graph) == ["AveragePool", "Conv2d", "Tanh", "Conv2d"]
    with pytest.raises(
        UnsupportedLayer, match=r"layer4 \(Unflatten\): makes the shape \(2, 3, 1\) of \(6,\)"
    ):
        trace(chain(*body[:-1], nn.Unflatten(1, (2, 3, 1)), nn.ReLU()), FRAMES)


def test_one_logit_without_its_axis() -> None:
    model = chain(nn.Flatten(), nn.Linear(256, 1))
    graph = trace(nn.Sequential(model, Squeeze()), FRAMES)
    assert graph.shapes[-1] == (1,)
    assert graph.notes == ()


class Squeeze(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(1)


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed: int) -> None:
    network = RandomNetwork(seed)
    frames = torch.randn(3, 2, 12, 12, dtype=torch.float64)
    graph = trace(network, frames)
    assert torch.allclose(graph.output(frames), network.double()(frames), rtol=1e-10, atol=1e-10)


def test_nested_paths_are_named() -> None:
    model = chain(nn.ReLU(), chain(nn.ReLU(), nn.Sequential(nn.Softsign())))
    with pytest.raises(UnsupportedLayer, match=r"layer1\.layer1\.0 \(Softsign\)"):
        trace(model, FRAMES)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda m, x: x / x, r"truediv.*only division by constants is"),
        (lambda m, x: 1 / x, r"truediv.*only division by constants is"),
        (lambda m, x: x / 0, r"truediv.*divides by zero"),
        (lambda m, x: x + torch.ones(16, 16), r"add.*one for each of 2 channels; this is neither"),
        (lambda m, x: x * "2", r"mul.*this is neither"),
        (lambda m, x: torch.add(x, x, alpha=m.stem.bias), r"add.*alpha must be a number"),
        (lambda m, x: torch.cat([x, x], 2), r"cat.*concatenates along axis 2; use dim=1"),
        (lambda m, x: torch.cat([x, torch.ones(3, 1, 16, 16)], 1), r"cat.*constants with tensors"),
        (lambda m, x: torch.stack([x, x], 1), r"stack"),
        (lambda m, x: x + x.mean((2, 3), keepdim=True), r"add \(Add\).*added tensors must have one shape"),
        (lambda m, x: x * x.mean(1, keepdim=True), r"mean.*goes over the axes 1"),
        (lambda m, x: F.pad(x, (1, 1, 1, 1)) + x, r"add.*padded tensor"),
        (lambda m, x: torch.maximum(x, -x), r"maximum.*combines tensors"),
        (lambda m, x: x @ x, r"matmul \(matmul\)"),
        (lambda m, x: x if x.sum() > 0 else -x, r"torch.fx cannot trace Functional"),
        (lambda m, x: (x, x), r"must return its logits alone, as a tensor"),
        (lambda m, x: {"logit": x}, r"must return its logits alone"),
        (lambda m, x: torch.ones(3, 1), r"must return its logits alone"),
        (lambda m, x: m.stem(x[:, :1]), r"getitem.*parts of a tensor"),
        (lambda m, x: x + torch.rand(1), r"does not compute what the model computes"),
    ],
)
def test_unsupported_functions_are_named(
    function: Callable[[nn.Module, Tensor], Tensor], reason: str
) -> None:
    with pytest.raises(UnsupportedLayer, match=reason):
        trace(Functional(function), FRAMES)


def test_a_mutation_in_place_that_others_see_is_refused() -> None:
    """Even where frames do not show it: relu_ leaves squares alone."""

    def mutate(m: nn.Module, x: Tensor) -> Tensor:
        x.relu_()
        return x

    def through_a_view(m: nn.Module, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        x.add_(1)
        return flat

    def escaping_fx(m: nn.Module, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        x += 1
        return flat

    def positive(m: nn.Module, x: Tensor) -> Tensor:
        x = x * x
        return F.relu(x, inplace=True) + x

    for function in (mutate, positive):
        with pytest.raises(
            UnsupportedLayer, match=r"its output is changed in place before .* use inplace=False"
        ):
            trace(Functional(function), FRAMES)
    with pytest.raises(UnsupportedLayer, match=r"flatten \(flatten\): its output is changed in place before"):
        trace(Functional(through_a_view), FRAMES)
    with pytest.raises(UnsupportedLayer, match="does not compute what the model computes"):
        trace(Functional(escaping_fx), FRAMES)


def test_a_mutation_in_place_that_nobody_sees_is_fine() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y = F.relu(x)
        y += x
        y *= 0.5
        return y.tanh_()

    assert kinds(trace(Functional(forward), FRAMES)) == ["Conv2d", "ReLU", "Add", "BatchNorm", "Tanh"]


def test_hooks_are_refused() -> None:
    for layer in (nn.ReLU(), nn.Flatten(), nn.Sigmoid()):
        model = chain(nn.Flatten(), layer)
        layer.register_forward_hook(lambda module, inputs, output: output + 1)
        with pytest.raises(UnsupportedLayer, match=r"layer1 \(\w+\): has forward hooks"):
            trace(model, FRAMES)


def test_a_graph_that_computes_something_else_is_refused() -> None:
    """A hook on the whole model escapes torch.fx; comparing outputs does not let it pass."""
    model = chain(nn.Conv2d(1, 1, 3), nn.ReLU())
    model.register_forward_hook(lambda module, inputs, output: output + 1)
    with pytest.raises(UnsupportedLayer, match="does not compute what the model computes"):
        trace(model, FRAMES)


def test_a_difference_after_softmax_is_seen() -> None:
    model = chain(nn.Flatten(), nn.Linear(256, 3), nn.Softmax(1))
    model.register_forward_hook(lambda module, inputs, output: output.flip(1))
    with pytest.raises(UnsupportedLayer, match="does not compute what the model computes"):
        trace(model, FRAMES)


def test_several_inputs_are_refused() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x

    with pytest.raises(UnsupportedLayer, match="takes 2 inputs"):
        trace(Two(), FRAMES)


def test_a_model_without_layers_is_refused() -> None:
    with pytest.raises(UnsupportedLayer, match="Sequential: has no layer that does anything"):
        trace(chain(nn.Identity(), nn.Dropout()), FRAMES)


def test_shapes_that_torch_takes_but_programs_do_not() -> None:
    with pytest.raises(
        UnsupportedLayer, match=r"layer1 \(Linear\): cannot take values of shape \(2, 14, 14\)"
    ):
        trace(chain(nn.Conv2d(1, 2, 3), nn.Linear(14, 1)), FRAMES)
    graph = trace(chain(nn.Flatten(), nn.Linear(256, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)), FRAMES)
    assert isinstance(graph.layers[2], BatchNorm)
    assert graph.shapes[-1] == (1,)
