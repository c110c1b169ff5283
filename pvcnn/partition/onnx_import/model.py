"""An ONNX file as plain data: one input, one output, nodes in order, constants."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from pvcnn import files
from pvcnn.errors import DecodeError, UnsupportedLayer
from pvcnn.partition.onnx_import.wire import check_cost
from pvcnn.program.layers import Shape
from pvcnn.program.program import MAX_ENTRIES, MAX_NODES

MAX_BYTES = 1 << 29
#: Opsets whose operators are read as their specification has them.
OPSETS = range(11, 26)
#: Rows and columns of any value.
MAX_SIDE = 1024
#: Entries of an attribute.
MAX_LIST = 64
_DOMAINS = ("", "ai.onnx")
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)


@dataclass(frozen=True)
class Node:
    """An operator on values by name, "" for one that is left out. `name` is for messages and layers."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, AttributeProto] = field(repr=False)
    opset: int

    def refuse(self, reason: str) -> UnsupportedLayer:
        """The error for a node that the file may well have, but pvcnn cannot represent."""
        return UnsupportedLayer(f"{self.name} ({self.operator}): {reason}")

    def malformed(self, reason: str) -> DecodeError:
        """The error for a node that ONNX does not allow."""
        return DecodeError(f"{self.name} ({self.operator}): {reason}")

    def integer(self, name: str, default: int) -> int:
        return int(self._attribute(name, AttributeProto.INT, "i", default))

    def floating(self, name: str, default: float) -> float:
        """A finite number."""
        value = float(self._attribute(name, AttributeProto.FLOAT, "f", default))
        if not math.isfinite(value):
            raise self.malformed(f"{name} is not finite")
        return value

    def text(self, name: str, default: str) -> str:
        value = self._attribute(name, AttributeProto.STRING, "s", default.encode())
        return printable(value.decode(errors="replace") if isinstance(value, bytes) else value)

    def integers(self, name: str) -> tuple[int, ...] | None:
        """None if there is no such attribute."""
        values = self._attribute(name, AttributeProto.INTS, "ints", None)
        if values is not None and len(values) > MAX_LIST:
            raise self.malformed(f"{name} has more than {MAX_LIST} entries")
        return None if values is None else tuple(values)

    def tensor(self, name: str) -> TensorProto | None:
        """None if there is no such attribute."""
        tensor: TensorProto | None = self._attribute(name, AttributeProto.TENSOR, "t", None)
        return tensor

    def axis(self, axis: int, rank: int) -> int:
        """The axis of a tensor of so many axes, counted from the end if negative, in [0, rank)."""
        if not -rank <= axis < rank:
            raise self.malformed(f"axis {axis} does not exist: there are {rank}")
        return axis % rank

    def _attribute(self, name: str, kind: int, held_in: str, default: Any) -> Any:
        attribute = self.attributes.get(name)
        if attribute is None:
            return default
        if attribute.type != kind or attribute.ref_attr_name:
            raise self.malformed(f"attribute {name} is of another type than ONNX has for it")
        return getattr(attribute, held_in)


@dataclass(frozen=True)
class OnnxModel:
    """`batch` is the number of frames if the file fixes one. `constants` are tensors as they are stored."""

    frames: str
    input_shape: Shape
    batch: int | None
    output: str
    nodes: tuple[Node, ...]
    constants: dict[str, TensorProto] = field(repr=False)


def read_model(path: Path) -> OnnxModel:
    """The model in the file.

    Raises DecodeError for bytes that are no ONNX model, UnsupportedLayer for a model that is not of the
    subset (docs/models.md, "ONNX"), CampaignError for a file that cannot be read.
    """
    data = files.read_bounded(path, MAX_BYTES)
    check_cost(data, ModelProto.DESCRIPTOR)
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except ProtobufError as error:
        raise DecodeError(f"{path.name}: not an ONNX file") from error
    return _graph(model.graph, _opset(model))


def _opset(model: ModelProto) -> int:
    versions = {entry.version for entry in model.opset_import if entry.domain in _DOMAINS}
    if not model.HasField("graph") or len(versions) != 1:
        raise DecodeError("not an ONNX model: it has no graph, or not one version of the operators")
    (version,) = versions
    if version not in OPSETS:
        raise UnsupportedLayer(
            f"opset {version} is not supported: export with one of {OPSETS[0]} to {OPSETS[-1]}, such as 18"
        )
    if model.functions:
        raise UnsupportedLayer("functions of the model's own are not supported: export without them")
    return int(version)


