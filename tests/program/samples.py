"""A small program with every kind of layer, its weights, a private part, and damaged bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from pvcnn.errors import DecodeError
from pvcnn.program import private
from pvcnn.program.layers import (
    AveragePool,
    Convolution,
    Flatten,
    Linear,
    MaxPool,
    Requantise,
    Sign,
)
from pvcnn.program.private import PrivatePart
from pvcnn.program.program import Program
from pvcnn.program.table import Table
from pvcnn.program.weights import Weights
from pvcnn.program.windows import Windows


class Artefact(Protocol):
    def to_bytes(self) -> bytes: ...


def leaky_table(bits: int = 12) -> Table:
    """q / 16 for positive q, q / 160 for negative, rounded, for q of `bits` bits."""
    q = np.arange(-(1 << (bits - 1)), 1 << (bits - 1))
    return Table(-(1 << (bits - 1)), np.rint(np.where(q > 0, q, q / 10) / 16).astype(np.int64))


def sample_program() -> Program:
    """2x12x12 features in [0, 4095] to one decision, through every kind of layer."""
    table = leaky_table()
    layers = (
        Convolution("first", 2, 3, Windows.square(3, 1, 1), 8, 16),
        Requantise("first.activation", 9, table),
        MaxPool("maximum", Windows.disjoint(2)),
        Convolution("second", 3, 4, Windows.square(2, 2, 0), 6, 10),
        Requantise("second.activation", 4, table),
        AveragePool("average", Windows.disjoint(3)),
        Flatten("flatten"),
        Linear("logit", 4, 1, 8, 12),
        Sign("decision"),
    )
    return Program.chain((2, 12, 12), 0, 4095, layers)


def sample_weights(program: Program, seed: int = 1) -> Weights:
    """Uniform over the ranges that the program states, biases over a quarter of theirs."""
    generator = np.random.default_rng(seed)
    weight, bias = {}, {}
    for layer in program.affine_layers:
        peak = 1 << (layer.weight_bits - 1)
        weight[layer.name] = generator.integers(-peak, peak, layer.weight_shape)
        if layer.bias_bits:
            peak = max(1, (1 << layer.bias_bits) >> 3)
            bias[layer.name] = generator.integers(-peak, peak, layer.weight_shape[:1])
    return Weights(program, weight, bias, 0x1234567890ABCDEF)


def sample_features(program: Program, frames: int, seed: int = 2, high: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, (frames, *program.input_shape))


def sample_private_part() -> PrivatePart:
    """One channel of 8x8 pixels to 3x2x2 features."""
    generator = np.random.default_rng(3)
    layers = (
        private.PrivateConvolution("stem", generator.normal(size=(3, 1, 3, 3)), generator.normal(size=3)),
        private.Square("square"),
        private.PrivateAveragePool.disjoint("pool", 4),
    )
    return PrivatePart((1, 8, 8), 4.0, layers, 0.01, (3, 2, 2))


def damaged(data: bytes, flips: int = 300) -> Iterator[bytes]:
    """Truncated, extended, random and bit-flipped versions of `data`."""
    generator = random.Random(4)
    yield b""
    yield data + b"\0"
    yield data + data
    for _ in range(30):
        yield data[: generator.randrange(len(data))]
        yield generator.randbytes(generator.randrange(1, 2 * len(data)))
    for _ in range(flips):
        changed = bytearray(data)
        changed[generator.randrange(min(len(data), 4096))] ^= 1 << generator.randrange(8)
        yield bytes(changed)


def survives_damage(decode: Callable[[bytes], Artefact], data: bytes) -> None:
    """Asserts that `decode` is strict: DecodeError, or the very artefact whose only encoding it was given.

    A flipped bit of a weight or of a name gives another valid artefact; anything else is refused.
    """
    assert decode(data).to_bytes() == data
    refused = 0
    for bad in damaged(data):
        try:
            assert decode(bad).to_bytes() == bad
        except DecodeError:
            refused += 1
    assert refused > 60
