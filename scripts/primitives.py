"""What verify_aggregate.py needs beside the curve: strict CBOR, hashes and Ed25519, of the standard library.

Whatever is malformed raises ValueError.
"""

from __future__ import annotations

from hashlib import sha256, sha512
from typing import Any


def _demand(condition: bool, complaint: str) -> None:
    if not condition:
        raise ValueError(complaint)


# Deterministic CBOR (RFC 8949, 4.2.1) of integers, bytes, text, booleans, lists and maps.


def read_map(data: bytes) -> dict[str, Any]:
    """The map that `data` encodes, from its first byte to its last."""
    value, end = read_value(data, 0)
    _demand(end == len(data) and isinstance(value, dict), "CBOR: not one map")
    fields: dict[str, Any] = value
    return fields


def read_value(data: bytes, at: int, depth: int = 0) -> tuple[Any, int]:
    """The value that starts at `at`, and where it ends. Every value has one encoding that is accepted."""
    _demand(at < len(data) and depth <= 16, "CBOR: cut short or nested too deeply")
    kind, number, at = *divmod(data[at], 32), at + 1
    if kind == 7 and number in (20, 21):
        return number == 21, at
    _demand(kind < 6 and number < 28, "CBOR: a type that is not allowed")
    if number > 23:
        smallest, size = (24, 1 << 8, 1 << 16, 1 << 32)[number - 24], 1 << (number - 24)
        number, at = int.from_bytes(data[at : at + size], "big"), at + size
        _demand(at <= len(data) and number >= smallest, "CBOR: cut short or not in the shortest form")
    if kind < 2:
        return (-1 - number if kind else number), at
    _demand(number <= len(data) - at, "CBOR: cut short")
    if kind < 4:
        content, at = data[at : at + number], at + number
        text = content.decode(errors="replace") if kind == 3 else ""
        _demand(kind == 2 or text.encode() == content, "CBOR: not UTF-8")
        return (text if kind == 3 else content), at
    items, ends = [], [at]
    for _ in range(number * (kind - 3)):  # a map has keys and values
        item, at = read_value(data, at, depth + 1)
        items.append(item)
        ends.append(at)
    if kind == 4:
        return items, at
    keys = [data[start:end] for start, end in zip(ends[::2], ends[1::2], strict=False)]
    ordered = keys == sorted(set(keys)) and all(isinstance(key, str) for key in items[::2])
    _demand(ordered, "CBOR: keys that are not texts in ascending order")
    return dict(zip(items[::2], items[1::2], strict=True)), at


# Hashes.

#: The order of the groups of BLS12-381.
CURVE_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


def digest(domain: str, *items: bytes) -> bytes:
    prefixed = (len(item).to_bytes(8, "little") + item for item in (domain.encode(), *items))
    return sha256(b"".join(prefixed)).digest()


class Transcript:
    """Fiat-Shamir: challenges that depend on everything absorbed before them."""

    def __init__(self, domain: str) -> None:
        self.hash = sha512()
        self.absorb(("domain", domain.encode()))

    def absorb(self, *items: tuple[str, bytes | int]) -> None:
        for label, item in items:
            for data in (label.encode(), item.to_bytes(8, "little") if isinstance(item, int) else item):
                self.hash.update(len(data).to_bytes(8, "little") + data)

    def challenge(self, label: str) -> int:
        value = 0
        while value < 2:
            self.absorb(("challenge", label.encode()))
            squeezed = self.hash.digest()
            self.absorb(("squeezed", squeezed))
            value = int.from_bytes(squeezed, "little") % CURVE_ORDER
        return value


# Signatures: Ed25519 (RFC 8032, 5.1.7), points as (x, y) modulo 2^255 - 19.

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022


def ed_add(p: tuple[int, int], q: tuple[int, int]) -> tuple[int, int]:
    t = D * p[0] * q[0] * p[1] * q[1] % P
    x, y = (p[0] * q[1] + p[1] * q[0]), (p[1] * q[1] + p[0] * q[0])
    return x * pow(1 + t, -1, P) % P, y * pow(1 - t, -1, P) % P


def ed_multiply(point: tuple[int, int], factor: int) -> tuple[int, int]:
    result = (0, 1)
    for bit in bin(factor)[2:]:
        result = ed_add(ed_add(result, result), point if bit == "1" else (0, 1))
    return result


def ed_decode(data: bytes) -> tuple[int, int]:
    y, sign = int.from_bytes(data, "little") % 2**255, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    _demand(y < P and (x * x - square) % P == 0, "not a point of Ed25519")
    return (x if x % 2 == sign else P - x), y


def signature_verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    """A key of small order is malformed: under it one signature would fit many messages."""
    x, y = ed_decode(key)
    _demand(y not in (0, 1, P - 1, ORDER_8_Y, P - ORDER_8_Y), "an Ed25519 key of small order")
    base = ed_decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    h = int.from_bytes(sha512(r + key + message).digest(), "little") % L
    got = ed_add(ed_multiply(base, s), ed_multiply((P - x, y), h))
    return s < L and (got[1] | got[0] % 2 << 255).to_bytes(32, "little") == r
