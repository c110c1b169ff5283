"""The float layers of a private part, which the owner evaluates on encrypted frames.

All of it is the owner's secret: no `repr` shows a weight, and the encoding travels only sealed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError
from pvcnn.program.layers import MAX_SIDE, Shape, check_name

FORMAT = "pvcnn-private-part"
VERSION = 1
MAX_BYTES = 1 << 28
MAX_LAYERS = 256
MAX_ENTRIES = 1 << 24
#: Of pools.
MAX_WINDOW = 63

KERNEL = 3

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PrivateConvolution:
    """3x3, stride 1, padding 1. weight: (out, in, 3, 3) float64; bias: (out,) float64; read-only.

    Raises ValueError for other shapes and for values that are not finite.
    """

    name: str
    weight: Floats = field(repr=False)
    bias: Floats = field(repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        weight, bias = (np.array(array, dtype=np.float64) for array in (self.weight, self.bias))
        if weight.ndim != 4 or 0 in weight.shape or weight.shape[2:] != (KERNEL, KERNEL):
            raise ValueError(f"{self.name}: a private convolution is 3x3, not {weight.shape}")
        if bias.shape != weight.shape[:1]:
            raise ValueError(f"{self.name}: expects one bias for each of {weight.shape[0]} channels")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError(f"{self.name}: weights and biases must be finite")
        for label, array in (("weight", weight), ("bias", bias)):
            array.flags.writeable = False
            object.__setattr__(self, label, array)


@dataclass(frozen=True)
class Square:
    """Entrywise x^2."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True)
class PrivateAveragePool:
    """Mean over disjoint size x size windows; rows and columns left over are dropped."""

    name: str
    size: int

    def __post_init__(self) -> None:
        check_name(self.name)
        if not 1 <= self.size <= MAX_WINDOW:
            raise ValueError(f"{self.name}: the window is {self.size}, must lie in [1, {MAX_WINDOW}]")


PrivateLayer: TypeAlias = PrivateConvolution | Square | PrivateAveragePool


