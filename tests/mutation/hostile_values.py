"""Values that no artefact may hold where an honest one stands, by the number of their bytes."""

from __future__ import annotations

import random
import struct
from functools import cache
from typing import Literal

from pvcnn.algebra.constants import BASE_MODULUS, G1_BYTES, G2_BYTES, SCALAR_BYTES, SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, G2Point, encode_g1, encode_g2
from pvcnn.algebra.target import TARGET_BYTES, _to_bytes
from pvcnn.campaign.artefacts.signed import _SMALL_ORDER_Y
from tests.algebra.tower_elements import small_order
from tests.qmp.hostile import bad_encodings_g1, bad_encodings_g2

DOUBLE_BYTES, SIGNATURE_BYTES = 8, 64
#: The order of Ed25519's group: S and S + L are one signature to a careless verifier.
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
#: Integers at which something ends: widths of words and of CBOR's heads, and both moduli.
INTEGERS = tuple(
    sorted(
        {
            sign * (1 << bits) + near
            for bits in (7, 8, 16, 31, 32, 53, 63, 64)
            for near in (-1, 0, 1)
            for sign in (1, -1)
        }
        | {0, 1, -1, SCALAR_MODULUS - 1, SCALAR_MODULUS, SCALAR_MODULUS + 1, BASE_MODULUS, 1 << 4096}
    )
)
_DOUBLES = (float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 5e-324, -1.0, 1.7976931348623157e308)


@cache
def of_length(length: int) -> tuple[bytes, ...]:
    """Hostile values of exactly so many bytes; there are always some."""
    found = [bytes(length), b"\xff" * length]
    if length == G1_BYTES:
        found += [*bad_encodings_g1().values(), encode_g1(G1Point())]
        found += [
            number.to_bytes(length, order) for number in (BASE_MODULUS, BASE_MODULUS - 1) for order in _ORDERS
        ]
    if length == G2_BYTES:
        found += [*bad_encodings_g2().values(), encode_g2(G2Point())]
    if length == SCALAR_BYTES:
        numbers = (1, SCALAR_MODULUS - 1, SCALAR_MODULUS, SCALAR_MODULUS + 1, ED25519_ORDER, 2**255 - 19)
        found += [number.to_bytes(length, order) for number in numbers for order in _ORDERS]
        found += [(y | sign << 255).to_bytes(length, "little") for y in _SMALL_ORDER_Y for sign in (0, 1)]
    if length == TARGET_BYTES:
        coefficient = BASE_MODULUS.to_bytes(48, "little")
        found += [coefficient + bytes(240), bytes(240) + coefficient, (2).to_bytes(48, "little") + bytes(240)]
        found += [_to_bytes(small_order(random.Random(4513), 4513))]
    if length == DOUBLE_BYTES:
        found += [struct.pack(order + "d", value) for value in _DOUBLES for order in "<>"]
        found += [number.to_bytes(length, "little") for number in (1 << 31, 1 << 32, 1 << 62, 1 << 63)]
    return tuple(found)


_ORDERS: tuple[Literal["little"], Literal["big"]] = ("little", "big")


def instead_of(rng: random.Random, value: bytes) -> bytes:
    """`value` with a hostile value in one place: all of it, or a window where elements lie side by side."""
    sizes = [size for size in (8, 32, 48, 64, 96, 288) if size <= len(value)]
    if not sizes:
        return rng.randbytes(max(len(value), 1))
    size = rng.choice(sizes)
    step = G1_BYTES if size % G1_BYTES == 0 else size
    start = len(value) if len(value) % step else len(value) - size + step
    at = min(rng.randrange(0, max(start, 1), step), len(value) - size)
    window = value[at : at + size]
    changed = _malleable(rng, window) if rng.random() < 0.3 else rng.choice(of_length(size))
    return value[:at] + changed + value[at + size :]


def _malleable(rng: random.Random, value: bytes) -> bytes:
    """What a careless reader takes for `value`: the other sign, the same number modulo something else."""
    if len(value) == SIGNATURE_BYTES:
        s = int.from_bytes(value[32:], "little") + rng.choice((1, 2, 8)) * ED25519_ORDER
        return value[:32] + (s % (1 << 256)).to_bytes(32, "little")
    if len(value) in (G1_BYTES, G2_BYTES) and rng.random() < 0.5:
        return bytes([value[0] ^ 0x20]) + value[1:]
    order = rng.choice(_ORDERS)
    number = int.from_bytes(value, "little" if order == "little" else "big")
    number += rng.choice((1, -1)) * rng.choice((SCALAR_MODULUS, BASE_MODULUS, 2**255 - 19, 1))
    size = len(value)
    return (number % (1 << 8 * size)).to_bytes(size, "little" if order == "little" else "big")
