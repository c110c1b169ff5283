"""Published weights as a safetensors file, which any reader of that format understands.

The file is the length of the header (8 bytes, little-endian), the header (JSON, padded with spaces so that
the data starts at a multiple of 64), and the tensors, those of the widest integers first. The header lists
`<layer>.weight` and `<layer>.bias` in the order of `Weights.flat`. Everything but the integers follows from
the program, so a reader that has it parses nothing: it compares.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from pvcnn.errors import CampaignError, DecodeError
from pvcnn.files import write_atomically
from pvcnn.program.layers import Shape
from pvcnn.program.program import Program
from pvcnn.program.weights import PUBLISHED_BLINDING, Integers, Weights, bias_shape, storage

FORMAT: Final = "pvcnn-published-weights"
VERSION: Final = 1
_ALIGNMENT: Final = 64
_LENGTH_BYTES: Final = 8


@dataclass(frozen=True)
class _Tensor:
    """One array of the file; `offset` in bytes from the end of the header."""

    layer: str
    what: str
    shape: Shape
    dtype: np.dtype[Any]
    offset: int = 0

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def end(self) -> int:
        return self.offset + self.bytes


def encode_published(weights: Weights) -> bytes:
    """The file of these weights, for everybody to read."""
    tensors = _tensors(weights.program)
    data = bytearray(sum(tensor.bytes for tensor in tensors))
    for tensor in tensors:
        values = (weights.weight if tensor.what == "weight" else weights.bias)[tensor.layer]
        data[tensor.offset : tensor.end] = values.astype(tensor.dtype).tobytes()
    return _header(weights.program, tensors) + bytes(data)


def decode_published(program: Program, data: bytes) -> Weights:
    """Raises DecodeError for anything but what `encode_published` makes of weights of this very program."""
    tensors = _tensors(program)
    header = _header(program, tensors)
    if not isinstance(data, bytes) or data[: len(header)] != header:
        raise DecodeError(f"{FORMAT}: these are not weights of this program, or in another form")
    if len(data) != _size(header, tensors):
        raise DecodeError(f"{FORMAT}: {len(data)} bytes, must be {_size(header, tensors)}")
    weight: dict[str, Integers] = {}
    bias: dict[str, Integers] = {}
    for tensor in tensors:
        raw = data[len(header) + tensor.offset : len(header) + tensor.end]
        values = np.frombuffer(raw, tensor.dtype).astype(np.int64).reshape(tensor.shape)
        (weight if tensor.what == "weight" else bias)[tensor.layer] = values
    try:
        return Weights(program, weight, bias, PUBLISHED_BLINDING)
    except ValueError as error:
        raise DecodeError(f"{FORMAT}: {error}") from error


def save_published(path: Path, weights: Weights) -> None:
    """Writes the file whole, or not at all. Raises CampaignError if it cannot be written."""
    write_atomically(path, encode_published(weights))


def load_published(program: Program, path: Path) -> Weights:
    """Raises CampaignError if there is no such file, and DecodeError as `decode_published` does."""
    tensors = _tensors(program)
    expected = _size(_header(program, tensors), tensors)
    try:
        size = path.stat().st_size
        if size != expected:
            raise DecodeError(f"{path}: {size} bytes, weights of this program take {expected}")
        data = path.read_bytes()
    except OSError as error:
        raise CampaignError(f"cannot read {path}: {error.strerror}") from error
    return decode_published(program, data)


def _tensors(program: Program) -> list[_Tensor]:
    """In the header's order."""
    tensors = []
    for layer in program.affine_layers:
        tensors.append(_Tensor(layer.name, "weight", layer.weight_shape, storage(layer.weight_bits)))
        if layer.bias_bits:
            tensors.append(_Tensor(layer.name, "bias", bias_shape(layer), storage(layer.bias_bits)))
    placed: dict[int, _Tensor] = {}
    end = 0
    for index in sorted(range(len(tensors)), key=lambda i: -tensors[i].dtype.itemsize):
        placed[index] = replace(tensors[index], offset=end)
        end = placed[index].end
    return [placed[index] for index in range(len(tensors))]


def _header(program: Program, tensors: list[_Tensor]) -> bytes:
    named = {"format": FORMAT, "version": str(VERSION), "program": program.digest().hex()}
    body: dict[str, Any] = {"__metadata__": named}
    for tensor in tensors:
        body[f"{tensor.layer}.{tensor.what}"] = {
            "dtype": f"I{8 * tensor.dtype.itemsize}",
            "shape": list(tensor.shape),
            "data_offsets": [tensor.offset, tensor.end],
        }
    text = json.dumps(body, separators=(",", ":")).encode()
    text += b" " * (-(_LENGTH_BYTES + len(text)) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def _size(header: bytes, tensors: list[_Tensor]) -> int:
    return len(header) + sum(tensor.bytes for tensor in tensors)
