"""A public part without its weights: shapes, ranges, tables. Public, and hashed into the key."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pvcnn.algebra.transcript import digest
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError
from pvcnn.program.layers import (
    MAX_SIDE,
    MAX_TABLE,
    TABLE_LIMIT,
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
#: Entries of one tensor, and of all weights together: a bound on what a hostile program can ask for.
MAX_ENTRIES = 1 << 24
MAX_WEIGHTS = 1 << 28
#: Features are looked up in their range by limbs.
FEATURE_LIMIT = 1 << 31
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
    features are integers in [input_low, input_high]. Raises ValueError, naming the layer, for a
    chain that does not fit together or breaks a limit.
    """

    input_shape: Shape
    input_low: int
    input_high: int
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= MAX_LAYERS or not isinstance(self.layers[-1], Sign):
            raise ValueError(f"a program has at most {MAX_LAYERS} layers and ends with Sign")
        if any(isinstance(layer, Sign) for layer in self.layers[:-1]):
            raise ValueError("Sign may only come last")
        if len(self.input_shape) not in (1, 3) or not all(1 <= n <= MAX_SIDE for n in self.input_shape):
            raise ValueError(f"features cannot have the shape {self.input_shape}")
        if not -FEATURE_LIMIT <= self.input_low <= 0 <= self.input_high < FEATURE_LIMIT:
            raise ValueError("the range of the features must contain 0 and fit 32 bits")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError("layer names must differ")
        self._check_sizes()
        self._check_magnitudes()

    def _check_sizes(self) -> None:
        for name, shape in zip(
            ["features", *(layer.name for layer in self.layers)], self.shapes, strict=True
        ):
            if math.prod(shape) > MAX_ENTRIES:
                raise ValueError(f"{name}: a tensor has more than {MAX_ENTRIES} entries")
        if sum(math.prod(layer.weight_shape) for layer in self.affine_layers) > MAX_WEIGHTS:
            raise ValueError(f"more than {MAX_WEIGHTS} weights")

    def _check_magnitudes(self) -> None:
        for layer, bounds in zip(self.layers, self.ranges[1:], strict=True):
            if max(map(abs, bounds)).bit_length() > MAX_MAGNITUDE_BITS:
                raise ValueError(f"{layer.name}: values may need more than {MAX_MAGNITUDE_BITS} bits")

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
            ranges.append(output_range(layer, *ranges[-1]))
        return tuple(ranges)

    @property
    def affine_layers(self) -> tuple[Affine, ...]:
        """The layers that have weights, in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, Convolution | Linear))

    def digest(self) -> bytes:
        """32 bytes that name this program: keys and manifests refer to it by them."""
        return digest("pvcnn/program", self.to_bytes())

    def to_bytes(self) -> bytes:
        """The program's only encoding (docs/formats.md)."""
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
        """Raises DecodeError for anything but what `to_bytes` makes of a valid program."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        shape = tuple(fields.integer_sequence("input_shape", 3, 1, MAX_SIDE + 1))
        low = fields.integer("input_low", -FEATURE_LIMIT, 1)
        high = fields.integer("input_high", 0, FEATURE_LIMIT)
        items = fields.mappings("layers", MAX_LAYERS)
        fields.finish()
        try:
            return cls(shape, low, high, tuple(_decode_layer(item) for item in items))
        except DecodeError:
            raise
        except ValueError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error


def accumulator_peak(layer: Affine, low: int, high: int) -> int:
    """Bounds every partial sum of the layer in magnitude, for inputs in [low, high] and 0."""
    products = layer.fan_in * max(-low, high) << (layer.weight_bits - 1)
    return products + (1 << (layer.bias_bits - 1))


def output_range(layer: Layer, low: int, high: int) -> tuple[int, int]:
    """Inclusive bounds of what `layer` makes of values in [low, high], whatever its weights."""
    match layer:
        case Convolution() | Linear():
            peak = accumulator_peak(layer, low, high)
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
    """Types are checked here; the layers themselves check their limits (ValueError)."""
    kind = fields.text("kind")
    name = fields.text("name")
    layer: Layer
    match kind:
        case "convolution":
            layer = Convolution(
                name,
                _count(fields, "in_channels"),
                _count(fields, "out_channels"),
                _count(fields, "kernel"),
                _count(fields, "stride"),
                _count(fields, "padding"),
                _count(fields, "weight_bits"),
                _count(fields, "bias_bits"),
            )
        case "linear":
            layer = Linear(
                name,
                _count(fields, "in_features"),
                _count(fields, "out_features"),
                _count(fields, "weight_bits"),
                _count(fields, "bias_bits"),
            )
        case "requantise":
            layer = Requantise(name, _count(fields, "shift"), _decode_table(fields))
        case "max-pool":
            layer = MaxPool(name, _count(fields, "size"))
        case "average-pool":
            layer = AveragePool(name, _count(fields, "size"))
        case "flatten":
            layer = Flatten(name)
        case "sign":
            layer = Sign(name)
        case _:
            raise DecodeError(f"{FORMAT}: unknown kind of layer {kind!r}")
    fields.finish()
    return layer


def _count(fields: Fields, name: str) -> int:
    return fields.integer(name, 0, MAX_SIDE + 1)


def _decode_table(fields: Fields) -> Table:
    low = fields.integer("low", -TABLE_LIMIT, TABLE_LIMIT)
    raw = fields.octets("values", max_length=4 * MAX_TABLE)
    if len(raw) % 4:
        raise DecodeError(f"{FORMAT}: a table has a broken value")
    return Table(low, np.frombuffer(raw, "<i4").astype(np.int64))
