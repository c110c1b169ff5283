"""Bytes that no decoder may accept, made from bytes that it accepts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest


def damaged(data: bytes, seed: int = 1, flips: int = 200) -> Iterator[bytes]:
    """Truncated, extended, random and bit-flipped versions of `data`, none of them equal to it."""
    generator = random.Random(seed)
    yield b""
    yield data + b"\0"
    yield data + data
    for _ in range(20):
        yield data[: generator.randrange(len(data))]
        yield generator.randbytes(generator.randrange(1, 2 * len(data)))
    for _ in range(flips):
        position = generator.randrange(len(data))
        yield flipped(data, position, generator.randrange(8))


def flipped(data: bytes, position: int, bit: int = 0) -> bytes:
    """`data` with one bit changed."""
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    return bytes(changed)


def refuses(decoder: Callable[[bytes], object], data: bytes, errors: tuple[type[Exception], ...]) -> None:
    """Asserts that `decoder` takes `data` and raises one of `errors` for every damaged version."""
    decoder(data)
    for bad in damaged(data):
        with pytest.raises(errors):
            decoder(bad)
