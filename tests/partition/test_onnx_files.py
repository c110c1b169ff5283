"""ONNX files as bytes: external data, bounds on what a file may cost, hostile bytes."""

from __future__ import annotations

import subprocess
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, helper

from pvcnn.errors import CampaignError, DecodeError, UnsupportedLayer
from pvcnn.partition.float_graph.draft import Draft
from pvcnn.partition.float_graph.graph import BatchNorm
from pvcnn.partition.onnx_import import model as onnx_model
from pvcnn.partition.onnx_import.tensors import TensorReader
from pvcnn.partition.onnx_import.translate import load_onnx
from pvcnn.partition.onnx_import.values import Translation
from tests.partition.onnx_models import SHAPE, imported, integers, model_of, random, save, single

KERNEL = random(8, 4, 3, 3)
DATA = KERNEL.tobytes()


def external(folder: Path, **place: str) -> ModelProto:
    """A convolution whose weights lie in another file of `folder`, at `place`."""
    model = single("Conv", KERNEL)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
    folder.mkdir(exist_ok=True)
    (folder / "weights").mkdir(exist_ok=True)
    (folder / "weights" / "all.bin").write_bytes(b"before" + DATA + b"behind")
    (folder / "exact.bin").write_bytes(DATA)
    return model


@pytest.mark.parametrize(
    "place",
    [
        {"location": "exact.bin"},
        {"location": "weights/all.bin", "offset": "6", "length": str(len(DATA))},
        {"location": "./exact.bin"},
        {"location": "linked.bin", "checksum": "ignored"},
    ],
)
def test_external_data_in_the_folder(place: dict[str, str], tmp_path: Path) -> None:
    model = external(tmp_path, **place)
    (tmp_path / "linked.bin").symlink_to("exact.bin")
    (layer,) = imported(model, tmp_path).layers
    assert np.array_equal(layer.weight.numpy(), KERNEL)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"location": "../outside.bin"}, "relative path"),
        ({"location": "weights/../../outside.bin"}, "relative path"),
        ({"location": "weights/../exact.bin"}, "relative path"),
        ({"location": "/etc/hostname"}, "relative path"),
        ({"location": "..\\outside.bin"}, "relative path"),
        ({"location": "exact.bin\0"}, "relative path"),
        ({"location": ""}, "relative path"),
        ({}, "relative path"),
        ({"location": "."}, "relative path"),
        ({"location": "weights"}, "relative path"),
        ({"location": "leaving.bin"}, "relative path"),
        ({"location": "leaving/outside.bin"}, "relative path"),
        ({"location": "pipe"}, "relative path"),
        ({"location": "circle"}, "cannot find"),
        ({"location": "missing.bin"}, "cannot find"),
        ({"location": "x" * 5000}, "cannot find"),
        ({"location": "exact.bin", "offset": "1"}, "ends before byte 2305"),
        ({"location": "exact.bin", "offset": "1" * 18}, "ends before byte"),
        ({"location": "exact.bin", "offset": "-8"}, "no number of bytes"),
        ({"location": "exact.bin", "offset": "1e3"}, "no number of bytes"),
        ({"location": "exact.bin", "offset": "9" * 19}, "no number of bytes"),
        ({"location": "exact.bin", "length": "2305"}, "has 2305 bytes, not 2304"),
    ],
)
def test_external_data_elsewhere_is_refused(place: dict[str, str], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model = external(folder, **place)
    (tmp_path / "outside.bin").write_bytes(DATA)
    (folder / "leaving.bin").symlink_to(tmp_path / "outside.bin")
    (folder / "leaving").symlink_to(tmp_path)
    (folder / "circle").symlink_to("circle")
    subprocess.run(["mkfifo", folder / "pipe"], check=True)
    with pytest.raises(DecodeError, match=f"node, input 1: .*{message}"):
        imported(model, folder)


def test_external_data_is_read_once_for_many_layers(tmp_path: Path) -> None:
    """Of one stored tensor there is one array, however many nodes take it."""
    nodes = [helper.make_node("Add", [f"v{i}" if i else "x", "c"], [f"v{i + 1}"]) for i in range(50)]
    model = model_of([*nodes, helper.make_node("Relu", ["v50"], ["y"])], {"c": random(4, 1, 1)})
    path = save(model, tmp_path)
    read: list[str] = []
    original = TensorReader.read

    def counted(self: TensorReader, tensor: TensorProto, what: str) -> object:
        read.append(what)
        return original(self, tensor, what)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TensorReader, "read", counted)
        load_onnx(path)
    assert len(read) == 1


