"""Lists of encoded points, decoded together: the subgroup test of many points costs little more than of one.

Where Numba is importable and PVCNN_NO_NUMBA is not 1, points are decompressed one by one and then tested
together by `pvcnn.algebra.subgroups`, which overlooks a point outside with probability below 2^-128, and that
over coins that are tossed after the points are fixed. Otherwise each is tested by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from pvcnn.algebra.constants import BASE_MODULUS, G1_BYTES, G2_BYTES
from pvcnn.algebra.points import G1Point, G2Point, Point
from pvcnn.errors import DecodeError

_COMPRESSED, _INFINITY, _FLAGS = 0x80, 0x40, 0xE0
_COORDINATE_BYTES: Final = 48
#: Fewer points than this are tested one by one: the common test has a cost of its own.
_MINIMUM: Final = 192


def decode_g1_list(encodings: Sequence[bytes]) -> list[G1Point]:
    """The points of prime order, none of them the identity, of canonical encodings; DecodeError otherwise."""
    points = curve_points_g1(encodings)
    if not _in_subgroup(points, "G1"):
        raise DecodeError("not a point of G1")
    return points


def decode_g2_list(encodings: Sequence[bytes]) -> list[G2Point]:
    """As `decode_g1_list`, for G2."""
    points = curve_points_g2(encodings)
    if not _in_subgroup(points, "G2"):
        raise DecodeError("not a point of G2")
    return points


def curve_points_g1(encodings: Sequence[bytes]) -> list[G1Point]:
    """The points of canonical encodings, none of them the identity, for `generate_g1` to test; DecodeError
    for anything else."""
    return [_on_curve(G1Point, "G1", G1_BYTES, encoding) for encoding in encodings]


def curve_points_g2(encodings: Sequence[bytes]) -> list[G2Point]:
    """As `curve_points_g1`, for `generate_g2`."""
    return [_on_curve(G2Point, "G2", G2_BYTES, encoding) for encoding in encodings]


def generate_g1(points: Sequence[G1Point]) -> bool:
    """Whether every point generates G1: it lies in the subgroup of order r and is not the identity."""
    identity = G1Point.identity()
    return all(point != identity for point in points) and _in_subgroup(points, "G1")


def generate_g2(points: Sequence[G2Point]) -> bool:
    """As `generate_g1`, for G2."""
    identity = G2Point.identity()
    return all(point != identity for point in points) and _in_subgroup(points, "G2")


def _on_curve(group: type[Point], name: str, size: int, encoding: bytes) -> Point:
    """The point, not tested for its order. The identity's encoding has a flag that no other point's has."""
    if len(encoding) != size:
        raise DecodeError(f"a {name} point has {size} bytes")
    if encoding[0] & _INFINITY:
        raise DecodeError(f"the identity of {name} is not allowed here")
    if not encoding[0] & _COMPRESSED:
        raise DecodeError(f"not a point of {name}")
    bare = bytes([encoding[0] & ~_FLAGS & 0xFF]) + encoding[1:]
    for at in range(0, size, _COORDINATE_BYTES):
        if int.from_bytes(bare[at : at + _COORDINATE_BYTES], "big") >= BASE_MODULUS:
            raise DecodeError(f"not the canonical encoding of a {name} point")
    try:
        point: Point = group.from_compressed_bytes_unchecked(encoding)
    except Exception as error:  # the binding raises its own types
        raise DecodeError(f"not a point of {name}") from error
    return point


def _in_subgroup(points: Sequence[Any], name: str) -> bool:
    together = _common_tests()
    if name not in together or len(points) < _MINIMUM:
        return all(point.is_in_subgroup() for point in points)
    return together[name](points)


@cache
def _common_tests() -> dict[str, Callable[[Sequence[Any]], bool]]:
    """By the name of a group, the test of many points together; empty where Numba may or can not be used."""
    if os.environ.get("PVCNN_NO_NUMBA") == "1":
        return {}
    try:
        from pvcnn.algebra import curve, subgroups
    except (ImportError, RuntimeError):  # no Numba, or no directory in which it may cache what it compiles
        return {}
    return {
        "G1": lambda points: subgroups.g1_in_subgroup([curve.g1_from_points(points)]),
        "G2": lambda points: subgroups.g2_in_subgroup([curve.g2_from_points(points)]),
    }
