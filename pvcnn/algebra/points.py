"""Single group elements and pairings, through py_arkworks_bls12381.

Vectors of points belong to `pvcnn.algebra.curve`; whatever verification does with one point at a
time is here, so that it needs none of the prover's kernels. Encodings are the IETF/ZCash compressed
ones, and decoding checks curve, subgroup and canonical form.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import TypeVar

from py_arkworks_bls12381 import GT, G1Point, G2Point, Scalar

from pvcnn.algebra.constants import G1_BYTES, G2_BYTES, SCALAR_BYTES, SCALAR_MODULUS
from pvcnn.errors import DecodeError

__all__ = [
    "G1Point",
    "G2Point",
    "Scalar",
    "decode_g1",
    "decode_g2",
    "decode_scalar",
    "encode_g1",
    "encode_g2",
    "encode_scalar",
    "linear_combination_g1",
    "pairing_product_is_one",
    "random_scalar",
    "scalar",
]


Point = TypeVar("Point", G1Point, G2Point)


def scalar(value: int) -> Scalar:
    """The field element of any integer."""
    return Scalar.from_le_bytes((value % SCALAR_MODULUS).to_bytes(SCALAR_BYTES, "little"))


def random_scalar() -> int:
    """A secret scalar in [1, r) from the operating system's generator."""
    return 1 + secrets.randbelow(SCALAR_MODULUS - 1)


def encode_scalar(value: int) -> bytes:
    """32 little-endian bytes of a scalar in [0, r)."""
    if not 0 <= value < SCALAR_MODULUS:
        raise ValueError("scalar is not canonical")
    return value.to_bytes(SCALAR_BYTES, "little")


def decode_scalar(data: bytes) -> int:
    """Inverse of `encode_scalar`; DecodeError unless canonical."""
    value = int.from_bytes(data, "little")
    if len(data) != SCALAR_BYTES or value >= SCALAR_MODULUS:
        raise DecodeError("scalar is not canonical")
    return value


def encode_g1(point: G1Point) -> bytes:
    return bytes(point.to_compressed_bytes())


def encode_g2(point: G2Point) -> bytes:
    return bytes(point.to_compressed_bytes())


def decode_g1(data: bytes, *, allow_identity: bool = False) -> G1Point:
    """A point of the prime-order subgroup; DecodeError otherwise, and for the identity unless allowed."""
    return _decode(G1Point, "G1", G1_BYTES, data, allow_identity)


def decode_g2(data: bytes, *, allow_identity: bool = False) -> G2Point:
    """As `decode_g1`, for G2."""
    return _decode(G2Point, "G2", G2_BYTES, data, allow_identity)


def _decode(group: type[Point], name: str, size: int, data: bytes, allow_identity: bool) -> Point:
    if len(data) != size:
        raise DecodeError(f"a {name} point has {size} bytes")
    try:
        point: Point = group.from_compressed_bytes(data)
    except Exception as error:  # the binding raises its own types
        raise DecodeError(f"not a point of {name}") from error
    if bytes(point.to_compressed_bytes()) != data:
        raise DecodeError(f"not the canonical encoding of a {name} point")
    if not allow_identity and point == group.identity():
        raise DecodeError(f"the identity of {name} is not allowed here")
    return point


def linear_combination_g1(points: Sequence[G1Point], scalars: Iterable[int]) -> G1Point:
    """sum_i scalars[i] points[i], for a handful of points."""
    return G1Point.multiexp_unchecked(list(points), [scalar(s) for s in scalars])


def pairing_product_is_one(pairs: Sequence[tuple[G1Point, G2Point]]) -> bool:
    """Whether prod_i e(P_i, Q_i) = 1."""
    return bool(GT.pairing_check([p for p, _ in pairs], [q for _, q in pairs]))
