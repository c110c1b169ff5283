"""Mutations of CBOR that know its structure: mutants reach what lies behind the canonical encoding."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from typing import Any

import cbor2

from tests.mutation import hostile_values
from tests.mutation.octets import Mutator

#: A map or list, and the key or index of one of its values.
Place = tuple[Any, Any]
_MARK = b"what stands here is replaced by raw bytes"
BOMB_DEPTH = 100_000
_MOST_ADDED = 1 << 20
_TEXTS = ("", "\0", "x" * 257, "\n", "\u202e", "é", "\U0001d7ce", "x" * 70_000, "pvcnn-signed", "0")
_CLAIMS = (1 << 16, (1 << 31) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def _places(value: Any) -> list[Place]:
    """All values within a tree, those that hold others too."""
    found: list[Place] = []
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        found += _places(value[key])
    return found


def _on_tree(change: Callable[[random.Random, Any, list[Place]], None]) -> Mutator:
    """The mutator that changes the tree at random places, or in an artefact that is a value within it."""

    def mutator(rng: random.Random, data: bytes) -> bytes:
        tree = cbor2.loads(data)
        places = _places(tree)
        inner = [place for place in places if _is_artefact(place[0][place[1]])]
        if inner and rng.random() < 0.5:
            holder, key = rng.choice(inner)
            holder[key] = mutator(rng, holder[key])
        else:
            change(rng, tree, places)
        return cbor2.dumps(tree, canonical=True)

    return mutator


def _is_artefact(value: Any) -> bool:
    if not isinstance(value, bytes) or b"format" not in value[:512]:
        return False
    try:
        return isinstance(cbor2.loads(value), dict)
    except Exception:
        return False


def _removed(rng: random.Random, tree: Any, places: list[Place]) -> None:
    holder, key = rng.choice(places)
    del holder[key]


def _renamed(rng: random.Random, tree: Any, places: list[Place]) -> None:
    holder, key = rng.choice([place for place in places if isinstance(place[0], dict)])
    name = rng.choice((key + "s", key[:-1], key.upper(), "", "format", "x" * 300, rng.choice(list(holder))))
    holder[name] = holder.pop(key)


def _added(rng: random.Random, tree: Any, places: list[Place]) -> None:
    maps = [tree, *(holder for holder, _ in places if isinstance(holder, dict))]
    rng.choice(maps)[rng.choice(("", "more", "zz", "a", "signature", "labels_commitment"))] = _other(rng, 0)


def _exchanged(rng: random.Random, tree: Any, places: list[Place]) -> None:
    """Two values change places, mostly of the same type."""
    holder, key = rng.choice(places)
    alike = [place for place in places if type(place[0][place[1]]) is type(holder[key])]
    other, at = rng.choice(alike if rng.random() < 0.8 else places)
    if _holds(holder[key], other) or _holds(other[at], holder):
        holder[key] = b""
    else:
        holder[key], other[at] = other[at], holder[key]


def _holds(value: Any, other: Any) -> bool:
    return value is other or any(holder[key] is other or holder is other for holder, key in _places(value))


def _copied(rng: random.Random, tree: Any, places: list[Place]) -> None:
    """A value is that of another field."""
    holder, key = rng.choice(places)
    other, at = rng.choice(places)
    holder[key] = cbor2.loads(cbor2.dumps(other[at]))


def _retyped(rng: random.Random, tree: Any, places: list[Place]) -> None:
    holder, key = rng.choice(places)
    holder[key] = _other(rng, holder[key])


def _other(rng: random.Random, value: Any) -> Any:
    """Something of another type, as near to `value` as there is."""
    near: list[Any] = [[value], {"": value}, bool(value), None, math.nan, math.inf, -0.0, b"", "", [], {}]
    near += [cbor2.undefined, cbor2.CBORTag(24, b"\xa0"), cbor2.CBORSimpleValue(99), 1 << 200]
    if isinstance(value, bytes):
        near += [value.hex(), list(value[:100]), int.from_bytes(value[:8], "little")]
    elif isinstance(value, str):
        near += [value.encode()]
    elif isinstance(value, int):
        near += [
            float(value) if abs(value) < 1 << 53 else 0.5,
            str(value),
            value.to_bytes(16, "big", signed=True),
        ]
    return rng.choice(near)


def _integer(rng: random.Random, tree: Any, places: list[Place]) -> None:
    """An integer is extreme, or off by one. Where there is none, another value becomes one."""
    numbers = [place for place in places if type(place[0][place[1]]) in (int, bool)] or places
    holder, key = rng.choice(numbers)
    near = [holder[key] + change for change in (1, -1)] if isinstance(holder[key], int) else []
    holder[key] = rng.choice((*hostile_values.INTEGERS, *near, *near))


def _octets(rng: random.Random, tree: Any, places: list[Place]) -> None:
    """A byte string or text holds a hostile value, or is shorter or longer."""
    strings = [place for place in places if isinstance(place[0][place[1]], bytes | str)]
    holder, key = rng.choice(strings)
    value = holder[key]
    if isinstance(value, str):
        holder[key] = rng.choice((*_TEXTS, value + " ", value[:-1], value.swapcase()))
    elif rng.random() < 0.8:
        holder[key] = hostile_values.instead_of(rng, value)
    else:
        holder[key] = rng.choice((value[:-1], value + b"\0", b"", value * 2, bytes(1 << 16)))


def _list(rng: random.Random, tree: Any, places: list[Place]) -> None:
    """A list has one entry fewer or more, another order, or very many. Where there is none, one appears."""
    lists = [holder[key] for holder, key in places if isinstance(holder[key], list)]
    if not lists:
        holder, key = rng.choice(places)
        holder[key] = [holder[key]] * 2
        return
    chosen = rng.choice(lists)
    kind = rng.randrange(6)
    if kind == 0 and chosen:
        del chosen[rng.randrange(len(chosen))]
    elif kind == 1 and chosen:
        chosen.insert(rng.randrange(len(chosen) + 1), rng.choice(chosen))
    elif kind == 2:
        rng.shuffle(chosen)
    elif kind == 3:
        chosen.clear()
    elif kind == 4 and chosen:
        size = len(cbor2.dumps(chosen[0]))
        chosen.extend(chosen[:1] * min(rng.choice((10, 100, 5000)), 1 + _MOST_ADDED // size))
    else:
        chosen.append(_other(rng, 0))


def _claimed(rng: random.Random, data: bytes) -> bytes:
    """A string, list or map says that it has very much in it."""
    at = rng.choice(_heads(data))
    head = bytes([data[at] & 0xE0 | 27]) + rng.choice(_CLAIMS).to_bytes(8, "big")
    return data[:at] + head + data[at + _head_length(data[at]) :]


def _loose(rng: random.Random, data: bytes) -> bytes:
    """The same content in an encoding that is not the canonical one."""
    at = rng.choice(_heads(data))
    kind, short = data[at] & 0xE0, data[at] & 31
    rest = data[at + _head_length(data[at]) :]
    if short < 24 and rng.random() < 0.7:
        width = rng.choice((1, 2, 4, 8))
        head = bytes([kind | {1: 24, 2: 25, 4: 26, 8: 27}[width]]) + short.to_bytes(width, "big")
        return data[:at] + head + rest
    if at == 0:
        return rng.choice((b"\xbf" + rest + b"\xff", b"\xd9\xd9\xf7" + data))
    tree = cbor2.loads(data)
    return cbor2.dumps(dict(reversed(tree.items())))


def _duplicated(rng: random.Random, data: bytes) -> bytes:
    """A field of the outermost map is there twice."""
    tree = cbor2.loads(data)
    key = rng.choice(list(tree))
    pair = cbor2.dumps(key) + cbor2.dumps(rng.choice((tree[key], 0)), canonical=True)
    return _map_head(len(tree) + 1) + cbor2.dumps(tree, canonical=True)[_head_length(data[0]) :] + pair


def _bomb(rng: random.Random, data: bytes) -> bytes:
    """A value is nested very deeply, or so wide that it costs more to read than to send."""
    wide = rng.choice((1 << 12, 1 << 14, 1 << 16))
    raw = rng.choice(
        (
            b"\x81" * BOMB_DEPTH,
            b"\x81" * BOMB_DEPTH + b"\0",
            b"\xa1\x61a" * BOMB_DEPTH + b"\0",
            b"\xc1" * BOMB_DEPTH + b"\0",
            b"\x9f" * BOMB_DEPTH + b"\xff" * BOMB_DEPTH,
            b"\x81" * 17 + b"\0",
            b"\x9a"
            + wide.to_bytes(4, "big")
            + rng.choice((b"\0", b"\x80", b"\xa0", b"\x40", b"\xf5")) * wide,
            b"\x9a" + (1 << 24).to_bytes(4, "big") + b"\x80" * wide,
            b"\xd8\x1c\x81\xd8\x1d\0",
        )
    )
    tree = cbor2.loads(data)
    holder, key = rng.choice(_places(tree))
    holder[key] = _MARK
    return cbor2.dumps(tree, canonical=True).replace(cbor2.dumps(_MARK), raw)


def _map_head(length: int) -> bytes:
    return bytes([0xA0 | length]) if length < 24 else b"\xb8" + struct.pack(">B", length)


def _head_length(initial: int) -> int:
    return 1 + {24: 1, 25: 2, 26: 4, 27: 8}.get(initial & 31, 0)


def _heads(data: bytes) -> list[int]:
    """Where an item begins, of a canonical encoding."""
    found, at = [], 0
    while at < len(data):
        found.append(at)
        length = data[at] & 31
        start, at = at, at + _head_length(data[at])
        if data[start] >> 5 in (2, 3):
            at += length if length < 24 else int.from_bytes(data[start + 1 : at], "big")
    return found


MUTATORS: dict[str, Mutator] = {
    "field removed": _on_tree(_removed),
    "field renamed": _on_tree(_renamed),
    "field added": _on_tree(_added),
    "values exchanged": _on_tree(_exchanged),
    "value copied": _on_tree(_copied),
    "type changed": _on_tree(_retyped),
    "extreme integer": _on_tree(_integer),
    "hostile string": _on_tree(_octets),
    "list changed": _on_tree(_list),
    "length inflated": _claimed,
    "not canonical": _loose,
    "field duplicated": _duplicated,
    "bomb": _bomb,
}
