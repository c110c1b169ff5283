"""Mutations of bytes as bytes, whatever they encode."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.mutation import hostile_values

Mutator = Callable[[random.Random, bytes], bytes]


def bit(rng: random.Random, data: bytes) -> bytes:
    """One bit flipped."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def byte(rng: random.Random, data: bytes) -> bytes:
    """One byte replaced, often by an extreme."""
    at = rng.randrange(len(data))
    value = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return data[:at] + bytes([value]) + data[at + 1 :]


def several_bits(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.randrange(2, 9)):
        data = bit(rng, data)
    return data


def truncated(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.choice((0, 1, len(data) - 1, len(data) // 2, rng.randrange(len(data))))]


def extended(rng: random.Random, data: bytes) -> bytes:
    more = rng.choice((b"\0", b"\xff", b"\xf6", rng.randbytes(rng.randrange(1, 100)), data))
    return rng.choice((data + more, more + data))


def cut_out(rng: random.Random, data: bytes) -> bytes:
    """A part in the middle is gone."""
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def repeated(rng: random.Random, data: bytes) -> bytes:
    """A part occurs twice."""
    start, end = _span(rng, data)
    return data[:end] + data[start:]


def swapped(rng: random.Random, data: bytes) -> bytes:
    """Two parts of the same length change places."""
    length = rng.choice((1, 8, 32, 48, 96))
    if len(data) < 2 * length:
        return data[::-1]
    first, second = sorted(rng.sample(range(len(data) // length), 2))
    parts = [data[i * length : (i + 1) * length] for i in (first, second)]
    first, second = first * length, second * length
    return data[:first] + parts[1] + data[first + length : second] + parts[0] + data[second + length :]


def filled(rng: random.Random, data: bytes) -> bytes:
    """A part is all zeros, all ones, or noise."""
    start, end = _span(rng, data)
    part = rng.choice((bytes(end - start), b"\xff" * (end - start), rng.randbytes(end - start)))
    return data[:start] + part + data[end:]


def noise(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(rng.randrange(min(2 * len(data), 1000)))


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 8, 32, 48, 100, len(data))))


MUTATORS: dict[str, Mutator] = {
    "bit": bit,
    "byte": byte,
    "several bits": several_bits,
    "truncated": truncated,
    "extended": extended,
    "cut out": cut_out,
    "repeated": repeated,
    "swapped": swapped,
    "filled": filled,
    "noise": noise,
    "hostile value": hostile_values.instead_of,
}
