"""Deterministic CBOR for every small artefact (docs/formats.md).

An artefact is one CBOR map with text keys; `format` and `version` name what it is. Only integers,
byte strings, text, booleans, lists and maps with text keys are allowed: no floats, no tags, no
null. Decoding bounds the size first, then demands that re-encoding gives the input back, so every
artefact has exactly one encoding (RFC 8949, 4.2.1).
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import cbor2

from pvcnn.errors import DecodeError

Value: TypeAlias = "int | bytes | str | bool | list[Value] | dict[str, Value]"

MAX_DEPTH = 16
#: Items of all lists and maps together; and those of them that are no integers. An item of one byte becomes
#: an object of up to 64 in memory: without a bound, 16 MiB of empty maps would take a gigabyte.
MAX_ITEMS: Final = 1 << 21
MAX_OBJECTS: Final = 1 << 17
_INTEGER_LIMIT = 1 << 64
_INTEGERS: Final = re.compile(
    rb"(?:[\x00-\x17\x20-\x37]|[\x18\x38].|[\x19\x39]..|[\x1a\x3a].{4}|[\x1b\x3b].{8})*+", re.DOTALL
)
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[\]{}]")
_BYTES, _TEXT, _LIST, _MAP = 2, 3, 4, 5
_LENGTH_BYTES: Final = {24: 1, 25: 2, 26: 4, 27: 8}


def encode(format_name: str, version: int, fields: Mapping[str, Any]) -> bytes:
    """The artefact's only encoding. `fields` must not hold `format` or `version`."""
    body: dict[str, Any] = {"format": format_name, "version": version}
    overlap = body.keys() & fields.keys()
    if overlap:
        raise ValueError(f"reserved field names: {sorted(overlap)}")
    body.update(fields)
    _check_types(body, 0)
    return cbor2.dumps(body, canonical=True)


def decode(data: bytes, format_name: str, version: int, max_bytes: int) -> Fields:
    """The fields of an artefact of at most `max_bytes` bytes.

    Raises DecodeError for anything but the canonical encoding of a map of the given format and
    version. The caller takes every field out of the result and then calls `Fields.finish`.
    """
    body = read_map(data, format_name, max_bytes)
    fields = Fields(body, format_name)
    if fields.text("format") != format_name:
        raise DecodeError(f"{format_name}: the file says it is another format")
    if fields.integer("version", 0, 1 << 16) != version:
        raise DecodeError(f"{format_name}: only version {version} is supported")
    return fields


