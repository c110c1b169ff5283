"""Hostile bytes for decoders, and points that lie where they must not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from pvcnn.algebra.constants import BASE_MODULUS, G1_BYTES, G2_BYTES
from pvcnn.algebra.points import G1Point, G2Point, encode_g1, encode_g2
from pvcnn.errors import DecodeError

Decode = Callable[[bytes], object]


def refuses(decode: Decode, data: object) -> bool:
    """Whether `decode` raises DecodeError on `data`; any other exception comes through."""
    try:
        decode(data)  # type: ignore[arg-type]
    except DecodeError:
        return True
    return False


def never_well_formed(data: bytes, seed: int = 1) -> Iterator[bytes]:
    """Bytes that no decoder of `data`'s format may accept: truncated, extended, random, empty."""
    source = random.Random(seed)
    for length in sorted({0, 1, 7, 8, 9, len(data) // 2, len(data) - 1}):
        yield data[:length]
    yield data + b"\0"
    yield data + data
    yield b"\0" + data
    for length in (1, 64, len(data)):
        yield source.randbytes(length)
    yield bytes(len(data))
    yield b"\xff" * len(data)
    yield b"\xbf" * 1000
    yield b"[" * 100_000


def bit_flips(data: bytes, count: int, seed: int = 2) -> Iterator[bytes]:
    """`data` with one bit flipped, at `count` places spread over all of it."""
    source = random.Random(seed)
    for i in range(count):
        position = i * len(data) // count
        damaged = bytearray(data)
        damaged[position] ^= 1 << source.randrange(8)
        yield bytes(damaged)


def _square_root(value: int) -> int | None:
    root = pow(value, (BASE_MODULUS + 1) // 4, BASE_MODULUS)
    return root if root * root % BASE_MODULUS == value % BASE_MODULUS else None


def stray_g1() -> G1Point:
    """A point of the curve of G1 outside of the prime-order subgroup."""
    for x in range(1, 100):
        y = _square_root(x**3 + 4)
        if y is None:
            continue
        point = G1Point.from_xy_bytes_unchecked_be(x.to_bytes(48, "big") + y.to_bytes(48, "big"))
        if not point.is_in_subgroup():
            return point
    raise AssertionError("no such point with a small x")


def stray_g2() -> G2Point:
    """A point of the curve of G2 outside of the prime-order subgroup."""
    for x in range(100):
        try:
            point = G2Point.from_compressed_bytes_unchecked(b"\x80" + bytes(94) + bytes([x]))
        except ValueError:
            continue
        if not point.is_in_subgroup():
            return point
    raise AssertionError("no such point with a small x")


def bad_encodings_g1() -> dict[str, bytes]:
    """Encodings that are not a generator of G1."""
    honest = encode_g1(G1Point())
    large = int.from_bytes(honest, "big") + BASE_MODULUS
    identity = encode_g1(G1Point.identity())
    return {
        "identity": identity,
        "identity with a sign": bytes([identity[0] | 0x20]) + identity[1:],
        "identity with an x": identity[:-1] + b"\1",
        "outside of the subgroup": encode_g1(stray_g1()),
        "uncompressed flag": bytes([honest[0] & 0x7F]) + honest[1:],
        "x not below q": large.to_bytes(G1_BYTES, "big") if large >> 384 == 0 else b"\x9f" + b"\xff" * 47,
        "not on the curve": next(candidate for candidate in _small_x_encodings() if _not_on_curve(candidate)),
    }


def _small_x_encodings() -> Iterator[bytes]:
    for x in range(1, 100):
        yield b"\x80" + bytes(46) + bytes([x])


def _not_on_curve(encoding: bytes) -> bool:
    return _square_root(encoding[-1] ** 3 + 4) is None


def bad_encodings_g2() -> dict[str, bytes]:
    """Encodings that are not a generator of G2."""
    honest = encode_g2(G2Point())
    identity = encode_g2(G2Point.identity())
    return {
        "identity": identity,
        "identity with an x": identity[:-1] + b"\1",
        "outside of the subgroup": encode_g2(stray_g2()),
        "uncompressed flag": bytes([honest[0] & 0x7F]) + honest[1:],
        "x not below q": b"\x9f" + b"\xff" * (G2_BYTES - 1),
    }
