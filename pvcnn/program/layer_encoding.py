"""Layers as maps of plain values, and back (docs/formats.md, pvcnn-program)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pvcnn.encoding import Fields
from pvcnn.errors import DecodeError
from pvcnn.program.layers import (
    MAX_BIAS_BITS,
    MAX_CONSTANT,
    MAX_INPUTS,
    MAX_MULTIPLIER,
    MAX_SIDE,
    Argmax,
    AveragePool,
    Combine,
    Concatenate,
    Convolution,
    Correct,
    Flatten,
    Hadamard,
    Layer,
    Linear,
    Logits,
    MaxPool,
    Requantise,
    Sign,
)
from pvcnn.program.table import MAX_TABLE, TABLE_LIMIT, Table
from pvcnn.program.windows import MAX_WINDOW, Windows


def encode_layer(layer: Layer) -> dict[str, Any]:
    """Everything but the inputs of the layer's node."""
    return {"kind": _KIND_NAMES[type(layer)], "name": layer.name, **_own_fields(layer)}


def decode_layer(fields: Fields) -> Layer:
    """Takes the layer's fields. Types are checked here (DecodeError), limits by the layers (ValueError)."""
    kind, name = fields.text("kind"), fields.text("name")
    if kind not in _DECODERS:
        raise DecodeError(f"pvcnn-program: unknown kind of layer {kind!r}")
    return _DECODERS[kind](fields, name)


def _own_fields(layer: Layer) -> dict[str, Any]:
    match layer:
        case Convolution():
            return {
                "in_channels": layer.in_channels,
                "out_channels": layer.out_channels,
                "groups": layer.groups,
                **_window_fields(layer.windows),
                "weight_bits": layer.weight_bits,
                "bias_bits": layer.bias_bits,
            }
        case Linear():
            return {
                "in_features": layer.in_features,
                "out_features": layer.out_features,
                "weight_bits": layer.weight_bits,
                "bias_bits": layer.bias_bits,
            }
        case Requantise():
            return {
                "shift": layer.shift,
                "low": layer.table.low,
                "values": layer.table.values.astype("<i4").tobytes(),
            }
        case MaxPool() | AveragePool():
            return _window_fields(layer.windows)
        case Combine():
            return {"multipliers": list(layer.multipliers), "constant": layer.constant}
        case _:
            return {}


def _window_fields(windows: Windows) -> dict[str, Any]:
    return {
        "kernel": list(windows.kernel),
        "stride": list(windows.stride),
        "padding": list(windows.padding),
        "dilation": list(windows.dilation),
    }


def _convolution(fields: Fields, name: str) -> Layer:
    return Convolution(
        name,
        _count(fields, "in_channels"),
        _count(fields, "out_channels"),
        _windows(fields),
        *_bits(fields),
        _count(fields, "groups"),
    )


def _linear(fields: Fields, name: str) -> Layer:
    return Linear(name, _count(fields, "in_features"), _count(fields, "out_features"), *_bits(fields))


def _requantise(fields: Fields, name: str) -> Layer:
    low = fields.integer("low", -TABLE_LIMIT, TABLE_LIMIT)
    raw = fields.octets("values", max_length=4 * MAX_TABLE)
    if len(raw) % 4:
        raise DecodeError("pvcnn-program: a table has a broken value")
    table = Table(low, np.frombuffer(raw, "<i4").astype(np.int64))
    return Requantise(name, _count(fields, "shift"), table)


def _combine(fields: Fields, name: str) -> Layer:
    multipliers = fields.integer_sequence("multipliers", MAX_INPUTS, -MAX_MULTIPLIER, MAX_MULTIPLIER + 1)
    return Combine(name, tuple(multipliers), fields.integer("constant", -MAX_CONSTANT, MAX_CONSTANT + 1))


def _count(fields: Fields, name: str) -> int:
    return fields.integer(name, 0, MAX_SIDE + 1)


def _bits(fields: Fields) -> tuple[int, int]:
    return fields.integer("weight_bits", 0, MAX_BIAS_BITS), fields.integer("bias_bits", 0, MAX_BIAS_BITS + 1)


def _windows(fields: Fields) -> Windows:
    kernel, stride, dilation = (
        tuple(fields.integer_sequence(name, 2, 1, MAX_WINDOW + 1))
        for name in ("kernel", "stride", "dilation")
    )
    padding = tuple(fields.integer_sequence("padding", 4, 0, MAX_WINDOW + 1))
    if not len(kernel) == len(stride) == len(dilation) == 2 or len(padding) != 4:
        raise DecodeError("pvcnn-program: windows have two axes and four sides")
    return Windows(
        (kernel[0], kernel[1]),
        (stride[0], stride[1]),
        (padding[0], padding[1], padding[2], padding[3]),
        (dilation[0], dilation[1]),
    )


_DECODERS: dict[str, Callable[[Fields, str], Layer]] = {
    "convolution": _convolution,
    "linear": _linear,
    "requantise": _requantise,
    "max-pool": lambda fields, name: MaxPool(name, _windows(fields)),
    "average-pool": lambda fields, name: AveragePool(name, _windows(fields)),
    "combine": _combine,
    "concatenate": lambda fields, name: Concatenate(name),
    "hadamard": lambda fields, name: Hadamard(name),
    "flatten": lambda fields, name: Flatten(name),
    "sign": lambda fields, name: Sign(name),
    "argmax": lambda fields, name: Argmax(name),
    "logits": lambda fields, name: Logits(name),
    "correct": lambda fields, name: Correct(name),
}

_KIND_NAMES: dict[type[Layer], str] = {
    Convolution: "convolution",
    Linear: "linear",
    Requantise: "requantise",
    MaxPool: "max-pool",
    AveragePool: "average-pool",
    Combine: "combine",
    Concatenate: "concatenate",
    Hadamard: "hadamard",
    Flatten: "flatten",
    Sign: "sign",
    Argmax: "argmax",
    Logits: "logits",
    Correct: "correct",
}
