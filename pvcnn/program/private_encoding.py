"""Private layers as fields of `pvcnn-private-part` (docs/formats.md), and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pvcnn.encoding import Fields
from pvcnn.errors import DecodeError
from pvcnn.program.layers import MAX_SIDE
from pvcnn.program.private_layers import (
    MAX_DEGREE,
    Floats,
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivateLinear,
    PrivatePolynomial,
    Square,
)
from pvcnn.program.windows import MAX_WINDOW, Windows

_FORMAT = "pvcnn-private-part"


def encode_layer(layer: PrivateLayer) -> dict[str, Any]:
    """Numbers are little-endian float64."""
    match layer:
        case PrivateConvolution():
            fields = {
                "kind": "convolution",
                **_tensor_fields("weight", layer.weight),
                "bias": _octets(layer.bias),
                "groups": layer.groups,
                **_window_fields(layer.windows),
            }
        case PrivateLinear():
            fields = {
                "kind": "linear",
                **_tensor_fields("weight", layer.weight),
                "bias": _octets(layer.bias),
            }
        case Square():
            fields = {"kind": "square"}
        case PrivatePolynomial():
            fields = {"kind": "polynomial", "coefficients": _octets(layer.coefficients)}
        case PrivateAveragePool():
            fields = {"kind": "average-pool", "divisor": layer.divisor, **_window_fields(layer.windows)}
    return {"name": layer.name, **fields}


def decode_layer(fields: Fields) -> PrivateLayer:
    """Raises DecodeError, or ValueError for numbers that no layer has."""
    kind, name = fields.text("kind"), fields.text("name")
    if kind not in _READERS:
        raise DecodeError(f"{_FORMAT}: unknown kind of layer {kind!r}")
    layer = _READERS[kind](fields, name)
    fields.finish()
    return layer


def _octets(array: Floats) -> bytes:
    return array.astype("<f8").tobytes()


def _floats(fields: Fields, name: str, *shape: int) -> Floats:
    data = fields.octets(name, length=8 * math.prod(shape))
    return np.frombuffer(data, "<f8").reshape(shape)


def _tensor_fields(name: str, array: Floats) -> dict[str, Any]:
    return {f"{name}_shape": list(array.shape), name: _octets(array)}


def _tensor(fields: Fields, name: str, axes: int) -> Floats:
    shape = fields.integer_sequence(f"{name}_shape", axes, 1, MAX_SIDE + 1)
    if len(shape) != axes:
        raise DecodeError(f"{_FORMAT}: {name} has {axes} axes")
    return _floats(fields, name, *shape)


def _window_fields(windows: Windows) -> dict[str, Any]:
    return {name: list(getattr(windows, name)) for name in ("kernel", "stride", "padding", "dilation")}


def _windows(fields: Fields) -> Windows:
    kernel, stride, dilation = (
        tuple(fields.integer_sequence(name, 2, 1, MAX_WINDOW + 1))
        for name in ("kernel", "stride", "dilation")
    )
    padding = tuple(fields.integer_sequence("padding", 4, 0, MAX_WINDOW + 1))
    if not (len(kernel) == len(stride) == len(dilation) == 2 and len(padding) == 4):
        raise DecodeError(f"{_FORMAT}: windows have two axes and four sides")
    return Windows(kernel, stride, padding, dilation)


def _convolution(fields: Fields, name: str) -> PrivateConvolution:
    weight = _tensor(fields, "weight", 4)
    bias = _floats(fields, "bias", len(weight))
    groups = fields.integer("groups", 1, MAX_SIDE + 1)
    return PrivateConvolution(name, weight, bias, _windows(fields), groups)


def _linear(fields: Fields, name: str) -> PrivateLinear:
    weight = _tensor(fields, "weight", 2)
    return PrivateLinear(name, weight, _floats(fields, "bias", len(weight)))


def _polynomial(fields: Fields, name: str) -> PrivatePolynomial:
    data = fields.octets("coefficients", max_length=8 * (MAX_DEGREE + 1))
    if len(data) % 8:
        raise DecodeError(f"{_FORMAT}: coefficients have eight bytes each")
    return PrivatePolynomial(name, np.frombuffer(data, "<f8"))


def _average_pool(fields: Fields, name: str) -> PrivateAveragePool:
    return PrivateAveragePool(name, _windows(fields), fields.integer("divisor", 1, MAX_SIDE + 1))


_READERS: dict[str, Callable[[Fields, str], PrivateLayer]] = {
    "convolution": _convolution,
    "linear": _linear,
    "square": lambda _, name: Square(name),
    "polynomial": _polynomial,
    "average-pool": _average_pool,
}
