"""The canonical encoding: one encoding per artefact, and nothing but DecodeError on hostile bytes."""

from __future__ import annotations

import contextlib
import sys
import time

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvcnn.encoding import MAX_ITEMS, MAX_OBJECTS, decode, encode, read_json, read_map
from pvcnn.errors import DecodeError

GOOD = encode("test", 1, {"count": 3, "name": "x", "data": b"ab", "flag": True, "items": [1, 2]})


def read(data: bytes) -> tuple[int, str, bytes, bool, list[int]]:
    fields = decode(data, "test", 1, 1000)
    result = (
        fields.integer("count", 0, 10),
        fields.text("name"),
        fields.octets("data", max_length=4),
        fields.boolean("flag"),
        fields.integer_sequence("items", 5, 0, 10),
    )
    fields.finish()
    return result


def test_round_trip() -> None:
    assert read(GOOD) == (3, "x", b"ab", True, [1, 2])


def test_flipped_bit_is_another_artefact_or_none() -> None:
    for bit in range(8 * len(GOOD)):
        data = bytearray(GOOD)
        data[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(DecodeError):
            assert read(bytes(data)) != read(GOOD), f"bit {bit}"


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(data)


def body(**changes: object) -> dict[str, object]:
    return {**cbor2.loads(GOOD), **changes}


@pytest.mark.parametrize(
    "data",
    [
        GOOD[:-1],
        GOOD + b"\0",
        b"",
        cbor2.dumps(dict(reversed(body().items()))),  # another order of the keys
        cbor2.dumps(body(extra=1), canonical=True),
        cbor2.dumps(body(count=10), canonical=True),
        cbor2.dumps(body(count=True), canonical=True),
        cbor2.dumps(body(count=1.0), canonical=True),
        cbor2.dumps(body(count=1 << 70), canonical=True),
        cbor2.dumps(body(name=None), canonical=True),
        cbor2.dumps(body(data=b"12345"), canonical=True),
        cbor2.dumps(body(items=[1] * 6), canonical=True),
        cbor2.dumps(body(version=2), canonical=True),
        cbor2.dumps(body(format="other"), canonical=True),
        cbor2.dumps([1, 2], canonical=True),
        b"\x81" * 900 + b"\x01",  # nested lists
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",  # a list that claims 2^64 - 1 entries
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",  # a byte string that claims 2^63 - 1 bytes
        b"\xbf\xff",  # indefinite length
        b"\xc2\x41\x01",  # a tag
        GOOD + b"\0" * 1000,
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(data)


def test_reserved_names_and_types_are_refused_when_encoding() -> None:
    with pytest.raises(ValueError, match="reserved"):
        encode("test", 1, {"format": "x"})
    with pytest.raises(DecodeError):
        encode("test", 1, {"x": 1.5})


@pytest.mark.parametrize(
    "item", [b"\x00", b"\x80", b"\xa0", b"\x40", b"\x61a", b"\x81\x00"], ids=lambda item: item.hex()
)
def test_many_small_items_are_counted_before_they_are_made(item: bytes) -> None:
    """16 MiB of them, which a program may have, would take seconds and up to a gigabyte."""
    count = (16 << 20) // len(item)
    data = b"\x9a" + count.to_bytes(4, "big") + count * item
    started = time.process_time()
    with pytest.raises(DecodeError, match="more items than an artefact has"):
        read_map(data, "test", len(data))
    assert time.process_time() - started < 1


def test_json_is_not_nested_deeply() -> None:
    """Whatever the recursion limit: a deep stack of the C reader ends the process."""
    assert read_json(b'{"a":[{"b":"[[[[[[[[[[[[[[[[[[[["}]}', "x") == {"a": [{"b": "[" * 20}]}
    assert read_json("[" * 16 + "]" * 16, "x")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        for piece in (b"[", b'{"a":', b'["]",', b'["\\"]]",'):
            with pytest.raises(DecodeError, match="nested too deeply"):
                read_json(piece * 100_000, "x")
    finally:
        sys.setrecursionlimit(limit)
    for text in (b"", b"[", b"\xff", b'"', b"9" * 5000, "\udcff"):
        with pytest.raises(DecodeError):
            read_json(text, "x")


def test_as_many_items_as_are_allowed() -> None:
    """A map, its key, the list, and what is in it."""
    for count, value in ((MAX_ITEMS - 3, 1 << 20), (MAX_OBJECTS - 3, b"")):
        data = cbor2.dumps({"a": [value] * count}, canonical=True)
        assert len(read_map(data, "test", len(data))["a"]) == count
        data = cbor2.dumps({"a": [value] * (count + 1)}, canonical=True)
        with pytest.raises(DecodeError, match="more items"):
            read_map(data, "test", len(data))