@dataclass(frozen=True, eq=False)
class PrivatePart:
    """The private layers and the scale that turns their outputs into the program's integers.

    `input_shape` is (channels, height, width) of a frame; pixels lie in [-pixel_bound, pixel_bound].
    The integer features are round(output / feature_step), of shape `output_shape`. Raises
    ValueError, naming the layer, for layers that do not fit together.
    """

    input_shape: Shape
    pixel_bound: float
    layers: tuple[PrivateLayer, ...]
    feature_step: float
    output_shape: Shape

    def __post_init__(self) -> None:
        if len(self.input_shape) != 3 or not all(1 <= n <= MAX_SIDE for n in self.input_shape):
            raise ValueError(f"frames cannot have the shape {self.input_shape}")
        for what, value in (("pixel bound", self.pixel_bound), ("feature step", self.feature_step)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"the {what} must be positive and finite")
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ValueError(f"a private part has 1 to {MAX_LAYERS} layers")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError("layer names must differ")
        if self.shapes()[-1] != self.output_shape:
            raise ValueError(f"the layers give {self.shapes()[-1]}, not {self.output_shape}")

    def shapes(self) -> tuple[Shape, ...]:
        """shapes()[i] is what layer i gets; the last entry is the output's."""
        shapes = [self.input_shape]
        for layer in self.layers:
            shapes.append(_output_shape(layer, shapes[-1]))
            if math.prod(shapes[-1]) > MAX_ENTRIES:
                raise ValueError(f"{layer.name}: a tensor has more than {MAX_ENTRIES} entries")
        return tuple(shapes)

    def to_bytes(self) -> bytes:
        """Canonical and SECRET (docs/formats.md); numbers are little-endian float64."""
        fields = {
            "input_shape": list(self.input_shape),
            "pixel_bound": _encode_number(self.pixel_bound),
            "layers": [_encode_layer(layer) for layer in self.layers],
            "feature_step": _encode_number(self.feature_step),
            "output_shape": list(self.output_shape),
        }
        return encode(FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> PrivatePart:
        """Raises DecodeError for anything but what `to_bytes` makes of a valid private part."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        input_shape = tuple(fields.integer_sequence("input_shape", 3, 1, MAX_SIDE + 1))
        output_shape = tuple(fields.integer_sequence("output_shape", 3, 1, MAX_SIDE + 1))
        pixel_bound = _decode_number(fields, "pixel_bound")
        feature_step = _decode_number(fields, "feature_step")
        items = fields.mappings("layers", MAX_LAYERS)
        fields.finish()
        try:
            layers = tuple(_decode_layer(item) for item in items)
            return cls(input_shape, pixel_bound, layers, feature_step, output_shape)
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
        match layer:
            case PrivateConvolution():
                x = _convolve(layer, x)
            case Square():
                x = x * x
            case PrivateAveragePool():
                x = _average(x, layer.size)
    return x


def _convolve(layer: PrivateConvolution, x: Floats) -> Floats:
    frames, channels, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    result = np.zeros((frames, len(layer.bias), height * width))
    for row in range(KERNEL):
        for column in range(KERNEL):
            window = padded[:, :, row : row + height, column : column + width]
            result += layer.weight[:, :, row, column] @ window.reshape(frames, channels, height * width)
    return (result + layer.bias[:, None]).reshape(frames, len(layer.bias), height, width)


def _average(x: Floats, size: int) -> Floats:
    frames, channels, height, width = x.shape
    height, width = height // size, width // size
    cropped = x[:, :, : height * size, : width * size]
    means: Floats = cropped.reshape(frames, channels, height, size, width, size).mean(axis=(3, 5))
    return means


def _output_shape(layer: PrivateLayer, shape: Shape) -> Shape:
    match layer:
        case PrivateConvolution():
            outputs, inputs = layer.weight.shape[:2]
            if shape[0] != inputs:
                raise ValueError(f"{layer.name}: expects {inputs} channels, gets shape {shape}")
            return (outputs, *shape[1:])
        case Square():
            return shape
        case PrivateAveragePool():
            pooled = (shape[0], shape[1] // layer.size, shape[2] // layer.size)
            if min(pooled) < 1:
                raise ValueError(f"{layer.name}: nothing is left of shape {shape}")
            return pooled


def _encode_number(value: float) -> bytes:
    return np.array(value, "<f8").tobytes()


def _decode_number(fields: Fields, name: str) -> float:
    return float(np.frombuffer(fields.octets(name, length=8), "<f8")[0])


def _encode_layer(layer: PrivateLayer) -> dict[str, Any]:
    match layer:
        case PrivateConvolution():
            return {
                "kind": "convolution",
                "name": layer.name,
                "weight_shape": list(layer.weight.shape),
                "weight": layer.weight.astype("<f8").tobytes(),
                "bias": layer.bias.astype("<f8").tobytes(),
            }
        case Square():
            return {"kind": "square", "name": layer.name}
        case PrivateAveragePool():
            return {"kind": "average-pool", "name": layer.name, "size": layer.size}


def _decode_layer(fields: Fields) -> PrivateLayer:
    kind = fields.text("kind")
    name = fields.text("name")
    layer: PrivateLayer
    match kind:
        case "convolution":
            shape = tuple(fields.integer_sequence("weight_shape", 4, 1, MAX_SIDE + 1))
            if len(shape) != 4:
                raise DecodeError(f"{FORMAT}: a convolution has four axes")
            weight = fields.octets("weight", length=8 * math.prod(shape))
            bias = fields.octets("bias", length=8 * shape[0])
            layer = PrivateConvolution(
                name, np.frombuffer(weight, "<f8").reshape(shape), np.frombuffer(bias, "<f8")
            )
        case "square":
            layer = Square(name)
        case "average-pool":
            layer = PrivateAveragePool(name, fields.integer("size", 1, MAX_WINDOW + 1))
        case _:
            raise DecodeError(f"{FORMAT}: unknown kind of layer {kind!r}")
    fields.finish()
    return layer