def test_missing_and_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CampaignError, match="nowhere"):
        load_onnx(tmp_path / "nowhere")
    with pytest.raises(CampaignError, match="not a file"):
        load_onnx(tmp_path)
    path = save(single("Conv", KERNEL), tmp_path)
    monkeypatch.setattr(onnx_model, "MAX_BYTES", 100)
    with pytest.raises(DecodeError, match="more than 100 bytes"):
        load_onnx(path)


def test_numbers_in_all_are_bounded(tmp_path: Path) -> None:
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [10], np.ones(10))
    reader = TensorReader(tmp_path, entries_left=25)
    for _ in range(2):
        reader.read(tensor, "t")
    with pytest.raises(DecodeError, match="uses more than"):
        reader.read(tensor, "t")


def test_weights_of_layers_in_all_are_bounded(tmp_path: Path) -> None:
    """A stored tensor that many layers take costs each of them its own weights."""
    model = onnx_model.read_model(save(single("Relu"), tmp_path))
    translation = Translation(model, TensorReader(tmp_path), Draft(SHAPE), {}, entries_left=20)
    layer = BatchNorm("norm", torch.ones(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64))
    for _ in range(2):
        translation.add(layer, 0)
    with pytest.raises(UnsupportedLayer, match=r"norm: layers have more than"):
        translation.add(layer, 0)


def packed(number: int, payload: bytes) -> bytes:
    """A field of that number that has a length."""
    length, octets = len(payload), b""
    while length > 127:
        octets, length = octets + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + octets + bytes([length]) + payload


def nested(levels: int) -> bytes:
    """A graph in an attribute of a node of a graph, and so on."""
    graph = b""
    for _ in range(levels):
        graph = packed(1, packed(5, packed(6, graph)))
    return packed(7, graph)


BOMBS = {
    "many nodes": (packed(7, packed(1, b"") * (1 << 19)), "more than 262144 fields"),
    "many inputs": (packed(7, packed(1, packed(1, b"") * (1 << 19))), "more than 262144 fields"),
    "many names": (packed(7, packed(1, packed(1, b"a" * (1 << 25) + b"b"))), "33554432 bytes of numbers"),
    "many small numbers": (packed(7, packed(5, packed(7, b"\1" * (1 << 26)))), "33554432 bytes of numbers"),
    "deep graphs": (nested(2000), "more than 16 levels"),
    "many graphs": (packed(7, b"") * (1 << 19), "more than 262144 fields"),
}


@pytest.mark.parametrize(("data", "message"), BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_before_they_are_parsed(
    data: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_model, "ModelProto", pytest.fail)
    monkeypatch.setattr(pytest.fail, "DESCRIPTOR", ModelProto.DESCRIPTOR, raising=False)
    path = tmp_path / "bomb.onnx"
    path.write_bytes(data)
    started = time.monotonic()
    with pytest.raises(DecodeError, match=message):
        load_onnx(path)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08",
        b"\x08" + b"\xff" * 20,
        b"\x3a\x7f",
        b"\x3b\x3c",  # a group
        b"\x0f",  # a wire type that does not exist
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # a graph of 2^63 bytes
        b"\x09\x00",  # eight bytes, cut short
        b"PK\x03\x04" + bytes(100),  # torch's own format
        packed(7, packed(2, b"\xff\xfe")),
    ],
)
def test_other_bytes(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    with pytest.raises(DecodeError):
        load_onnx(path)


@pytest.mark.parametrize(
    "where", ["input", "operator", "node", "initializer", "attribute", "domain", "value"]
)
def test_names_that_are_no_text(where: str, tmp_path: Path) -> None:
    model = single("LeakyRelu", alpha=0.5)
    stand_in = "\x01\x02\x03\x04\x05\x06\x07"
    graph = model.graph
    if where == "input":
        graph.input[0].name = stand_in
    elif where == "operator":
        graph.node[0].op_type = stand_in
    elif where == "node":
        graph.node[0].name = stand_in
    elif where == "initializer":
        graph.initializer.add(name=stand_in)
    elif where == "attribute":
        graph.node[0].attribute[0].name = stand_in
    elif where == "domain":
        graph.node[0].domain = stand_in
    else:
        graph.node[0].input[0] = stand_in
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString().replace(stand_in.encode(), b"\xff" * 7))
    with pytest.raises(DecodeError, match="not UTF-8"):
        load_onnx(path)


