"""Rewritings of a graph keep the function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from pvcnn.partition.float_graph.fold import activations_first, fold_batch_norms
from pvcnn.partition.float_graph.graph import Activation, Add, Conv2d, FloatGraph, type_name
from pvcnn.partition.torch_import.trace import trace
from tests.partition.networks import chain, smooth_frames, trained
from tests.partition.random_networks import RandomNetwork

FRAMES = smooth_frames(8)


class Joined(nn.Module):
    """Named layers, and `function` of them and the frames."""

    def __init__(self, function: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, **self.layers)


def kinds(graph: FloatGraph) -> list[str]:
    return [type_name(layer) for layer in graph.layers]


def norm(channels: int, negative: bool = False, shift: bool = True) -> nn.BatchNorm2d:
    """With random numbers; `negative`: of its first scale; without `shift`: zero stays zero."""
    layer = nn.BatchNorm2d(channels)
    with torch.no_grad():
        layer.running_mean = torch.randn(channels) * shift
        layer.running_var = torch.rand(channels) + 0.5
        layer.weight.copy_(torch.rand(channels) + 0.5)
        layer.weight[0] *= -1 if negative else 1
        layer.bias.copy_(torch.randn(channels) * shift)
    return layer


def conv(inputs: int, outputs: int, kernel: int = 3, padding: int = 0, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, groups=groups)


def folded(model: nn.Module) -> FloatGraph:
    """`model` traced and folded, which must change nothing on random frames."""
    graph = trace(model.eval(), FRAMES.double())
    result = fold_batch_norms(graph)
    same(graph, result)
    return result


def same(graph: FloatGraph, other: FloatGraph) -> None:
    frames = 2 * torch.randn(5, *graph.input_shape, dtype=torch.float64)
    expected = graph.output(frames)
    scale = float(expected.abs().max())
    assert torch.allclose(other.output(frames), expected, rtol=1e-11, atol=1e-11 * scale)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norms_behind_their_layers(bias: bool, affine: bool) -> None:
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
    assert "BatchNorm" not in kinds(folded(model))


@pytest.mark.parametrize(
    "layers",
    [
        # into the layer behind
        [norm(1, negative=True), conv(1, 2)],
        [conv(1, 4), nn.LeakyReLU(), norm(4, negative=True), conv(4, 6, groups=2)],
        [conv(1, 4), nn.SiLU(), norm(4, negative=True), nn.Flatten(), nn.Linear(784, 1)],
        [conv(1, 4), nn.ReLU(), norm(4, negative=True), nn.AvgPool2d(2), conv(4, 2)],
        [conv(1, 4), nn.ReLU(), norm(4, negative=True), nn.AvgPool2d(2, divisor_override=3), conv(4, 2)],
        [conv(1, 4), nn.ReLU(), norm(4), nn.MaxPool2d(3, 2, 1), conv(4, 2)],
        [conv(1, 4), nn.ReLU(), norm(4, shift=False), conv(4, 2, padding=1)],
        [conv(1, 4), nn.ReLU(), norm(4, True, shift=False), nn.AvgPool2d(3, 1, 1), conv(4, 2, padding=1)],
        [conv(1, 4), nn.ReLU(), norm(4), nn.MaxPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(196, 2)],
        # into the layer before
        [conv(1, 4), nn.MaxPool2d(3, 2, 1), norm(4), nn.ReLU()],
        [conv(1, 4), nn.AvgPool2d(2), norm(4, negative=True), nn.ReLU()],
        [conv(1, 4), nn.AvgPool2d(2, divisor_override=3), norm(4, negative=True), nn.ReLU()],
        [conv(1, 4), nn.AvgPool2d(3, 1, 1), norm(4, True, shift=False), nn.ReLU()],
        [conv(1, 4), norm(4, negative=True), norm(4), nn.MaxPool2d(2), nn.AvgPool2d(2), norm(4), nn.ReLU()],
    ],
)
def test_batch_norms_that_fold(layers: list[nn.Module]) -> None:
    assert "BatchNorm" not in kinds(folded(chain(*layers)))


@pytest.mark.parametrize(
    "layers",
    [
        [norm(1), nn.ReLU()],
        [nn.ReLU(), norm(1)],
        [conv(1, 4), nn.ReLU(), norm(4), conv(4, 2, padding=1)],
        [conv(1, 4), nn.ReLU(), norm(4, negative=True), nn.MaxPool2d(2), conv(4, 2)],
        [conv(1, 4), nn.MaxPool2d(2), norm(4, negative=True), nn.ReLU()],
        [conv(1, 4), nn.AvgPool2d(3, 1, 1), norm(4), nn.ReLU()],
        [conv(1, 4), nn.ReLU(), norm(4), nn.AvgPool2d(3, 1, 1), conv(4, 2)],
        [conv(1, 4), nn.ReLU(), norm(4), nn.Sigmoid(), conv(4, 2)],
    ],
)
def test_batch_norms_that_stay(layers: list[nn.Module]) -> None:
    found = kinds(folded(chain(*layers)))
    assert found.count("BatchNorm") == 1
    assert len(found) == len(layers)


def test_several_batch_norms_become_one() -> None:
    graph = folded(chain(nn.ReLU(), norm(1), norm(1, negative=True), norm(1), nn.ReLU()))
    assert kinds(graph) == ["ReLU", "BatchNorm", "ReLU"]


def test_what_cannot_be_folded_goes_behind_a_pool() -> None:
    """As in the order convolution, LeakyReLU, batch norm, pool, padded convolution."""
    for pool in (nn.MaxPool2d(2), nn.AvgPool2d(2, divisor_override=5)):
        layers = [conv(1, 4), nn.LeakyReLU(), norm(4), pool, conv(4, 2, padding=1)]
        found = kinds(folded(chain(*layers)))
        assert found[3:] == ["BatchNorm", "Conv2d"]
    stays = [conv(1, 4), nn.LeakyReLU(), norm(4, negative=True), nn.MaxPool2d(2), conv(4, 2, padding=1)]
    assert kinds(folded(chain(*stays)))[2] == "BatchNorm"
    no_smaller = [conv(1, 4), nn.LeakyReLU(), norm(4), nn.MaxPool2d(3, 1, 1), conv(4, 2, padding=1)]
    assert kinds(folded(chain(*no_smaller)))[2] == "BatchNorm"


@pytest.mark.parametrize(
    "model",
    [
        # a batch norm of a sum and of concatenated tensors, into the convolutions
        Joined(lambda x, a, b, n: F.relu(n(a(x) - 2 * b(x))), a=conv(1, 4), b=conv(1, 4), n=norm(4, True)),
        Joined(
            lambda x, a, b, n: F.relu(n(torch.cat([a(x), F.max_pool2d(b(x), 3, 1, 1)], 1))),
            a=conv(1, 3),
            b=conv(1, 2),
            n=norm(5),
        ),
        # one batch norm into all layers that take it, by several ways
        Joined(
            lambda x, n, a, b: a(n(F.relu(x))) + b(n(F.relu(x))), n=norm(1, True), a=conv(1, 2), b=conv(1, 2)
        ),
        Joined(
            lambda x, n, a, b: (lambda y: a(y) * b(F.avg_pool2d(y, 3, 1, 0)).mean((2, 3), keepdim=True))(
                n(x)
            ),
            n=norm(1, True),
            a=conv(1, 2),
            b=conv(1, 2),
        ),
        Joined(
            lambda x, n, a: (lambda y: a(torch.cat([y, F.relu(x), F.max_pool2d(y, 3, 1, 1), y], 1)))(n(x)),
            n=norm(1),
            a=conv(4, 2),
        ),
        # each call of a layer is one of its own
        Joined(lambda x, a, n: n(a(x)) + a(x), a=conv(1, 2, padding=1), n=norm(2)),
    ],
)
def test_batch_norms_across_joins(model: nn.Module) -> None:
    assert "BatchNorm" not in kinds(folded(model))


@pytest.mark.parametrize(
    "model",
    [
        Joined(lambda x, a, n: (lambda y: n(y) + F.relu(y))(a(x)), a=conv(1, 2), n=norm(2)),
        Joined(lambda x, a, n: (lambda y: a(y) + y)(n(F.relu(x))), a=conv(1, 1, padding=1), n=norm(1)),
        Joined(lambda x, n: n(F.relu(x)) * x.mean((2, 3), keepdim=True), n=norm(1)),
        Joined(lambda x, a, b, n: F.relu(n(a(x) * b(x))), a=conv(1, 2), b=conv(1, 2), n=norm(2)),
    ],
)
def test_batch_norms_that_others_need_unfolded(model: nn.Module) -> None:
    assert kinds(folded(model)).count("BatchNorm") == 1


def test_a_batch_norm_of_a_weighted_sum() -> None:
    graph = trace(
        Joined(lambda x, a, b, n: F.relu(n(a(x) + b(x))), a=conv(1, 2), b=conv(1, 2), n=norm(2)).eval(),
        FRAMES.double(),
    )
    nodes = [
        replace(node, layer=Add(node.layer.name, (0.25, -3.0))) if isinstance(node.layer, Add) else node
        for node in graph.nodes
    ]
    weighted = replace(graph, nodes=tuple(nodes))
    result = fold_batch_norms(weighted)
    assert kinds(result) == ["Conv2d", "Conv2d", "Add", "ReLU"]
    same(weighted, result)


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed: int) -> None:
    graph = trace(RandomNetwork(seed, 18), torch.randn(2, 2, 12, 12, dtype=torch.float64))
    result = fold_batch_norms(graph)
    same(graph, result)
    same(graph, activations_first(graph))
    same(graph, activations_first(result))
    assert kinds(result).count("BatchNorm") <= kinds(graph).count("BatchNorm")


def test_random_graphs_have_something_to_fold() -> None:
    """Or the test above would say nothing."""
    before = after = raised = 0
    for seed in range(60):
        graph = trace(RandomNetwork(seed, 18), torch.randn(1, 2, 12, 12, dtype=torch.float64))
        result = fold_batch_norms(graph)
        before += kinds(graph).count("BatchNorm")
        after += kinds(result).count("BatchNorm")
        raised += kinds(activations_first(result)) != kinds(result)
    assert before > 3 * after / 2 > 30
    assert raised > 5


def test_layers_keep_their_names_and_notes() -> None:
    model = chain(conv(1, 4), norm(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(1))
    graph = folded(model)
    assert [layer.name for layer in graph.layers] == ["layer0", "layer2", "layer3", "layer4"]
    assert len(graph.notes) == 1
    assert activations_first(graph).notes == graph.notes


def test_activations_move_before_pools_and_flattening() -> None:
    model = chain(conv(1, 3), nn.MaxPool2d(2), nn.Flatten(), nn.ReLU(), nn.Linear(147, 1))
    graph = trace(model, FRAMES.double())
    moved = activations_first(graph)
    assert kinds(moved)[1:4] == ["ReLU", "MaxPool", "Flatten"]
    assert torch.equal(moved.output(FRAMES.double()), graph.output(FRAMES.double()))


def test_activations_move_before_a_concatenation() -> None:
    model = Joined(
        lambda x, a, b: F.relu(torch.cat([a(x), F.max_pool2d(b(x), 3, 1, 1)], 1)).flatten(1),
        a=conv(1, 2),
        b=conv(1, 2),
    )
    graph = trace(model, FRAMES.double())
    moved = activations_first(graph)
    same(graph, moved)
    assert sorted(kinds(moved)[:4]) == ["Conv2d", "Conv2d", "ReLU", "ReLU"]
    assert kinds(moved)[4:] == ["MaxPool", "Concatenate", "Flatten"]
    activations = [layer.name for layer in moved.layers if isinstance(layer, Activation)]
    assert sorted(activations) == ["relu.0", "relu.1"]


@pytest.mark.parametrize(
    "model",
    [
        chain(conv(1, 3), nn.MaxPool2d(2), nn.LeakyReLU(-0.5)),
        chain(conv(1, 3), nn.MaxPool2d(2), nn.SiLU()),
        chain(conv(1, 3), nn.AvgPool2d(2), nn.ReLU()),
        chain(conv(1, 3), nn.Sigmoid(), nn.MaxPool2d(2), nn.ReLU()),
        Joined(lambda x, a: (lambda y: F.relu(F.max_pool2d(y, 3, 1, 1)) + y)(a(x)), a=conv(1, 2)),
        Joined(lambda x, a: (lambda y: F.relu(y) + y)(F.max_pool2d(a(x), 2)), a=conv(1, 2)),
        Joined(lambda x, a: F.relu(torch.cat([a(x), x[:]], 1)), a=conv(1, 2, padding=1)),
    ],
)
def test_activations_that_stay(model: nn.Module) -> None:
    """Decreasing somewhere, behind an average, or where others take what stands between."""
    graph = trace(model, FRAMES.double())
    assert kinds(activations_first(graph)) == kinds(graph)


def test_weights_of_a_folded_layer() -> None:
    """One channel by hand: 2 (3 x + 1) + 5 = 6 x + 7, and 3 (2 x + 5) + 1 = 6 x + 16."""
    convolution, batch_norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0)
    with torch.no_grad():
        convolution.weight.fill_(3)
        convolution.bias = nn.Parameter(torch.ones(1))
        batch_norm.weight.fill_(2)
        batch_norm.bias.fill_(5)
    for layers, bias in (([convolution, batch_norm], 7), ([batch_norm, convolution], 16)):
        (layer,) = folded(chain(*layers)).layers
        assert isinstance(layer, Conv2d)
        assert (float(layer.weight), float(layer.bias)) == (6, bias)
