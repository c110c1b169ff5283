"""Every operator of the subset computes what ONNX's own evaluator computes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import ModelProto, helper

from pvcnn.partition.float_graph.graph import Activation, FloatGraph
from pvcnn.partition.onnx_import.folding import MOVES
from pvcnn.partition.onnx_import.model import MAX_BYTES, MAX_LIST, MAX_SIDE, OPSETS
from pvcnn.partition.onnx_import.operators import OPERATORS
from pvcnn.partition.onnx_import.tensors import MAX_ENTRIES, MAX_RANK
from pvcnn.partition.onnx_import.wire import MAX_DEPTH, MAX_FIELDS, MAX_LOOSE_BYTES
from pvcnn.program.program import MAX_NODES
from tests.partition.onnx_models import SHAPE, Array, imported, integers, model_of, outputs, random, single

CHANNELS = SHAPE[0]
NORM = [random(CHANNELS, seed=seed) for seed in (1, 2, 3)] + [random(CHANNELS, seed=4, least=0.1)]
KERNEL = random(8, CHANNELS, 3, 3)
PER_CHANNEL = random(1, CHANNELS, 1, 1, least=0.2)


def case(operator: str, *constants: Array | None, opset: int = 18, **attributes: Any) -> Any:
    settings = "-".join(f"{name}={value}" for name, value in attributes.items())
    model = single(operator, *constants, opset=opset, **attributes)
    return pytest.param(model, id=f"{operator}-{opset}-{settings}")


SINGLE = [
    case("Conv", KERNEL),
    case("Conv", KERNEL, random(8), kernel_shape=[3, 3], pads=[1, 2, 0, 1], strides=[2, 1]),
    case("Conv", KERNEL, dilations=[2, 2], opset=11),
    case("Conv", random(8, 2, 3, 1), group=2, opset=22),
    case("Conv", random(CHANNELS, 1, 3, 3), group=CHANNELS),
    case("Conv", KERNEL, auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", random(8, CHANNELS, 2, 4), auto_pad="SAME_LOWER"),
    case("Conv", KERNEL, auto_pad="VALID", strides=[2, 1]),
    case("BatchNormalization", *NORM),
    case("BatchNormalization", *NORM, epsilon=0.01, momentum=0.5, opset=15),
    case("Relu"),
    case("LeakyRelu"),
    case("LeakyRelu", alpha=0.25, opset=15),
    case("LeakyRelu", alpha=0.0),
    case("Clip", np.array(0.0), np.array(6.0)),
    case("Clip", np.array(0.0)),
    case("Clip", np.array(0.0), np.array(float(np.finfo(np.float32).max)), opset=11),
    case("Clip", np.array(-0.25), np.array(0.5)),
    case("Sigmoid"),
    case("Tanh"),
    case("HardSwish"),
    case("HardSigmoid"),
    case("HardSigmoid", alpha=1 / 6, beta=0.5),
    case("Elu"),
    case("Elu", alpha=0.5),
    case("Softplus"),
    case("Gelu", opset=20),
    case("Gelu", approximate="tanh", opset=20),
    case("Swish", opset=24),
    case("Swish", alpha=1.0, opset=24),
    case("Pow", np.array(2.0)),
    case("Add", PER_CHANNEL),
    case("Add", np.array(0.5)),
    case("Sub", PER_CHANNEL),
    case("Mul", random(CHANNELS, 1, 1)),
    case("Mul", np.array([-2.0])),
    case("Div", PER_CHANNEL),
    case("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    case("MaxPool", kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[2, 1], opset=11),
    case("MaxPool", kernel_shape=[2, 2], dilations=[2, 3]),
    case("AveragePool", kernel_shape=[2, 3], strides=[2, 2]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    case("AveragePool", kernel_shape=[3, 3], auto_pad="VALID", opset=11),
    case("GlobalAveragePool"),
    case("GlobalMaxPool"),
    case("ReduceMean", axes=[2, 3], keepdims=1, opset=13),
    case("ReduceMean", axes=[-1, -2], keepdims=0, opset=11),
    case("ReduceMean", integers(2, 3), keepdims=0),
    case("Flatten"),
    case("Flatten", axis=-3, opset=22),
    case("Reshape", integers(0, -1)),
    case("Reshape", integers(-1, 168), opset=14),
]


@pytest.mark.parametrize("model", SINGLE)
def test_operator(model: ModelProto, tmp_path: Path) -> None:
    """The two agree in double precision but for attributes, which are of single precision."""
    frames_scale = 1.0 if model.graph.node[0].op_type in ("Conv", "Add") else 8.0
    ours, theirs = outputs(model, tmp_path, spread=frames_scale)
    assert ours.shape == theirs.shape
    assert np.abs(ours).max() > 0.1
    assert np.allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_batch_norm_before_opset_14_is_the_same(tmp_path: Path) -> None:
    """There ONNX's evaluator takes the statistics of the batch, so the later opset is compared with."""
    frames = torch.from_numpy(random(3, *SHAPE))
    earlier, later = (
        imported(single("BatchNormalization", *NORM, opset=opset), tmp_path).output(frames)
        for opset in (11, 15)
    )
    assert torch.equal(earlier, later)