def _graph(graph: GraphProto, opset: int) -> OnnxModel:
    if graph.sparse_initializer:
        raise UnsupportedLayer("sparse weights are not supported: save them as dense tensors")
    constants: dict[str, TensorProto] = {}
    for tensor in graph.initializer:
        name = _name(tensor.name)
        if not name or name in constants:
            raise DecodeError(f"the initializer {printable(name)!r} has no name, or one that is taken")
        constants[name] = tensor
    inputs = [entry for entry in graph.input if entry.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise UnsupportedLayer(
            f"the model takes {len(inputs)} inputs and gives {len(graph.output)} outputs: export it with "
            "the frames as its only input and the logits as its only output"
        )
    batch, shape = _frame_shape(inputs[0])
    if len(graph.node) > MAX_NODES:
        raise UnsupportedLayer(f"the model has {len(graph.node)} nodes, more than {MAX_NODES}")
    nodes = tuple(_node(node, place, opset) for place, node in enumerate(graph.node))
    model = OnnxModel(_name(inputs[0].name), shape, batch, _name(graph.output[0].name), nodes, constants)
    _check_names(model)
    return model


def _frame_shape(frames: ValueInfoProto) -> tuple[int | None, Shape]:
    """The fixed number of frames, or None, and the shape of one."""
    described = frames.type.tensor_type
    if described.elem_type not in _FLOATS or not described.HasField("shape"):
        raise UnsupportedLayer("the frames must be floats of a known shape")
    dims = described.shape.dim
    if len(dims) != 4:
        raise UnsupportedLayer(
            f"the frames have {len(dims)} dimensions: export with (batch, channels, height, width)"
        )
    sides = tuple(int(dim.dim_value) if dim.HasField("dim_value") else 0 for dim in dims)
    batch, shape = sides[0], sides[1:]
    if min(shape) < 1:
        raise UnsupportedLayer("channels, height and width must be fixed: only the batch may be dynamic")
    check_size("the frames", shape)
    return batch if batch > 0 else None, shape


def check_size(where: str, shape: Shape) -> None:
    """Raises UnsupportedLayer for a value that no program could hold."""
    if math.prod(shape) > MAX_ENTRIES or any(side > MAX_SIDE for side in shape[1:]):
        raise UnsupportedLayer(
            f"{where}: the shape {shape} has more than {MAX_ENTRIES} entries or {MAX_SIDE} rows or columns; "
            "use smaller frames"
        )


def _node(node: NodeProto, place: int, opset: int) -> Node:
    inputs, outputs = (tuple(map(_name, names)) for names in (node.input, node.output))
    operator = printable(_name(node.op_type)) or "nothing"
    name = printable(_name(node.name) or next(filter(None, outputs), "")) or f"node{place}"
    attributes = {_name(attribute.name): attribute for attribute in node.attribute}
    made = Node(name, operator, inputs, outputs, attributes, opset)
    if len(attributes) != len(node.attribute):
        raise made.malformed("has two attributes of one name")
    if _name(node.domain) not in _DOMAINS:
        raise made.refuse(f"operators of {printable(node.domain)} are not supported; use those of ONNX")
    return made


def _check_names(model: OnnxModel) -> None:
    """Every value is made once and before it is taken: no cycle, nothing missing, nothing ambiguous."""
    made = {model.frames, *model.constants}
    for node in model.nodes:
        missing = [name for name in node.inputs if name and name not in made]
        if missing:
            raise node.malformed(
                f"takes {printable(missing[0])!r}, which no node before it makes: a cycle, or out of order"
            )
        outputs = [name for name in node.outputs if name]
        if not outputs or made & set(outputs) or len(set(outputs)) != len(outputs):
            raise node.malformed("makes nothing, or what another node makes already")
        made.update(outputs)
    if model.output not in made or not model.frames:
        raise DecodeError(f"no node makes the model's output {printable(model.output)!r}")


def _name(text: object) -> str:
    """Strings that are not UTF-8 reach Python as bytes."""
    if not isinstance(text, str):
        raise DecodeError("a name is not UTF-8: not an ONNX file")
    return text


def printable(text: str) -> str:
    """For messages, and for names of layers: printable ASCII without spaces, not long."""
    return re.sub(r"[^!-~]", "_", text[:180])