def test_hostile_names_are_not_printed(tmp_path: Path) -> None:
    node = helper.make_node("Erf", ["x"], ["y"], name="\x1b[31m" + "x" * 1000)
    with pytest.raises(UnsupportedLayer) as refused:
        imported(model_of([node], {}), tmp_path)
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 400


def victim() -> ModelProto:
    """A little of everything."""
    nodes = [
        helper.make_node("Pad", ["x", "zeros"], ["v0"]),
        helper.make_node("Conv", ["v0", "w"], ["v1"], strides=[2, 2], auto_pad="SAME_UPPER"),
        helper.make_node("BatchNormalization", ["v1", *"nopq"], ["v2"]),
        helper.make_node("LeakyRelu", ["v2"], ["v3"], alpha=0.25),
        helper.make_node("MaxPool", ["v3"], ["v4"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1),
        helper.make_node("Add", ["v4", "b"], ["v5"]),
        helper.make_node("Concat", ["v5", "v4"], ["v6"], axis=1),
        helper.make_node("Shape", ["v6"], ["s0"]),
        helper.make_node("Gather", ["s0", "i"], ["s1"]),
        helper.make_node("Concat", ["s1", "m"], ["s2"], axis=0),
        helper.make_node("Reshape", ["v6", "s2"], ["v7"]),
        helper.make_node("Gemm", ["v7", "g"], ["v8"], transB=1),
        helper.make_node("Softmax", ["v8"], ["y"]),
    ]
    constants = {
        "zeros": integers(0, 0, 1, 0, 0, 0, 0, 1),
        "w": random(6, 4, 3, 3),
        **{name: random(6, seed=seed, least=0.1) for seed, name in enumerate("nopq")},
        "b": random(6, 1, 1),
        "i": integers(0),
        "m": integers(-1),
        "g": random(3, 192),
    }
    return model_of(nodes, constants)


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    """600 files, each with a few bytes flipped, cut out, doubled or set, mostly outside of the weights."""
    model = victim()
    path = save(model, tmp_path)
    whole = path.read_bytes()
    load_onnx(path)
    weights = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    structure = [i for i in range(len(whole)) if i < 700 or i > len(whole) - 200 or i % 8 == 0]
    assert len(structure) > 900
    assert weights > 2000
    generator = np.random.default_rng(0)
    read = 0
    started = time.monotonic()
    for _ in range(600):
        mutated = bytearray(whole)
        for _ in range(generator.integers(1, 4)):
            place = int(generator.choice(structure)) % len(mutated)
            end = place + int(generator.integers(1, 9))
            match generator.integers(0, 4):
                case 0:
                    mutated[place] ^= 1 << int(generator.integers(0, 8))
                case 1:
                    del mutated[place:end]
                case 2:
                    mutated[place:place] = mutated[place:end]
                case _:
                    mutated[place] = int(generator.choice([0, 1, 127, 128, 255]))
        path.write_bytes(mutated)
        try:
            load_onnx(path)
            read += 1
        except (DecodeError, UnsupportedLayer):
            continue
    assert time.monotonic() - started < 30
    assert 20 < read < 580, read


def test_claimed_weights_are_not_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2^27 numbers, which the file does not hold, would take a gigabyte."""
    model = single("Conv", KERNEL)
    tensor = model.graph.initializer[0]
    tensor.ClearField("dims")
    tensor.dims.extend([1 << 18, 4, 8, 16])
    path = save(model, tmp_path)
    monkeypatch.setattr(onnx_model, "MAX_BYTES", 1 << 20)  # reading sets as much aside
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="has 2304 bytes, not those of 134217728 numbers"):
            load_onnx(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
