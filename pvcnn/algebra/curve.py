"""Vectors of points of G1 and G2: sums of multiples, multiples of the generator, conversions.

A G1 vector is (n, 12) uint64, x and y of six words each; a G2 vector is (n, 24), x.c0, x.c1, y.c0,
y.c1. Coordinates are affine, in Montgomery form with R = 2^384, reduced; the identity is all zero.
Opaque outside pvcnn.algebra. Importing this module needs numba (DependencyMissing).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.fixed_base import Table, table_width, window_count
from pvcnn.algebra.kernels import point_vectors
from pvcnn.algebra.multiexponentiation import PointVector, WindowSums, window_sums
from pvcnn.algebra.points import G1Point, G2Point, scalar
from pvcnn.algebra.scalars import ScalarVector

__all__ = [
    "PointVector",
    "fixed_base_g1",
    "fixed_base_g2",
    "g1_from_points",
    "g1_on_curve",
    "g1_to_points",
    "g2_from_points",
    "g2_on_curve",
    "g2_to_points",
    "msm_g1",
    "msm_g2",
]

_BASE_BYTES = 48
Point = TypeVar("Point", G1Point, G2Point)


def msm_g1(points: PointVector, values: ScalarVector | NDArray[np.int64]) -> G1Point:
    """sum_i values[i] points[i] in G1.

    values: (n, 4) scalars, or (n,) int64, which are read as signed integers: their cost grows with
    the bits of the largest magnitude. ValueError for arrays of different lengths or other types.
    """
    return _G1.combine(window_sums(_G1.checked(points), values, _G1.degree))


def msm_g2(points: PointVector, values: ScalarVector | NDArray[np.int64]) -> G2Point:
    """sum_i values[i] points[i] in G2, as `msm_g1`."""
    return _G2.combine(window_sums(_G2.checked(points), values, _G2.degree))


def fixed_base_g1(values: ScalarVector) -> PointVector:
    """(n, 12): values[i] times the generator of G1."""
    return _g1_table(table_width(len(values))).multiply(values)


def fixed_base_g2(values: ScalarVector) -> PointVector:
    """(n, 24): values[i] times the generator of G2."""
    return _g2_table(table_width(len(values))).multiply(values)


def g1_from_points(points: Sequence[G1Point]) -> PointVector:
    """(n, 12) of single points."""
    return _G1.from_points(points)


def g2_from_points(points: Sequence[G2Point]) -> PointVector:
    """(n, 24) of single points."""
    return _G2.from_points(points)


def g1_to_points(vector: PointVector) -> list[G1Point]:
    """The points of a G1 vector, which must lie on the curve (not checked: see `g1_on_curve`)."""
    return _G1.to_points(vector)


def g2_to_points(vector: PointVector) -> list[G2Point]:
    """The points of a G2 vector, which must lie on the curve (not checked: see `g2_on_curve`)."""
    return _G2.to_points(vector)


def g1_on_curve(vector: PointVector) -> NDArray[np.bool_]:
    """(n,) bool: reduced coordinates with y^2 = x^3 + 4, or the identity. Says nothing of the subgroup."""
    return _G1.on_curve(vector)


def g2_on_curve(vector: PointVector) -> NDArray[np.bool_]:
    """(n,) bool: reduced coordinates with y^2 = x^3 + 4 + 4u, or the identity. Says nothing of the subgroup."""
    return _G2.on_curve(vector)


class _Group(Generic[Point]):
    """What G1 and G2 differ in: the degree of their coordinates' field and the single points' type."""

    def __init__(self, degree: int, point: type[Point], from_xy: Callable[[bytes], Point]) -> None:
        self.degree = degree
        self.words = 12 * degree
        self._point = point
        self._from_xy = from_xy

    def checked(self, vector: PointVector) -> PointVector:
        """`vector` as a contiguous array; ValueError if dtype or shape is another."""
        if vector.dtype != np.uint64 or vector.ndim != 2 or vector.shape[1] != self.words:
            raise ValueError(f"not a vector of {self._point.__name__}: {vector.dtype} {vector.shape}")
        return np.ascontiguousarray(vector)

    def from_points(self, points: Sequence[Point]) -> PointVector:
        identity = self._point.identity()
        size = 2 * _BASE_BYTES * self.degree
        data = b"".join(bytes(size) if p == identity else bytes(p.to_xy_bytes_le()) for p in points)
        integers = np.frombuffer(data, np.uint64).reshape(-1, self.words)
        out = np.empty_like(integers)
        count = len(points) * 2 * self.degree
        point_vectors.enter_montgomery(out.ctypes.data, integers.ctypes.data, count)
        return out

    def to_points(self, vector: PointVector) -> list[Point]:
        source = self.checked(vector)
        integers = np.empty_like(source)
        point_vectors.leave_montgomery(
            integers.ctypes.data, source.ctypes.data, len(source) * 2 * self.degree
        )
        identity = self._point.identity()
        present = source.any(axis=1)
        return [
            self._from_xy(row.tobytes()) if exists else identity
            for row, exists in zip(integers, present, strict=True)
        ]

    def on_curve(self, vector: PointVector) -> NDArray[np.bool_]:
        source = self.checked(vector)
        out = np.empty(len(source), np.bool_)
        point_vectors.on_curve((0,) * self.degree, out, source.ctypes.data)
        return out

    def combine(self, parts: Sequence[WindowSums]) -> Point:
        """sum 2^e P over the window sums: one doubling a bit from the top down."""
        by_exponent: dict[int, list[Any]] = {}
        for part in parts:
            for i, point in enumerate(self.to_points(part.points)):
                by_exponent.setdefault(part.first_bit + i, []).append(point)
        total = self._point.identity()
        for exponent in range(max(by_exponent, default=-1), -1, -1):
            total = total + total
            for point in by_exponent.get(exponent, ()):
                total = total + point
        return total

    def table(self, width: int) -> Table:
        """The generator's table for digits of `width` bits."""
        bases = [
            self._point() * scalar(pow(2, width * w, SCALAR_MODULUS)) for w in range(window_count(width))
        ]
        return Table(self.from_points(bases), width, self.degree)


_G1 = _Group(1, G1Point, G1Point.from_xy_bytes_unchecked_le)
_G2 = _Group(2, G2Point, G2Point.from_xy_bytes_unchecked_le)


@lru_cache(maxsize=4)
def _g1_table(width: int) -> Table:
    return _G1.table(width)


@lru_cache(maxsize=4)
def _g2_table(width: int) -> Table:
    return _G2.table(width)
