"""Mutations of safetensors files: what the header claims, and rows of points."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from pvcnn.algebra.constants import BASE_MODULUS
from tests.mutation.octets import Mutator

_LENGTH_BYTES, _ALIGNMENT, _COORDINATE_BYTES = 8, 64, 48
_LENGTHS = (0, 1, 7, 65_536, 65_537, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_NUMBERS: tuple[Any, ...] = (
    -1,
    0,
    1,
    1 << 31,
    1 << 32,
    1 << 62,
    1 << 63,
    1 << 64,
    1.0,
    1e400,
    float("nan"),
    True,
    None,
    "1",
    [],
)


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The header's text, and the data behind it."""
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    return data[_LENGTH_BYTES:end], data[end:]


def _joined(text: bytes, rest: bytes) -> bytes:
    text += b" " * (-(_LENGTH_BYTES + len(text)) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + rest


def _on_header(change: Callable[[random.Random, dict[str, Any]], dict[str, Any]]) -> Mutator:
    def mutator(rng: random.Random, data: bytes) -> bytes:
        text, rest = _split(data)
        return _joined(json.dumps(change(rng, json.loads(text)), separators=(",", ":")).encode(), rest)

    return mutator


def _array(rng: random.Random, header: dict[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = header[
        rng.choice([name for name in header if name != "__metadata__"] or ["__metadata__"])
    ]
    return chosen


def _number(rng: random.Random, header: dict[str, Any]) -> dict[str, Any]:
    """A number of rows or an offset is another one."""
    array = _array(rng, header)
    numbers = array.get(rng.choice(("shape", "data_offsets"))) or [0]
    at = rng.randrange(len(numbers))
    value = numbers[at]
    numbers[at] = rng.choice((*_NUMBERS, value + 1, value - 1, 2 * value))
    return header


def _field(rng: random.Random, header: dict[str, Any]) -> dict[str, Any]:
    """A field of an array, or of what describes the file, is gone, another one, or there besides."""
    array = header["__metadata__"] if rng.random() < 0.3 else _array(rng, header)
    key = rng.choice(list(array))
    kind = rng.randrange(3)
    if kind == 0:
        del array[key]
    elif kind == 1:
        array[key] = rng.choice((None, "", "BF16", "F64", "U64", {}, [], 1, "2", array))
        if array[key] is array:
            array[key] = dict(array)
    else:
        array[rng.choice(("more", "format", "dtype"))] = rng.choice(("more", [1], None))
    return header


def _arrays(rng: random.Random, header: dict[str, Any]) -> dict[str, Any]:
    """Arrays change places, names or number."""
    names = list(header)
    kind = rng.randrange(4)
    first, second = rng.choice(names), rng.choice(names)
    if kind == 0:
        header[first], header[second] = header[second], header[first]
    elif kind == 1:
        del header[first]
    elif kind == 2:
        header["more"] = header[first]
    else:
        rng.shuffle(names)
    return {name: header[name] for name in names if name in header} | header


def _length(rng: random.Random, data: bytes) -> bytes:
    """The header is longer or shorter than it says."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    claim = rng.choice((*_LENGTHS, length + 1, length - 1, length + 64, len(data)))
    return claim.to_bytes(_LENGTH_BYTES, "little") + data[_LENGTH_BYTES:]


def _written_otherwise(rng: random.Random, data: bytes) -> bytes:
    """The same header in another form, or none at all."""
    text, rest = _split(data)
    header = json.loads(text)
    other = rng.choice(
        (
            json.dumps(header).encode(),
            json.dumps(header, sort_keys=True, separators=(",", ":")).encode(),
            text.rstrip().replace(b'{"', b'{"more":0,"', 1),
            text.rstrip()[:-1] + b"," + text.lstrip()[1:],
            b"\xef\xbb\xbf" + text,
            b" " + text,
            text.replace(b"f", b"\\u0066", 1),
            b"[" * 60_000,
            b'{"a":' * 12_000,
            b"{}",
            b"null",
            b"9" * 5_000,
            b"\xff" * 100,
        )
    )
    return _joined(other, rest)


def _row(rng: random.Random, data: bytes) -> bytes:
    """A coordinate is 0, not below q, of another point, or gone with all that its row has."""
    text, rest = _split(data)
    count = len(rest) // _COORDINATE_BYTES
    if count < 4:
        return text
    at = rng.randrange(count) * _COORDINATE_BYTES
    width = rng.choice((1, 2, 4)) * _COORDINATE_BYTES
    other = rng.randrange(count) * _COORDINATE_BYTES
    number = int.from_bytes(rest[at : at + _COORDINATE_BYTES], "little")
    part = rng.choice(
        (
            bytes(width),
            b"\xff" * width,
            BASE_MODULUS.to_bytes(_COORDINATE_BYTES, "little"),
            ((number + BASE_MODULUS) % (1 << 384)).to_bytes(_COORDINATE_BYTES, "little"),
            ((BASE_MODULUS - number) % (1 << 384)).to_bytes(_COORDINATE_BYTES, "little"),
            rest[other : other + width],
        )
    )
    return data[: len(data) - len(rest)] + (rest[:at] + part + rest[at + len(part) :])[: len(rest)]


def _rows(rng: random.Random, data: bytes) -> bytes:
    """An array has a row fewer or more, and the header says so."""
    text, rest = _split(data)
    header = json.loads(text)
    names = [name for name in header if name != "__metadata__"]
    if not names:
        return text
    chosen, moved = rng.choice(names), 0
    for name in names:
        start, end = (place + moved for place in header[name]["data_offsets"])
        if name == chosen and end > start:
            shape = header[name]["shape"]
            size = (end - start) // shape[0]
            if rng.random() < 0.5:
                rest, change = rest[: end - size] + rest[end:], -1
            else:
                rest, change = rest[:end] + rest[end - size : end] + rest[end:], 1
            shape[0] += change
            end, moved = end + change * size, change * size
        header[name]["data_offsets"] = [start, end]
    return _joined(json.dumps(header, separators=(",", ":")).encode(), rest)


MUTATORS: dict[str, Mutator] = {
    "number in the header": _on_header(_number),
    "field in the header": _on_header(_field),
    "arrays in the header": _on_header(_arrays),
    "header's length": _length,
    "header written otherwise": _written_otherwise,
    "hostile row": _row,
    "rows": _rows,
}
