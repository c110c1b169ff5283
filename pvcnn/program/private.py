"""The float layers of a private part, which the owner evaluates on encrypted frames.

All of it is the owner's secret: no `repr` shows a weight, and the encoding travels only sealed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError
from pvcnn.program.layers import MAX_SIDE, Shape
from pvcnn.program.private_encoding import decode_layer, encode_layer
from pvcnn.program.private_layers import (
    MAX_WINDOW,
    Floats,
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivateLinear,
    PrivatePolynomial,
    Square,
    apply,
    output_shape,
)

__all__ = [
    "MAX_WINDOW",
    "Floats",
    "PrivateAveragePool",
    "PrivateConvolution",
    "PrivateLayer",
    "PrivateLinear",
    "PrivatePart",
    "PrivatePolynomial",
    "Square",
    "private_evaluate",
]

FORMAT = "pvcnn-private-part"
VERSION = 2
MAX_BYTES = 1 << 28
MAX_LAYERS = 256
MAX_ENTRIES = 1 << 24


@dataclass(frozen=True, eq=False)
class PrivatePart:
    """The private layers and the scale that turns their outputs into the program's integers.

    `input_shape` is (channels, height, width) of a frame; pixels lie in [-pixel_bound, pixel_bound].
    The integer features are round(output / feature_step), of shape `output_shape`. `ranges`, if there are
    any, are one for each layer: how large its outputs are taken to be, in absolute value. They come from
    calibration frames, with room to spare, and encryption parameters are chosen by them; without them, by
    what no frame can exceed. Raises ValueError, naming the layer, for layers that do not fit together.
    """

    input_shape: Shape
    pixel_bound: float
    layers: tuple[PrivateLayer, ...]
    feature_step: float
    output_shape: Shape
    ranges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.input_shape) != 3 or not all(1 <= n <= MAX_SIDE for n in self.input_shape):
            raise ValueError(f"frames cannot have the shape {self.input_shape}")
        bounds = [("pixel bound", self.pixel_bound), ("feature step", self.feature_step)]
        for what, value in bounds + [("range of a layer", value) for value in self.ranges]:
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"the {what} must be positive and finite")
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ValueError(f"a private part has 1 to {MAX_LAYERS} layers")
        if len(self.ranges) not in (0, len(self.layers)):
            raise ValueError(f"{len(self.ranges)} ranges cannot be those of {len(self.layers)} layers")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError("layer names must differ")
        if self.shapes()[-1] != self.output_shape:
            raise ValueError(f"the layers give {self.shapes()[-1]}, not {self.output_shape}")

    def shapes(self) -> tuple[Shape, ...]:
        """shapes()[i] is what layer i gets; the last entry is the output's."""
        shapes = [self.input_shape]
        for layer in self.layers:
            shapes.append(output_shape(layer, shapes[-1]))
            if math.prod(shapes[-1]) > MAX_ENTRIES:
                raise ValueError(f"{layer.name}: a tensor has more than {MAX_ENTRIES} entries")
        return tuple(shapes)

    def to_bytes(self) -> bytes:
        """Canonical and SECRET (docs/formats.md); numbers are little-endian float64."""
        fields = {
            "input_shape": list(self.input_shape),
            "pixel_bound": _encode_number(self.pixel_bound),
            "layers": [encode_layer(layer) for layer in self.layers],
            "feature_step": _encode_number(self.feature_step),
            "output_shape": list(self.output_shape),
            "ranges": [_encode_number(value) for value in self.ranges],
        }
        return encode(FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> PrivatePart:
        """Raises DecodeError for anything but what `to_bytes` makes of a valid private part."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        input_shape = tuple(fields.integer_sequence("input_shape", 3, 1, MAX_SIDE + 1))
        output_shape = tuple(fields.integer_sequence("output_shape", 3, 1, MAX_SIDE + 1))
        pixel_bound = _decode_number(fields.octets("pixel_bound", length=8))
        feature_step = _decode_number(fields.octets("feature_step", length=8))
        ranges = tuple(_decode_number(item) for item in fields.octets_sequence("ranges", MAX_LAYERS, 8))
        items = fields.mappings("layers", MAX_LAYERS)
        fields.finish()
        try:
            layers = tuple(decode_layer(item) for item in items)
            return cls(input_shape, pixel_bound, layers, feature_step, output_shape, ranges)
        except DecodeError:
            raise
        except ValueError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error


def private_evaluate(private: PrivatePart, frames: Floats) -> Floats:
    """The private layers in plain float64: frames (N, *input_shape) to (N, *output_shape).

    The reference that encrypted evaluation is compared with. Raises ValueError for another shape.
    """
    x = np.asarray(frames, dtype=np.float64)
    if x.shape[1:] != private.input_shape:
        raise ValueError(f"frames must have the shape (N, *{private.input_shape}), not {x.shape}")
    for layer in private.layers:
        x = apply(layer, x)
    return x


def _encode_number(value: float) -> bytes:
    return np.array(value, "<f8").tobytes()


def _decode_number(octets: bytes) -> float:
    return float(np.frombuffer(octets, "<f8")[0])
