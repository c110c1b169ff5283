"""Well-formed ONNX models beyond the subset are refused by name, ill-formed ones as such."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from pvcnn.errors import DecodeError, UnsupportedLayer
from tests.partition.onnx_models import (
    SHAPE,
    Array,
    imported,
    integers,
    model_of,
    random,
    single,
)

NORM = [random(4), random(4), random(4), random(4, least=0.1)]
KERNEL = random(8, 4, 3, 3)


def node(operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> NodeProto:
    made: NodeProto = helper.make_node(operator, inputs, outputs, name="it", **attributes)
    return made


def behind(first: NodeProto, *rest: NodeProto, **constants: Array) -> ModelProto:
    return model_of([first, *rest], constants)


RELU = node("Relu", ["x"], ["y"])

UNSUPPORTED: dict[str, tuple[ModelProto, str]] = {
    "unknown operator": (single("LSTM"), r"node \(LSTM\): not supported; supported are Add, "),
    "operator with a remedy": (single("Erf"), r"node \(Erf\): not supported; export with opset 20"),
    "quantised": (single("QuantizeLinear", np.array(1.0)), "pvcnn quantises it"),
    "slice of a tensor": (single("Slice", integers(0), integers(1)), "use two convolutions"),
    "another domain": (
        behind(node("Relu", ["x"], ["y"], domain="com.microsoft")),
        r"operators of com.microsoft",
    ),
    "attribute": (single("Relu", alpha=1.0), "attribute 'alpha' is not supported"),
    "opset 10": (single("Relu", opset=10), "opset 10 is not supported"),
    "opset 26": (single("Relu", opset=26), "opset 26 is not supported"),
    "dynamic height": (model_of([RELU], {}, ("n", 4, "h", 6)), "only the batch may be dynamic"),
    "no height": (model_of([RELU], {}, ("n", 4, None, 6)), "only the batch may be dynamic"),
    "three axes": (model_of([RELU], {}, ("n", 4, 6)), "3 dimensions"),
    "integers": (model_of([RELU], {}, element=TensorProto.INT64), "must be floats"),
    "huge frames": (model_of([RELU], {}, (1, 1 << 40, 4, 4)), "use smaller frames"),
    "wide frames": (model_of([RELU], {}, (1, 1, 2, 5000)), "use smaller frames"),
    "nothing": (behind(node("Identity", ["x"], ["y"])), "its last layer makes of the frames"),
    "constant output": (behind(node("Constant", [], ["y"], value_float=1.0)), "its last layer makes"),
    "first output left out": (behind(node("MaxPool", ["x"], ["", "y"], kernel_shape=[2, 2])), "first output"),
    "second output": (
        behind(node("MaxPool", ["x"], ["p", "i"], kernel_shape=[2, 2]), node("Relu", ["i"], ["y"])),
        "leave masks and indices out",
    ),
    "weights from the frame": (behind(node("Conv", ["x", "x"], ["y"])), "must be a constant"),
    "convolution of sequences": (single("Conv", random(8, 4, 3)), r"weights of the shape \(8, 4, 3\)"),
    "channels": (
        single("Conv", random(8, 3, 3, 3)),
        r"node \(Conv2d\): cannot take values of shape \(4, 7, 6\)",
    ),
    "no window fits": (single("Conv", random(8, 4, 9, 9)), "no window fits"),
    "large kernel": (single("MaxPool", kernel_shape=[256, 1]), "kernel is"),
    "negative padding": (single("Conv", KERNEL, pads=[-1, 0, 0, 0]), "padding is"),
    "no stride": (single("Conv", KERNEL, strides=[0, 1], auto_pad="SAME_UPPER"), "stride is"),
    "one stride": (single("Conv", KERNEL, strides=[1]), "strides is"),
    "window of padding": (single("MaxPool", kernel_shape=[1, 1], pads=[1, 0, 0, 0]), "nothing but padding"),
    "column order": (single("MaxPool", kernel_shape=[2, 2], storage_order=1), "storage_order"),
    "average without padding": (
        single("AveragePool", kernel_shape=[3, 3], pads=[1] * 4),
        "count_include_pad=1",
    ),
    "average beyond the map": (
        single("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        "ceil_mode=0",
    ),
    "spread average": (single("AveragePool", kernel_shape=[2, 2], dilations=[2, 2], opset=22), "no dilation"),
    "mean over channels": (single("ReduceMean", integers(1)), r"means are supported over rows and columns"),
    "mean over everything": (single("ReduceMean"), r"means are supported over rows and columns"),
    "transposed features": (
        behind(node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "w"], ["y"], transA=1), w=random(168, 2)),
        "transA=0",
    ),
    "maps as features": (single("Gemm", random(6, 2)), "put a Flatten before it that makes 6 features"),
    "wrong features": (
        behind(node("Flatten", ["x"], ["f"]), node("MatMul", ["f", "w"], ["y"]), w=random(167, 2)),
        "makes 167 features",
    ),
    "training": (single("BatchNormalization", *NORM, training_mode=1), "eval mode"),
    "dropout in training": (single("Dropout", np.array(0.5), np.array(True)), "eval mode"),
    "other norm": (single("BatchNormalization", *[values[:3] for values in NORM]), "it has 3 channels"),
    "softmax on maps": (single("Softmax"), "last operator alone"),
    "softmax within": (
        behind(node("Flatten", ["x"], ["f"]), node("Softmax", ["f"], ["s"]), node("Relu", ["s"], ["y"])),
        "last operator alone",
    ),
    "softmax over the batch": (
        behind(node("Flatten", ["x"], ["f"]), node("Softmax", ["f"], ["y"], axis=0)),
        "use axis=1",
    ),
    "reflected pad": (single("Pad", integers(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect"), "mode 'constant'"),
    "pad with ones": (
        single("Pad", integers(0, 0, 1, 1, 0, 0, 1, 1), np.array(1.0)),
        "another number than 0",
    ),
    "padded channels": (single("Pad", integers(0, 1, 0, 0, 0, 0, 0, 0)), "pads frames or channels"),
    "cropping pad": (single("Pad", integers(0, 0, -1, 0, 0, 0, 0, 0)), "must be in"),
    "pad at the end": (single("Pad", integers(0, 0, 1, 0, 0, 0, 0, 0)), "its last layer makes"),
    "pad before a maximum": (
        behind(
            node("Pad", ["x", "p"], ["z"]),
            node("MaxPool", ["z"], ["y"], kernel_shape=[2, 2]),
            p=integers(0, 0, 1, 1, 0, 0, 1, 1),
        ),
        "before Conv and AveragePool alone",
    ),
    "flattened batch": (single("Flatten", axis=0), "from axis 1"),
    "flattened maps": (single("Flatten", axis=2), "from axis 1"),
    "reshape of frames": (single("Reshape", integers(-1, 42)), "must make up one frame"),
    "reshape of the batch": (single("Reshape", integers(3, -1)), "must make up one frame"),
    "reshape to maps": (single("Reshape", integers(0, 4, 42)), "only flattening is supported"),
    "reshape to nothing": (single("Reshape", integers(0, -1), allowzero=1), "allowzero=0"),
    "concatenated rows": (behind(node("Concat", ["x", "x"], ["y"], axis=2)), "along channels"),
    "concatenated constant": (
        behind(node("Concat", ["x", "c"], ["y"], axis=1), c=random(1, *SHAPE)),
        "constant",
    ),
    "spread tensor": (
        behind(node("GlobalMaxPool", ["x"], ["g"]), node("Add", ["x", "g"], ["y"])),
        "added tensors must have one shape",
    ),
    "spread constant": (single("Add", random(6)), "one for each of 4 channels"),
    "whole constant": (single("Mul", random(*SHAPE)), "one for each of 4 channels"),
    "constants alone": (
        behind(node("Add", ["c", "c"], ["d"]), node("Add", ["x", "d"], ["y"]), c=random(1)),
        "constant folding",
    ),
    "quotient of tensors": (behind(node("Div", ["x", "x"], ["y"])), "only division by constants"),
    "quotient by zero": (single("Div", np.array(0.0)), "divides by zero"),
    "one bound": (single("Clip", np.array(0.5)), "give both bounds"),
    "bounds out of order": (single("Clip", np.array(1.0), np.array(-1.0)), "give both bounds"),
    "cube": (single("Pow", np.array(3.0)), "exponent must be 2"),
    "other swish": (single("Swish", alpha=2.0, opset=24), "alpha must be 1"),
    "frames of another type": (single("Cast", to=TensorProto.FLOAT16), "in one float type"),
    "a shape of floats": (
        behind(node("Concat", ["c", "c"], ["s"], axis=0), node("Reshape", ["x", "s"], ["y"]), c=random(1)),
        "whole numbers alone",
    ),
    "many layers": (
        model_of([node("Relu", [f"v{i}" if i else "x"], [f"v{i + 1}"]) for i in range(4097)], {}),
        "4097 nodes",
    ),
}


@pytest.mark.parametrize(("model", "message"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_beyond_the_subset(model: ModelProto, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayer, match=message):
        imported(model, tmp_path)


def test_models_with_more_than_layers(tmp_path: Path) -> None:
    graphs = []
    for change in ("input", "output", "sparse", "function", "subgraph"):
        model = behind(node("Relu", ["x"], ["y"]))
        graph = model.graph
        if change == "input":
            graph.input.append(helper.make_tensor_value_info("x2", TensorProto.FLOAT, (1, *SHAPE)))
        elif change == "output":
            graph.output.append(helper.make_tensor_value_info("y2", TensorProto.FLOAT, None))
        elif change == "sparse":
            graph.sparse_initializer.add()
        elif change == "function":
            model.functions.add().name = "Relu"
        else:
            graph.node[0].CopyFrom(node("If", ["x"], ["y"], then_branch=graph, else_branch=graph))
        graphs.append(model)
    messages = ("takes 2 inputs", "gives 2 outputs", "sparse weights", "functions of", "control flow")
    for model, message in zip(graphs, messages, strict=True):
        with pytest.raises(UnsupportedLayer, match=message):
            imported(model, tmp_path)


def relu_attribute(**fields: Any) -> ModelProto:
    model = behind(node("LeakyRelu", ["x"], ["y"], alpha=0.5))
    attribute = model.graph.node[0].attribute[0]
    for name, value in fields.items():
        setattr(attribute, name, value)
    return model


def twice(change: str) -> ModelProto:
    model = single("Conv", KERNEL)
    graph = model.graph
    if change == "attribute":
        graph.node[0].attribute.extend([helper.make_attribute("group", 1)] * 2)
    elif change == "initializer":
        graph.initializer.append(graph.initializer[0])
    elif change == "output":
        graph.node.append(graph.node[0])
    elif change == "opset":
        model.opset_import.append(helper.make_opsetid("", 17))
    return model


MALFORMED: dict[str, tuple[ModelProto, str]] = {
    "cycle": (
        behind(node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])),
        r"it \(Add\): takes 'b', which no node before it makes: a cycle",
    ),
    "own output": (behind(node("Add", ["x", "y"], ["y"])), "takes 'y'"),
    "out of order": (behind(node("Relu", ["a"], ["y"]), node("Relu", ["x"], ["a"])), "out of order"),
    "missing input": (behind(node("Relu", ["nowhere"], ["y"])), "'nowhere'"),
    "no output": (behind(node("Relu", ["x"], ["z"])), "no node makes the model's output 'y'"),
    "node without output": (behind(RELU, node("Relu", ["x"], [])), "makes nothing"),
    "two of one name": (twice("output"), "what another node makes already"),
    "one output twice": (
        behind(node("MaxPool", ["x"], ["y", "y"], kernel_shape=[2, 2])),
        "another node makes",
    ),
    "made frames": (behind(node("Relu", ["x"], ["x"])), "another node makes"),
    "made constant": (behind(node("Relu", ["x"], ["c"]), RELU, c=random(1)), "another node makes"),
    "two initializers": (twice("initializer"), "one that is taken"),
    "two attributes": (twice("attribute"), "two attributes of one name"),
    "two opsets": (twice("opset"), "one version of the operators"),
    "too few inputs": (behind(node("Conv", ["x"], ["y"])), "has 1 inputs, not 2 to 3"),
    "too many inputs": (single("Relu", random(1)), "has 2 inputs"),
    "left out": (behind(node("Conv", ["x", ""], ["y"])), "input 1 is missing"),
    "attribute of another type": (single("LeakyRelu", alpha=1), "attribute alpha is of another type"),
    "no number": (relu_attribute(f=float("nan")), "alpha is not finite"),
    "endless": (relu_attribute(f=float("inf")), "alpha is not finite"),
    "of a function": (relu_attribute(ref_attr_name="a"), "another type"),
    "groups": (single("Conv", KERNEL, group=3), "group is 3"),
    "no groups": (single("Conv", KERNEL, group=0), "group is 0"),
    "another kernel": (single("Conv", KERNEL, kernel_shape=[3, 2]), "kernel_shape"),
    "no kernel": (single("MaxPool"), "kernel_shape"),
    "pads": (single("Conv", KERNEL, pads=[1, 1]), "four numbers"),
    "padded twice": (single("Conv", KERNEL, pads=[1] * 4, auto_pad="VALID"), "both pads and auto_pad"),
    "odd padding": (single("Conv", KERNEL, auto_pad="SAME"), "auto_pad is SAME"),
    "bias": (single("Conv", KERNEL, random(7)), "does not fit 8 outputs"),
    "integers for weights": (single("Conv", integers(1)), "holds no floats"),
    "no weights": (single("Conv", np.zeros((0, 4, 3, 3))), "holds no floats"),
    "short norm": (single("BatchNormalization", *NORM[:3], random(3, least=0.1)), "different lengths"),
    "negative variance": (single("BatchNormalization", *NORM[:3], -NORM[3]), "root of a negative number"),
    "no deviation": (single("BatchNormalization", *NORM[:3], 0 * NORM[3], epsilon=0.0), "divides by 0"),
    "huge weights": (
        behind(
            node("Flatten", ["x"], ["f"]),
            node("Gemm", ["f", "w"], ["y"], alpha=1e30),
            w=1e300 * random(168, 2),
        ),
        "are not finite",
    ),
    "two bounds in one": (single("Clip", random(2)), "must be one number"),
    "no axis": (behind(node("Concat", ["x", "x"], ["y"])), "has no axis"),
    "far axis": (single("Flatten", axis=5), "axis 5 does not exist"),
    "pads for other axes": (single("Pad", integers(1, 1)), "2 pads for the axes"),
    "floats for a shape": (single("Reshape", random(2)), "list of whole numbers"),
    "long shape": (single("Reshape", integers(*range(65))), "short list"),
    "unknown approximation": (single("Gelu", approximate="rough", opset=20), "approximate is rough"),
    "two values": (behind(node("Constant", [], ["c"], value_int=1, value_float=1.0), RELU), "one value"),
    "half a flag": (single("Dropout", np.array(0.5), np.array(0.5)), "true or false"),
    "shapes that do not fit": (
        behind(
            node("Gather", ["c", "i"], ["s"]),
            node("Reshape", ["x", "s"], ["y"]),
            c=integers(0, 1),
            i=integers(7),
        ),
        "cannot be computed of its constants",
    ),
}
MALFORMED["two values"][0].graph.node[1].input[0] = "c"


@pytest.mark.parametrize(("model", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(model: ModelProto, message: str, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=message):
        imported(model, tmp_path)


def weights(**fields: Any) -> ModelProto:
    """A convolution whose weights have other fields than they should."""
    model = single("Conv", KERNEL)
    tensor = model.graph.initializer[0]
    for name, value in fields.items():
        if isinstance(value, list):
            tensor.ClearField(name)
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return model


def listed(*numbers: float) -> ModelProto:
    model = weights(dims=[8, 4, 3, 3], float_data=list(numbers), data_type=TensorProto.FLOAT)
    model.graph.initializer[0].ClearField("raw_data")
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (weights(raw_data=np.full(288, np.nan).tobytes()), "a number is not finite"),
        (weights(raw_data=np.full(288, -np.inf).tobytes()), "a number is not finite"),
        (weights(raw_data=b"\0" * 2300), "has 2300 bytes, not those of 288 numbers"),
        (weights(raw_data=b""), "has 0 bytes"),
        (weights(dims=[8, 4, 3, 1 << 60]), "out of range"),
        (weights(dims=[8, 4, -3, 3]), "out of range"),
        (weights(dims=[1 << 26, 1 << 26, 1, 1]), "more than 134217728 numbers"),
        (weights(dims=[1] * 9), "9 dimensions"),
        (weights(data_type=TensorProto.STRING), "element type STRING is not supported"),
        (weights(data_type=TensorProto.BFLOAT16), "element type BFLOAT16"),
        (weights(data_type=99), "element type 99"),
        (listed(1.0, 2.0), "has 2 numbers, not 288"),
        (listed(*[float("nan")] * 288), "not finite"),
    ],
)
def test_hostile_tensors(model: ModelProto, message: str, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=f"node, input 1: .*{message}"):
        imported(model, tmp_path)


@pytest.mark.parametrize(("kind", "size"), [(np.float16, 2), (np.float32, 4), (np.float64, 8)])
@pytest.mark.parametrize("raw", [True, False])
def test_every_float_type_is_read(kind: type[np.floating[Any]], size: int, raw: bool, tmp_path: Path) -> None:
    values = KERNEL.astype(kind)
    model = single("Conv", KERNEL)
    element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    tensor = numpy_helper.from_array(values, "c0")
    if not raw:
        tensor = helper.make_tensor("c0", element, values.shape, values.reshape(-1))
    model.graph.initializer[0].CopyFrom(tensor)
    assert tensor.HasField("raw_data") is raw
    (layer,) = imported(model, tmp_path).layers
    assert np.array_equal(layer.weight.numpy(), values)  # type: ignore[union-attr]
