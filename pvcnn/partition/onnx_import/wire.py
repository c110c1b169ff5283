"""What an ONNX file would cost to parse, found before it is parsed.

An empty message takes two bytes of a file and hundreds in memory, a number one byte and eight. So the
fields are counted first, without making anything of them.
"""

from __future__ import annotations

from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from pvcnn.errors import DecodeError

#: Messages, strings and numbers that stand alone; a network of 1000 layers has about 50 000.
MAX_FIELDS = 1 << 18
#: Bytes of strings and of numbers other than raw ones.
MAX_LOOSE_BYTES = 1 << 25
#: A tensor within a node within a graph within a model is four levels deep.
MAX_DEPTH = 16

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def check_cost(data: bytes, message: Descriptor) -> None:
    """Raises DecodeError for bytes that are no `message`, or one of too many parts or levels."""
    fields = loose = 0
    pending = [(0, len(data), message, 0)]
    while pending:
        place, end, message, depth = pending.pop()
        known = _known_fields(message)
        if depth > MAX_DEPTH:
            raise DecodeError(f"messages are nested more than {MAX_DEPTH} levels deep")
        while place < end:
            fields += 1
            if fields > MAX_FIELDS:
                raise DecodeError(f"more than {MAX_FIELDS} fields")
            tag, begin = _varint(data, place, end)
            begin, place = _extent(data, begin, end, tag & 7)
            inner, is_raw = known.get(tag >> 3, (None, False))
            if inner is not None and tag & 7 == _LENGTH:
                pending.append((begin, place, inner, depth + 1))
            elif not is_raw:
                loose += place - begin
        if loose > MAX_LOOSE_BYTES:
            raise DecodeError(
                f"more than {MAX_LOOSE_BYTES} bytes of numbers and strings; save weights as raw_data"
            )


@cache
def _known_fields(message: Descriptor) -> dict[int, tuple[Descriptor | None, bool]]:
    """By number of the field: its message, if it is one; whether it holds raw bytes."""
    return {
        field.number: (field.message_type, field.type == FieldDescriptor.TYPE_BYTES)
        for field in message.fields
    }


def _extent(data: bytes, place: int, end: int, wire: int) -> tuple[int, int]:
    """Where the payload of a field that has this wire type begins and ends."""
    if wire == _VARINT:
        after = _varint(data, place, end)[1]
    elif wire == _LENGTH:
        length, place = _varint(data, place, end)
        after = place + length
    elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
        after = place + (8 if wire == _EIGHT_BYTES else 4)
    else:
        raise DecodeError(f"wire type {wire} at byte {place}: not an ONNX file")
    if after > end:
        raise DecodeError(f"a field at byte {place} reaches beyond its message: not an ONNX file")
    return place, after


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    """The number that begins at `place`, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            raise DecodeError("ends within a number: not an ONNX file")
        octet = data[place]
        place += 1
        value |= (octet & 127) << shift
        if octet < 128:
            return value, place
    raise DecodeError(f"a number of more than ten bytes before byte {place}: not an ONNX file")