def read_map(data: bytes, where: str, max_bytes: int) -> dict[str, Any]:
    """The map that `data` canonically encodes, whatever artefact it is; `where` names it in errors."""
    if not isinstance(data, bytes):
        raise DecodeError(f"{where}: expected bytes")
    if len(data) > max_bytes:
        raise DecodeError(f"{where}: {len(data)} bytes, at most {max_bytes} allowed")
    _bound_items(data, where)
    try:
        body = cbor2.loads(
            data,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
        _check_types(body, 0)
        canonical = cbor2.dumps(body, canonical=True)
    except DecodeError:
        raise
    except Exception as error:  # hostile bytes: whatever the library raises, the answer is one
        raise DecodeError(f"{where}: not CBOR of the allowed kind") from error
    if canonical != data:
        raise DecodeError(f"{where}: not the canonical encoding")
    if not isinstance(body, dict):
        raise DecodeError(f"{where}: expected a map")
    return body


def read_json(text: bytes | str, where: str) -> Any:
    """What JSON text says, for headers that others write. Raises DecodeError if it is malformed.

    Nothing may be nested more deeply than in CBOR: the reader is recursive in C, and overflows the stack
    wherever some package has raised the recursion limit.
    """
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise DecodeError(f"{where}: nested too deeply")
    try:
        return json.loads(text)
    except ValueError as error:
        raise DecodeError(f"{where}: not JSON") from error


def _bound_items(data: bytes, where: str) -> None:
    """Raises DecodeError if `data` holds more items than any artefact, before one of them is an object.

    Integers, of which there can be millions, are passed over many at once. What is no CBOR of the allowed
    kind ends the count: the decoder says what is wrong with it.
    """
    position, items, objects = 0, 1, 0
    while (position := _end_of_integers(data, position)) < len(data):
        kind, length = data[position] >> 5, data[position] & 31
        position += 1
        if length in _LENGTH_BYTES:
            start, position = position, position + _LENGTH_BYTES[length]
            length = int.from_bytes(data[start:position], "big")
        if kind in (_LIST, _MAP):
            items += length if kind == _LIST else 2 * length
        elif kind in (_BYTES, _TEXT):
            position = min(position + length, len(data))
        objects += 1
        if items > MAX_ITEMS or objects > MAX_OBJECTS:
            raise DecodeError(f"{where}: more items than an artefact has")


def _end_of_integers(data: bytes, position: int) -> int:
    """Where the integers end that begin at `position`: there, if none does."""
    found = _INTEGERS.match(data, position)
    return found.end() if found else position


def _check_types(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DecodeError("nested too deeply")
    if isinstance(value, bool | bytes | str):
        return
    if isinstance(value, int):
        if not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
            raise DecodeError("integer outside 64 bits")
    elif isinstance(value, list):
        if value and set(map(type, value)) == {int}:  # as below, for millions
            value = [min(value), max(value)]
        for item in value:
            _check_types(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise DecodeError("map keys must be text")
            _check_types(item, depth + 1)
    else:
        raise DecodeError(f"type {type(value).__name__} is not allowed")


class Fields:
    """Takes typed, bounded fields out of a decoded map; `finish` refuses what was not asked for."""

    def __init__(self, body: dict[str, Any], where: str) -> None:
        self._body = dict(body)
        self._where = where

    def _take(self, name: str) -> object:
        try:
            return self._body.pop(name)
        except KeyError:
            raise DecodeError(f"{self._where}: field {name!r} is missing") from None

    def holds(self, name: str) -> bool:
        """Whether the field is there, of the few that an artefact may lack."""
        return name in self._body

    def integer(self, name: str, low: int, high: int) -> int:
        """An integer in [low, high)."""
        value = self._take(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
            raise DecodeError(f"{self._where}: field {name!r} must be an integer in [{low}, {high})")
        return value

    def boolean(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            raise DecodeError(f"{self._where}: field {name!r} must be a boolean")
        return value

    def double(self, name: str) -> float:
        """A big-endian double as a byte string."""
        (value,) = struct.unpack(">d", self.octets(name, 8))
        return float(value)

    def octets(self, name: str, length: int | None = None, max_length: int | None = None) -> bytes:
        """A byte string, of exactly `length` bytes or at most `max_length`."""
        value = self._take(name)
        if not isinstance(value, bytes):
            raise DecodeError(f"{self._where}: field {name!r} must be a byte string")
        if length is not None and len(value) != length:
            raise DecodeError(f"{self._where}: field {name!r} must have {length} bytes")
        if max_length is not None and len(value) > max_length:
            raise DecodeError(f"{self._where}: field {name!r} has more than {max_length} bytes")
        return value

    def text(self, name: str, max_length: int = 256) -> str:
        value = self._take(name)
        if not isinstance(value, str) or len(value) > max_length:
            raise DecodeError(f"{self._where}: field {name!r} must be text of at most {max_length}")
        return value

    def sequence(self, name: str, max_length: int) -> list[Any]:
        value = self._take(name)
        if not isinstance(value, list) or len(value) > max_length:
            raise DecodeError(f"{self._where}: field {name!r} must be a list of at most {max_length}")
        return value

    def octets_sequence(self, name: str, max_length: int, item_length: int) -> list[bytes]:
        """A list of at most `max_length` byte strings of `item_length` bytes each."""
        items = self.sequence(name, max_length)
        if any(not isinstance(item, bytes) or len(item) != item_length for item in items):
            raise DecodeError(f"{self._where}: field {name!r} must hold {item_length}-byte strings")
        return items

    def integer_sequence(self, name: str, max_length: int, low: int, high: int) -> list[int]:
        """A list of at most `max_length` integers in [low, high)."""
        items = self.sequence(name, max_length)
        if any(isinstance(i, bool) or not isinstance(i, int) or not low <= i < high for i in items):
            raise DecodeError(f"{self._where}: field {name!r} must hold integers in [{low}, {high})")
        return items

    def mapping(self, name: str) -> Fields:
        value = self._take(name)
        if not isinstance(value, dict):
            raise DecodeError(f"{self._where}: field {name!r} must be a map")
        return Fields(value, f"{self._where}.{name}")

    def mappings(self, name: str, max_length: int) -> list[Fields]:
        items = self.sequence(name, max_length)
        if any(not isinstance(item, dict) for item in items):
            raise DecodeError(f"{self._where}: field {name!r} must hold maps")
        return [Fields(item, f"{self._where}.{name}[{i}]") for i, item in enumerate(items)]

    def finish(self) -> None:
        """Raises DecodeError if fields are left that nobody asked for."""
        if self._body:
            raise DecodeError(f"{self._where}: unknown fields {sorted(self._body)[:5]}")