@pytest.mark.parametrize("sizes", [(-1, *SHAPE), (0, 0, 7, -1), (0, *SHAPE)])
def test_a_reshape_to_the_same_shape_is_nothing(sizes: tuple[int, ...], tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["r"]), helper.make_node("Relu", ["r"], ["y"])]
    graph = imported(model_of(nodes, {"s": integers(*sizes)}, opset=25), tmp_path)
    assert [layer.name for layer in graph.layers] == ["y"]


def test_every_operator_is_met_in_these_tests() -> None:
    met = {param.values[0].graph.node[0].op_type for param in SINGLE}
    assert OPERATORS.keys() - met == {
        "Cast",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Dropout",
        "Gemm",
        "Identity",
        "LogSoftmax",
        "MatMul",
        "Pad",
        "Shape",
        "Softmax",
        "Sum",
    }


def dense(*nodes: Any, constants: dict[str, Array], opset: int = 18) -> ModelProto:
    """Nodes from "f", the frames flattened, to "y"."""
    return model_of([helper.make_node("Flatten", ["x"], ["f"]), *nodes], constants, opset=opset)


@pytest.mark.parametrize(
    ("weight", "bias", "attributes"),
    [
        ((168, 5), (5,), {}),
        ((5, 168), (1, 5), {"transB": 1, "alpha": 0.5, "beta": 2.0}),
        ((168, 5), None, {}),
        ((168, 5), (), {}),
    ],
)
def test_gemm(weight: tuple[int, ...], bias: Any, attributes: dict[str, Any], tmp_path: Path) -> None:
    names = ["f", "w"] if bias is None else ["f", "w", "b"]
    constants = {"w": random(*weight)} | ({} if bias is None else {"b": random(*bias)})
    model = dense(helper.make_node("Gemm", names, ["y"], **attributes), constants=constants)
    ours, theirs = outputs(model, tmp_path)
    assert np.allclose(ours, theirs)


def test_matmul_and_its_bias(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["f", "w"], ["p"]), helper.make_node("Add", ["b", "p"], ["y"])]
    ours, theirs = outputs(dense(*nodes, constants={"w": random(168, 5), "b": random(5)}), tmp_path)
    assert np.allclose(ours, theirs)


def test_branches(tmp_path: Path) -> None:
    """Sum, Concat, a gate for channels, a difference of tensors, a constant minus a tensor."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Tanh", ["x"], ["b"]),
        helper.make_node("Sum", ["a", "b", "x"], ["s"]),
        helper.make_node("Sub", ["s", "b"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["g"]),
        helper.make_node("Sigmoid", ["g"], ["gate"]),
        helper.make_node("Mul", ["gate", "d"], ["m"]),
        helper.make_node("Sub", ["one", "m"], ["o"]),
        helper.make_node("Concat", ["o", "x", "b"], ["y"], axis=-3),
    ]
    ours, theirs = outputs(model_of(nodes, {"one": np.array(1.0)}), tmp_path)
    assert ours.shape == (3, 3 * CHANNELS, 7, 6)
    assert np.allclose(ours, theirs)


def test_constants_identities_and_dropout(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["k"], value=helper.make_tensor("", 11, [1], [0.5])),
        helper.make_node("Identity", ["k"], ["c"]),
        helper.make_node("Identity", ["x"], ["i"]),
        helper.make_node("Dropout", ["i", "r", "t"], ["d", "mask"]),
        helper.make_node("Mul", ["d", "c"], ["m"]),
        helper.make_node("Constant", [], ["shape"], value_ints=[0, -1]),
        helper.make_node("Reshape", ["m", "shape"], ["y"]),
    ]
    constants = {"r": np.array(0.5, dtype=np.float32), "t": np.array(False)}
    ours, theirs = outputs(model_of(nodes, constants), tmp_path)
    assert np.allclose(ours, theirs)


@pytest.mark.parametrize(
    ("opset", "extra"),
    [(11, {}), (13, {"v": np.array(0.0)}), (18, {"v": np.array(0.0), "a": integers(3, -2)})],
)
def test_pad_goes_into_the_convolution(opset: int, extra: dict[str, Array], tmp_path: Path) -> None:
    pads = integers(1, 0, 2, 3) if "a" in extra else integers(0, 0, 0, 1, 0, 0, 3, 2)
    constants = {"p": pads, "w": KERNEL, **extra}
    nodes = [
        helper.make_node("Pad", ["x", "p", *extra], ["z"]),
        helper.make_node("Conv", ["z", "w"], ["y"], pads=[1, 0, 0, 0]),
    ]
    ours, theirs = outputs(model_of(nodes, constants, opset=opset), tmp_path)
    assert len(imported(model_of(nodes, constants, opset=opset), tmp_path).nodes) == 1
    assert np.allclose(ours, theirs)


def test_pad_goes_into_the_average(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Pad", ["x", "p"], ["z"]),
        helper.make_node("AveragePool", ["z"], ["y"], kernel_shape=[3, 3]),
    ]
    ours, theirs = outputs(model_of(nodes, {"p": integers(0, 0, 1, 2, 0, 0, 1, 0)}), tmp_path)
    assert np.allclose(ours, theirs)


@pytest.mark.parametrize("settings", [(3, 2, 0), (3, 2, 1), (2, 3, 0), (3, 3, 1)])
def test_ceil_mode_is_torchs(settings: tuple[int, int, int], tmp_path: Path) -> None:
    """ONNX's evaluator has had errors here, so torch is what it is compared with."""
    kernel, stride, padding = settings
    model = single(
        "MaxPool", kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[padding] * 4, ceil_mode=1, opset=22
    )
    frames = torch.from_numpy(random(3, *SHAPE))
    ours = imported(model, tmp_path).output(frames)
    theirs = torch.nn.functional.max_pool2d(frames, kernel, stride, padding, ceil_mode=True)
    assert torch.equal(ours, theirs)


