"""Published weights: the file, and the digest that keys name them by."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from pvcnn.errors import CampaignError, DecodeError
from pvcnn.program.layers import Convolution, Flatten, Linear, Requantise, Sign
from pvcnn.program.program import Program
from pvcnn.program.published import decode_published, encode_published, load_published, save_published
from pvcnn.program.weights import PUBLISHED_BLINDING, Weights
from pvcnn.program.windows import Windows
from tests.qmp.graphs import GRAPHS
from tests.qmp.programs import leaky_table, random_weights


def program(features: int = 4) -> Program:
    """Weights and biases of all widths, and a layer without biases."""
    table = leaky_table(12, 0)
    layers = (
        Convolution("conv", 1, 2, Windows.square(3, 1, 1), 8, 40),
        Requantise("act", 4, table),
        Flatten("flatten"),
        Linear("hidden", 2 * features, 3, 12, 0),
        Requantise("hidden-act", 12, table),
        Linear("head", 3, 1, 3, 20),
        Sign("decision"),
    )
    return Program.chain((1, 2, features // 2), -8, 7, layers)


@pytest.fixture
def weights() -> Weights:
    return random_weights(program(), 5, 4, 8)


def equal(left: Weights, right: Weights) -> bool:
    return left.program == right.program and bool((left.flat() == right.flat()).all())


def test_round_trip(weights: Weights, tmp_path: Path) -> None:
    data = encode_published(weights)
    decoded = decode_published(weights.program, data)
    assert equal(decoded, weights)
    assert decoded.blinding == PUBLISHED_BLINDING
    assert encode_published(decoded) == data
    save_published(tmp_path / "weights.safetensors", weights)
    assert (tmp_path / "weights.safetensors").read_bytes() == data
    assert equal(load_published(weights.program, tmp_path / "weights.safetensors"), weights)


@pytest.mark.parametrize("name", GRAPHS)
def test_round_trip_of_graphs(name: str) -> None:
    drawn = random_weights(GRAPHS[name](), 6, 4, 8)
    assert equal(decode_published(drawn.program, encode_published(drawn)), drawn)


def test_any_reader_of_safetensors_understands_it(weights: Weights, tmp_path: Path) -> None:
    save_published(tmp_path / "weights.safetensors", weights)
    tensors = safetensors.numpy.load_file(tmp_path / "weights.safetensors")
    assert tensors.keys() == {"conv.weight", "conv.bias", "hidden.weight", "head.weight", "head.bias"}
    for layer in ("conv", "hidden", "head"):
        assert (tensors[f"{layer}.weight"] == weights.weight[layer]).all()
        assert f"{layer}.bias" not in tensors or (tensors[f"{layer}.bias"] == weights.bias[layer]).all()
    kinds = {name: tensor.dtype.itemsize for name, tensor in tensors.items()}
    assert kinds == {"conv.weight": 1, "conv.bias": 8, "hidden.weight": 2, "head.weight": 1, "head.bias": 4}
    with safetensors.safe_open(tmp_path / "weights.safetensors", framework="numpy") as stored:
        assert stored.metadata() == {
            "format": "pvcnn-published-weights",
            "version": "1",
            "program": weights.program.digest().hex(),
        }


def test_the_digest_needs_nothing_but_the_file(weights: Weights) -> None:
    """As docs/formats.md says, with NumPy and the standard library alone."""
    data = encode_published(weights)
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    flat = []
    for name, tensor in header.items():  # in the order of the file
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            kind = f"<i{int(tensor['dtype'][1:]) // 8}"
            flat.append(np.frombuffer(data[start + begin : start + end], kind).astype("<i8"))
    items = (
        b"pvcnn/published-weights",
        bytes.fromhex(header["__metadata__"]["program"]),
        np.concatenate(flat).tobytes(),
    )
    hashed = hashlib.sha256(b"".join(len(item).to_bytes(8, "little") + item for item in items))
    assert hashed.digest() == weights.published_digest()


def test_the_digest_depends_on_every_weight_and_on_the_program(weights: Weights) -> None:
    seen = {weights.published_digest()}
    for arrays in (weights.weight, weights.bias):
        for name, values in arrays.items():
            for position in np.ndindex(*values.shape):
                changed = {key: array.copy() for key, array in arrays.items()}
                changed[name][position] += 1 if changed[name][position] < 1 else -1
                parts = {"weight": weights.weight, "bias": weights.bias}
                parts["weight" if arrays is weights.weight else "bias"] = changed
                seen.add(Weights(weights.program, **parts, blinding=1).published_digest())
    assert len(seen) == 1 + len(weights.flat())
    renamed = Program.chain(
        weights.program.input_shape, -8, 8, [node.layer for node in weights.program.nodes]
    )
    assert Weights(renamed, weights.weight, weights.bias, 1).published_digest() not in seen
    other_blinding = Weights(weights.program, weights.weight, weights.bias, 77)
    assert other_blinding.published_digest() == weights.published_digest()


class TestHostileBytes:
    def test_header_and_length(self, weights: Weights) -> None:
        data = encode_published(weights)
        header = 8 + int.from_bytes(data[:8], "little")
        for position in range(header):
            flipped = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
            with pytest.raises(DecodeError):
                decode_published(weights.program, flipped)
        for wrong in (b"", data[:7], data[:header], data[:-1], data + b"\0", data[: header // 2]):
            with pytest.raises(DecodeError):
                decode_published(weights.program, wrong)
        with pytest.raises(DecodeError):
            decode_published(weights.program, 7)  # type: ignore[arg-type]

    def test_another_program(self, weights: Weights) -> None:
        with pytest.raises(DecodeError, match="not weights of this program"):
            decode_published(program(6), encode_published(weights))

    def test_weights_out_of_range(self, weights: Weights) -> None:
        """Three bits in a byte leave room for values that the program does not allow."""
        data = bytearray(encode_published(weights))
        data[-1] = 100
        with pytest.raises(DecodeError, match=r"head.*100"):
            decode_published(weights.program, bytes(data))

    def test_files(self, weights: Weights, tmp_path: Path) -> None:
        with pytest.raises(CampaignError, match="cannot read"):
            load_published(weights.program, tmp_path / "none.safetensors")
        path = tmp_path / "weights.safetensors"
        path.write_bytes(encode_published(weights) + b"\0")
        with pytest.raises(DecodeError, match="bytes"):
            load_published(weights.program, path)
