"""The integer weights of a public part. Secret when they are committed: the owner seals them.

The encoding holds weights and the blinding of their commitment in the clear.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.transcript import digest
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError, RangeError
from pvcnn.program.layers import Affine, Shape
from pvcnn.program.linear_maps import LinearMap
from pvcnn.program.program import Program

FORMAT = "pvcnn-weights"
VERSION = 1
#: The blinding of weights that are published: there is nothing to hide.
PUBLISHED_BLINDING = 1
#: Room for names, lengths and the header of one layer, and of the file.
_OVERHEAD = 1024

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Weights:
    """weight[name]: int64 of the layer's `weight_shape`; bias[name]: int64 (outputs,); read-only.

    A layer without bias bits has no entry in `bias`.

    `blinding` is nu_w, the randomness of the commitment D_w (docs/protocol.md, eq. (8)), in [0, r):
    drawn from the operating system once per model. Raises ValueError for missing, unknown or
    misshapen arrays and RangeError for entries that do not fit the program's bits.
    """

    program: Program
    weight: Mapping[str, Integers]
    bias: Mapping[str, Integers]
    blinding: int

    def __post_init__(self) -> None:
        if not 0 <= self.blinding < SCALAR_MODULUS:
            raise ValueError("the blinding must be a scalar in [0, r)")
        names = {layer.name for layer in self.program.affine_layers}
        biased = {layer.name for layer in self.program.affine_layers if layer.bias_bits}
        if self.weight.keys() != names or self.bias.keys() != biased:
            raise ValueError("weights and biases must be those of the program's layers, all of them")
        weight, bias = {}, {}
        for layer in self.program.affine_layers:
            weight[layer.name] = _checked(
                f"weights of {layer.name}", self.weight[layer.name], layer.weight_shape, layer.weight_bits
            )
            if layer.bias_bits:
                bias[layer.name] = _checked(
                    f"biases of {layer.name}", self.bias[layer.name], bias_shape(layer), layer.bias_bits
                )
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)

    @cached_property
    def linear_maps(self) -> Mapping[str, LinearMap]:
        """What each layer with weights does to its input, before its bias."""
        nodes = self.program.nodes
        shapes = {node.layer.name: self.program.shapes[node.inputs[0]] for node in nodes}
        return {
            layer.name: LinearMap.of_layer(layer, self.weight[layer.name], shapes[layer.name])
            for layer in self.program.affine_layers
        }

    def flat(self) -> Integers:
        """All entries in the order of the wires of segment w: for each layer, weights (C order), bias."""
        parts = []
        for layer in self.program.affine_layers:
            parts.append(self.weight[layer.name].ravel())
            if layer.bias_bits:
                parts.append(self.bias[layer.name])
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def published_digest(self) -> bytes:
        """32 bytes that name the program and these weights, for those who publish them.

        H("pvcnn/published-weights", program digest, `flat()` as little-endian 64-bit integers). It does not
        hide: never publish it for weights that are committed.
        """
        return self._published_digest

    @cached_property
    def _published_digest(self) -> bytes:
        flat = self.flat().astype("<i8", copy=False)
        return digest("pvcnn/published-weights", self.program.digest(), flat.data.cast("B"))

    def to_bytes(self) -> bytes:
        """Canonical and SECRET: little-endian integers of the fewest bytes that hold their bits."""
        layers: list[dict[str, Any]] = [
            {
                "name": layer.name,
                "weight": self.weight[layer.name].astype(storage(layer.weight_bits)).tobytes(),
                "bias": self.bias[layer.name].astype(storage(layer.bias_bits)).tobytes()
                if layer.bias_bits
                else b"",
            }
            for layer in self.program.affine_layers
        ]
        fields = {
            "program": self.program.digest(),
            "blinding": self.blinding.to_bytes(32, "little"),
            "layers": layers,
        }
        return encode(FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, program: Program, data: bytes) -> Weights:
        """Raises DecodeError for anything but what `to_bytes` makes of weights of this very program."""
        fields = decode(data, FORMAT, VERSION, _max_bytes(program))
        if fields.octets("program", 32) != program.digest():
            raise DecodeError(f"{FORMAT}: the weights belong to another program")
        blinding = int.from_bytes(fields.octets("blinding", 32), "little")
        items = fields.mappings("layers", len(program.affine_layers))
        fields.finish()
        if len(items) != len(program.affine_layers):
            raise DecodeError(f"{FORMAT}: layers are missing")
        weight, bias = {}, {}
        for layer, item in zip(program.affine_layers, items, strict=True):
            if item.text("name") != layer.name:
                raise DecodeError(f"{FORMAT}: the layers are not those of the program")
            weight[layer.name] = _decode_array(item, "weight", layer.weight_shape, layer.weight_bits)
            biases = _decode_array(item, "bias", bias_shape(layer), layer.bias_bits)
            if layer.bias_bits:
                bias[layer.name] = biases
            item.finish()
        try:
            return cls(program, weight, bias, blinding)
        except ValueError:  # no cause: its message may quote a weight
            raise DecodeError(f"{FORMAT}: a value is outside its range") from None


def bias_shape(layer: Affine) -> Shape:
    """Of the biases; no entries if there are none."""
    return layer.weight_shape[:1] if layer.bias_bits else (0,)


def _checked(what: str, array: Integers, shape: Shape, bits: int) -> Integers:
    if not np.issubdtype(array.dtype, np.integer) or array.shape != shape:
        raise ValueError(f"{what}: expected integers of shape {shape}, got {array.dtype} {array.shape}")
    peak = 1 << (bits - 1)
    outside = np.argwhere((array < -peak) | (array >= peak))
    if len(outside):
        position = tuple(int(i) for i in outside[0])
        raise RangeError(
            f"{what}, position {position}: {int(array[position])} lies outside [{-peak}, {peak - 1}]; "
            "quantise the model again"
        )
    copy = array.astype(np.int64)
    copy.flags.writeable = False
    return copy


def storage(bits: int) -> np.dtype[Any]:
    """Little-endian integers of the fewest bytes that hold `bits`."""
    return np.dtype(next(f"<i{size}" for size in (1, 2, 4, 8) if bits <= 8 * size))


def _decode_array(fields: Fields, name: str, shape: Shape, bits: int) -> Integers:
    dtype = storage(bits)
    raw = fields.octets(name, length=math.prod(shape) * dtype.itemsize)
    return np.frombuffer(raw, dtype).astype(np.int64).reshape(shape)


def _max_bytes(program: Program) -> int:
    return _OVERHEAD + sum(
        math.prod(layer.weight_shape) * storage(layer.weight_bits).itemsize
        + math.prod(bias_shape(layer)) * storage(layer.bias_bits).itemsize
        + _OVERHEAD
        for layer in program.affine_layers
    )