def gated(gate: str, **attributes: Any) -> ModelProto:
    nodes = [helper.make_node(gate, ["x"], ["g"], **attributes), helper.make_node("Mul", ["g", "x"], ["y"])]
    return model_of(nodes, {})


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (gated("Sigmoid"), "silu"),
        (gated("HardSigmoid", alpha=1 / 6), "hardswish"),
        (gated("Identity"), "square"),
    ],
)
def test_products_that_are_activations(model: ModelProto, kind: str, tmp_path: Path) -> None:
    ours, theirs = outputs(model, tmp_path, spread=8)
    assert np.allclose(ours, theirs, atol=1e-6)
    (layer,) = imported(model, tmp_path).layers
    assert isinstance(layer, Activation)
    assert layer.kind == kind


@pytest.mark.parametrize("ending", ["Softmax", "LogSoftmax", "Sigmoid"])
def test_what_ends_a_model_is_left_out_and_noted(ending: str, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gemm", ["f", "w"], ["logits"], name="decision"),
        helper.make_node(ending, ["logits"], ["y"], name="end"),
    ]
    model = dense(*nodes, constants={"w": random(168, 5)})
    ours, theirs = outputs(model, tmp_path)
    assert np.array_equal(ours.argsort(1), theirs.argsort(1))
    assert not np.allclose(ours, theirs)
    graph = imported(model, tmp_path)
    assert [layer.name for layer in graph.layers] == ["f", "decision"]
    (note,) = graph.notes
    assert f"end ({ending}) is left out" in note


def test_a_fixed_batch_may_stand_in_a_reshape(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    model = model_of(nodes, {"s": integers(1, 168)}, shape=(1, *SHAPE))
    assert imported(model, tmp_path).shapes[-1] == (168,)


def test_what_the_output_does_not_need_is_left_out(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonMaxSuppression", ["x"], ["unused"]),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    graph: FloatGraph = imported(model_of(nodes, {}), tmp_path)
    assert [layer.name for layer in graph.layers] == ["y"]


def test_the_documented_operators_are_those_that_are_read() -> None:
    """The table of docs/models.md, and the limits behind it."""
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    section = text[text.index("## ONNX") :]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == OPERATORS.keys()
    moves = section[section.index("Shapes may moreover") : section.index("as lists of at most")]
    assert set(re.findall(r"`(\w+)`", moves)) == MOVES
    assert f"**Opsets** {OPSETS[0]} to {OPSETS[-1]}" in section
    assert (MAX_BYTES, MAX_FIELDS, MAX_LOOSE_BYTES, MAX_DEPTH) == (512 << 20, 1 << 18, 32 << 20, 16)
    assert (MAX_ENTRIES, MAX_RANK, MAX_NODES, MAX_SIDE, MAX_LIST) == (1 << 27, 8, 4096, 1024, 64)
