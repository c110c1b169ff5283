"""A public part without its weights: shapes, ranges, tables. Public, and hashed into the key."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pvcnn.algebra.transcript import digest
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError
from pvcnn.program.layers import (
    Affine,
    AveragePool,
    Convolution,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Requantise,
    Shape,
    Sign,
    Table,
    output_shape,
)

FORMAT = "pvcnn-program"
VERSION = 1
MAX_BYTES = 16 << 20
MAX_LAYERS = 1024
MAX_SIDE = 1 << 20
MAX_TABLE = 1 << 16
#: Every intermediate value must fit, so that integer inference in int64 is exact.
MAX_MAGNITUDE_BITS = 60

_KINDS: dict[str, type[Layer]] = {
    "convolution": Convolution,
    "linear": Linear,
    "requantise": Requantise,
    "max-pool": MaxPool,
    "average-pool": AveragePool,
    "flatten": Flatten,
    "sign": Sign,
}
_KIND_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True)
class Program:
    """A chain of integer layers from features to one decision a frame.

    `input_shape` is that of one frame's features, (channels, height, width) or (features,);
    features are integers in [input_low, input_high].
    """

    input_shape: Shape
    input_low: int
    input_high: int
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers or not isinstance(self.layers[-1], Sign):
            raise ValueError("a program ends with Sign")
        if any(isinstance(layer, Sign) for layer in self.layers[:-1]):
            raise ValueError("Sign may only come last")
        if not self.input_low <= 0 <= self.input_high:
            raise ValueError("the range of the features must contain 0, the value of padding")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError("layer names must differ")
        assert self.shapes and self.ranges  # both raise, naming the layer

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """shapes[i] is what layer i gets; the last entry is the output's."""
        shapes = [self.input_shape]
        for layer in self.layers:
            shapes.append(output_shape(layer, shapes[-1]))
        return tuple(shapes)

    @cached_property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Inclusive bounds that follow from the layers alone: ranges[i] of what layer i gets."""
        ranges = [(self.input_low, self.input_high)]
        for layer in self.layers:
            ranges.append(_output_range(layer, *ranges[-1]))
            if max(map(abs, ranges[-1])).bit_length() > MAX_MAGNITUDE_BITS:
                raise ValueError(f"{layer.name}: values may need more than {MAX_MAGNITUDE_BITS} bits")
        return tuple(ranges)

    @property
    def affine_layers(self) -> tuple[Affine, ...]:
        """The layers that have weights, in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, Convolution | Linear))

    def digest(self) -> bytes:
        return digest("pvcnn/program", self.to_bytes())

    def to_bytes(self) -> bytes:
        return encode(
            FORMAT,
            VERSION,
            {
                "input_shape": list(self.input_shape),
                "input_low": self.input_low,
                "input_high": self.input_high,
                "layers": [_encode_layer(layer) for layer in self.layers],
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Program:
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        shape = tuple(fields.integer_sequence("input_shape", 3, 1, MAX_SIDE))
        low = fields.integer("input_low", -(1 << 31), 1)
        high = fields.integer("input_high", 0, 1 << 31)
        layers = tuple(_decode_layer(item) for item in fields.mappings("layers", MAX_LAYERS))
        fields.finish()
        try:
            program = cls(shape, low, high, layers)
        except ValueError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error
        if any(np.prod(s, dtype=object) > MAX_SIDE for s in program.shapes):
            raise DecodeError(f"{FORMAT}: a tensor has more than {MAX_SIDE} entries")
        return program


def _output_range(layer: Layer, low: int, high: int) -> tuple[int, int]:
    match layer:
        case Convolution() | Linear():
            peak = layer.fan_in * max(-low, high) << (layer.weight_bits - 1)
            peak += 1 << (layer.bias_bits - 1)
            return -peak, peak
        case Requantise():
            return int(layer.table.values.min()), int(layer.table.values.max())
        case AveragePool():
            return low * layer.size**2, high * layer.size**2
        case Sign():
            return 0, 1
        case MaxPool() | Flatten():
            return low, high


def _encode_layer(layer: Layer) -> dict[str, Any]:
    if isinstance(layer, Requantise):
        return {
            "kind": "requantise",
            "name": layer.name,
            "shift": layer.shift,
            "low": layer.table.low,
            "values": layer.table.values.astype("<i4").tobytes(),
        }
    return {"kind": _KIND_NAMES[type(layer)], **asdict(layer)}


def _decode_layer(fields: Fields) -> Layer:
    kind = fields.text("kind")
    name = fields.text("name")
    layer: Layer
    match kind:
        case "convolution":
            layer = Convolution(
                name,
                fields.integer("in_channels", 1, MAX_SIDE),
                fields.integer("out_channels", 1, MAX_SIDE),
                fields.integer("kernel", 1, 64),
                fields.integer("stride", 1, 64),
                fields.integer("padding", 0, 64),
                fields.integer("weight_bits", 2, 17),
                fields.integer("bias_bits", 2, 49),
            )
        case "linear":
            layer = Linear(
                name,
                fields.integer("in_features", 1, MAX_SIDE),
                fields.integer("out_features", 1, MAX_SIDE),
                fields.integer("weight_bits", 2, 17),
                fields.integer("bias_bits", 2, 49),
            )
        case "requantise":
            shift = fields.integer("shift", 0, 17)
            low = fields.integer("low", -(1 << 31), 1 << 31)
            raw = fields.octets("values", max_length=4 * MAX_TABLE)
            if not raw or len(raw) % 4:
                raise DecodeError(f"{FORMAT}: layer {name!r} has a malformed table")
            layer = Requantise(name, shift, Table(low, np.frombuffer(raw, "<i4").astype(np.int64)))
        case "max-pool":
            layer = MaxPool(name, fields.integer("size", 1, 64))
        case "average-pool":
            layer = AveragePool(name, fields.integer("size", 1, 64))
        case "flatten":
            layer = Flatten(name)
        case "sign":
            layer = Sign(name)
        case _:
            raise DecodeError(f"{FORMAT}: unknown kind of layer {kind!r}")
    fields.finish()
    return layer
