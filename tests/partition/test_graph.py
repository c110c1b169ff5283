"""Float graphs: what they refuse, which values they keep, and their layers."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.float_graph.draft import Draft
from pvcnn.partition.float_graph.graph import (
    FRAMES,
    Activation,
    Add,
    AveragePool,
    BatchNorm,
    Concatenate,
    Conv2d,
    Flatten,
    FloatGraph,
    FloatLayer,
    FloatNode,
    Linear,
    MaxPool,
    Multiply,
    apply,
    output_shape,
    type_name,
)
from pvcnn.program.layers import Shape
from pvcnn.program.windows import Windows


def convolution(name: str = "c", channels: int = 1, filters: int = 2) -> Conv2d:
    weight = torch.ones(filters, channels, 3, 3, dtype=torch.float64)
    return Conv2d(name, weight, torch.zeros(filters, dtype=torch.float64), Windows.square(3, 1, 1))


def relu(name: str) -> Activation:
    return Activation(name, "relu")


def residual() -> FloatGraph:
    """Frames, c, r(c), c + 2 r."""
    return FloatGraph(
        (1, 4, 4),
        (
            FloatNode(convolution(), (FRAMES,)),
            FloatNode(relu("r"), (1,)),
            FloatNode(Add("a", (1.0, 2.0)), (1, 2)),
        ),
    )


def test_a_residual_graph() -> None:
    graph = residual()
    frames = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    first, second, third = graph.evaluate(frames)
    assert torch.equal(second, first.relu())
    assert torch.equal(third, first + 2 * second)
    assert torch.equal(graph.output(frames), third)
    assert graph.shapes == ((1, 4, 4), (2, 4, 4), (2, 4, 4), (2, 4, 4))
    assert graph.consumers == ((0,), (1, 2), (2,), ())
    assert [graph.sole_consumer(index) for index in range(3)] == [None, 2, None]


def test_a_node_that_takes_a_value_twice_is_no_sole_consumer() -> None:
    graph = FloatGraph((2,), (FloatNode(relu("r"), (0,)), FloatNode(Add("a", (1.0, 1.0)), (1, 1))))
    assert graph.consumers[1] == (1, 1)
    assert graph.sole_consumer(0) is None


def test_values_are_forgotten_behind_their_last_use() -> None:
    graph = FloatGraph.chain((2,), [relu("a"), relu("b"), relu("c")])
    outputs = graph.evaluate(torch.ones(1, 2, dtype=torch.float64))
    first = weakref.ref(next(outputs))
    next(outputs)
    gc.collect()
    assert first() is None


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((), "at least one layer"),
        ((FloatNode(relu("r"), (0,)), FloatNode(relu("r"), (1,))), "names must differ"),
        ((FloatNode(relu("r"), (0, 0)),), "r: takes 1 to 1 inputs, not 2"),
        ((FloatNode(Add("a", (1.0, 1.0)), (0,)),), "a: takes 2 to 2 inputs, not 1"),
        ((FloatNode(relu("r"), (1,)),), "r: takes the values .* not all made before"),
        ((FloatNode(relu("r"), (-1,)),), "r: takes the values"),
        ((FloatNode(relu("r"), (0,)), FloatNode(relu("s"), (0,))), "r: no layer takes what this makes"),
    ],
)
def test_graphs_that_are_none(nodes: tuple[FloatNode, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FloatGraph((2,), nodes)


def eye(size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (
            convolution(),
            [(2, 4, 4)],
            r"c \(Conv2d\): cannot take values of shape \(2, 4, 4\): it has 1 channels",
        ),
        (convolution(), [(16,)], r"shape \(16,\)"),
        (Linear("l", eye(3), eye(3)[0]), [(3, 1, 1)], r"l \(Linear\).*put a Flatten before it that makes 3"),
        (BatchNorm("b", eye(3)[0], eye(3)[0]), [(2, 4, 4)], r"b \(BatchNorm\).*3 channels"),
        (MaxPool("m", Windows.disjoint(2)), [(4,)], r"m \(MaxPool\).*need channels, height and width"),
        (MaxPool("m", Windows.disjoint(5)), [(1, 4, 4)], "no window fits; use a smaller kernel"),
        (MaxPool("m", Windows.square(1, 2, 1)), [(1, 2, 2)], "nothing but padding; pad less"),
        (AveragePool("p", Windows.square(2, dilation=2), 4), [(1, 4, 4)], "no dilation"),
        (Add("a", (1.0, 1.0)), [(2, 4, 4), (2, 4, 5)], r"\(2, 4, 4\) and \(2, 4, 5\): added tensors"),
        (Multiply("m"), [(2, 4, 4), (1, 4, 4)], "one number for each channel"),
        (Concatenate("k"), [(2, 4, 4), (2, 4, 5)], "number of channels alone"),
    ],
)
def test_shapes_that_do_not_fit(layer: FloatLayer, shapes: list[Shape], message: str) -> None:
    with pytest.raises(UnsupportedLayer, match=message):
        output_shape(layer, *shapes)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (convolution(), [(1, 4, 5)]),
        (MaxPool("m", Windows((3, 2), (2, 1), (1, 0, 0, 1), (1, 2))), [(3, 6, 7)]),
        (AveragePool("p", Windows((3, 2), (2, 1), (1, 0, 0, 1)), 5), [(3, 6, 7)]),
        (Multiply("m"), [(2, 4, 4), (2, 1, 1)]),
        (Multiply("m"), [(7,), (7,)]),
        (Concatenate("k"), [(2, 4, 4), (3, 4, 4), (1, 4, 4)]),
        (Flatten("f"), [(2, 3, 4)]),
        (BatchNorm("b", eye(3)[0], eye(3)[0]), [(3,)]),
        (Add("a", (1.0, -2.0, 0.5)), [(5,)] * 3),
    ],
    ids=repr,
)
def test_stated_shapes_are_those_of_outputs(layer: FloatLayer, shapes: list[Shape]) -> None:
    inputs = [torch.randn(2, *shape, dtype=torch.float64) for shape in shapes]
    output = apply(layer, *inputs)
    assert output.shape == (2, *output_shape(layer, *shapes))
    assert torch.isfinite(output).all()
    assert "tensor" not in repr(layer)


def test_padding_of_a_maximum_does_not_count() -> None:
    frames = -torch.ones(1, 1, 2, 2, dtype=torch.float64)
    assert (apply(MaxPool("m", Windows.square(2, 1, 1)), frames) == -1).all()


def test_activations_say_what_they_are() -> None:
    assert type_name(Activation("a", "leaky_relu", 0.1)) == "LeakyReLU"
    assert type_name(convolution()) == "Conv2d"
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    kinds = {
        "identity": 0.0, "square": 0.0, "relu": 0.0, "relu6": 0.0, "sigmoid": 0.0, "tanh": 0.0, "silu": 0.0,
        "gelu": 0.0, "gelu_tanh": 0.0, "hardswish": 0.0, "hardsigmoid": 0.0, "leaky_relu": 0.2, "elu": 1.5,
        "softplus": 2.0,
    }  # fmt: skip
    activations = [Activation("a", kind, parameter) for kind, parameter in kinds.items()]  # type: ignore[arg-type]
    activations += [Activation("a", "leaky_relu", -0.2), Activation("a", "hardtanh", -0.5, 2.0)]
    for activation in activations:
        y = activation.function(x)
        assert activation.nondecreasing == bool((y.diff() >= 0).all()), activation
        scaled = torch.allclose(activation.function(3 * x), 3 * y, rtol=1e-12, atol=1e-12)
        assert activation.positively_homogeneous == scaled, activation


def test_a_draft_drops_what_the_output_does_not_need() -> None:
    draft = Draft((2,))
    used = draft.add(relu("r"), FRAMES)
    draft.add(relu("unused"), used)
    draft.output = draft.add(relu("r"), used)
    assert [layer.name for layer in draft.finish().layers] == ["r", "r-2"]


def test_a_draft_swaps_neighbours() -> None:
    draft = Draft((1, 2, 2))
    pool = draft.add(MaxPool("m", Windows.disjoint(2)), FRAMES)
    bend = draft.add(relu("r"), pool)
    draft.output = draft.add(relu("s"), bend)
    draft.swap(pool, bend)
    graph = draft.finish()
    assert [layer.name for layer in graph.layers] == ["r", "m", "s"]
    assert graph.shapes == ((1, 2, 2), (1, 2, 2), (1, 1, 1), (1, 1, 1))
