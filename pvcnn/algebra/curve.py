"""Vectors of points of G1 and G2: sums of multiples, multiples of the generator, conversions.

A G1 vector is (n, 12) uint64, x and y of six words each; a G2 vector is (n, 24), x.c0, x.c1, y.c0,
y.c1. Coordinates are affine, in Montgomery form with R = 2^384, reduced; the identity is all zero.
Opaque outside pvcnn.algebra. Sums of multiples also take rows, points in the layout of the kernels in use
(`g1_rows`). Importing this module needs numba (DependencyMissing).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import threads
from pvcnn.algebra.backends import backend
from pvcnn.algebra.batches import Backend, Points, PointVector, Rows
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.fixed_base import Table, table_exponents, table_width
from pvcnn.algebra.kernels import point_vectors
from pvcnn.algebra.memory import aligned
from pvcnn.algebra.multiexponentiation import PartialSums, partial_sums
from pvcnn.algebra.points import G1Point, G2Point, scalar
from pvcnn.algebra.scalars import ScalarVector, checked

__all__ = [
    "PointVector",
    "fixed_base_g1",
    "fixed_base_g2",
    "g1_from_points",
    "g1_on_curve",
    "g1_rows",
    "g1_to_points",
    "g2_from_points",
    "g2_on_curve",
    "g2_rows",
    "g2_to_points",
    "msm_g1",
    "msm_g2",
]

#: Fewer points than this are not worth a thread of their own when the curve's equation is checked.
_MINIMUM_CHECKED = 512
Point = TypeVar("Point", G1Point, G2Point)


def msm_g1(points: Points, values: ScalarVector | NDArray[np.int64]) -> G1Point:
    """sum_i values[i] points[i] in G1.

    points: a vector, or rows of the kernels in use.
    values: (n, 4) scalars, or (n,) int64, which are read as signed integers: their cost grows with
    the bits of the largest magnitude. ValueError for arrays of different lengths or other types.
    """
    return _G1.sum_of_multiples(points, values)


def msm_g2(points: Points, values: ScalarVector | NDArray[np.int64]) -> G2Point:
    """sum_i values[i] points[i] in G2, as `msm_g1`."""
    return _G2.sum_of_multiples(points, values)


def fixed_base_g1(values: ScalarVector) -> PointVector:
    """(n, 12): values[i] times the generator of G1."""
    return _g1_table(backend(), table_width(len(values))).multiply(checked(values))


def fixed_base_g2(values: ScalarVector) -> PointVector:
    """(n, 24): values[i] times the generator of G2."""
    return _g2_table(backend(), table_width(len(values))).multiply(checked(values))


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
    """(n,) bool: reduced coordinates with y^2 = x^3 + 4, or the identity. No subgroup check."""
    return _G1.on_curve(vector)


def g2_on_curve(vector: PointVector) -> NDArray[np.bool_]:
    """(n,) bool: reduced coordinates with y^2 = x^3 + 4 + 4u, or the identity. No subgroup check."""
    return _G2.on_curve(vector)


def g1_rows(vector: PointVector) -> Rows:
    """The points of a G1 vector in the layout of the kernels in use: the vector itself if it has that."""
    return _G1.rows(vector)


def g2_rows(vector: PointVector) -> Rows:
    """The points of a G2 vector in the layout of the kernels in use, as `g1_rows`."""
    return _G2.rows(vector)


class _Group(Generic[Point]):
    """What G1 and G2 differ in: the degree of their coordinates' field and the single points' type."""

    def __init__(self, degree: int, point: Callable[[], Point], from_xy: Callable[[bytes], Point]) -> None:
        """point: makes the generator; from_xy: a point of its coordinates' little-endian bytes, x first."""
        self._degree = degree
        self._words = 12 * degree
        self._generator: Point = point()
        self._identity: Point = self._generator - self._generator
        self._from_xy: Callable[[bytes], Point] = from_xy

    def checked(self, vector: PointVector) -> PointVector:
        """`vector` as a contiguous array; ValueError if dtype or shape is another."""
        if vector.dtype != np.uint64 or vector.ndim != 2 or vector.shape[1] != self._words:
            raise ValueError(f"not a vector of points: {vector.dtype} {vector.shape}")
        return np.ascontiguousarray(vector)

    def rows(self, vector: PointVector) -> Rows:
        source = self.checked(vector)
        words = backend().row_words(self._degree)
        if words == self._words:
            return source
        rows = aligned((len(source), words))
        backend().convert(rows, source, self._degree, parallel=True)
        return rows

    def from_points(self, points: Sequence[Point]) -> PointVector:
        nothing = bytes(8 * self._words)
        data = b"".join(nothing if p == self._identity else bytes(p.to_xy_bytes_le()) for p in points)
        integers = np.frombuffer(data, np.uint64).reshape(-1, self._words)
        out = np.empty_like(integers)
        coordinates = 2 * self._degree * len(points)
        point_vectors.enter_montgomery(out.ctypes.data, integers.ctypes.data, coordinates)
        return out

    def to_points(self, vector: PointVector) -> list[Point]:
        source = self.checked(vector)
        integers = np.empty_like(source)
        coordinates = 2 * self._degree * len(source)
        point_vectors.leave_montgomery(integers.ctypes.data, source.ctypes.data, coordinates)
        present = np.asarray(source.any(axis=1))
        return [
            self._from_xy(row.tobytes()) if exists else self._identity
            for row, exists in zip(integers, present, strict=True)
        ]

    def on_curve(self, vector: PointVector) -> NDArray[np.bool_]:
        source = self.checked(vector)
        out = np.empty(len(source), np.bool_)

        def check(first: int, last: int) -> None:
            at = source.ctypes.data + 8 * self._words * first
            point_vectors.on_curve((0,) * self._degree, out[first:last], at)

        threads.run_spans(check, len(source), _MINIMUM_CHECKED)
        return out

    def sum_of_multiples(self, points: Points, values: ScalarVector | NDArray[np.int64]) -> Point:
        source = backend().checked(points, self._degree)
        integers = values.ndim == 1 and values.dtype == np.int64
        factors = values if integers else checked(cast(ScalarVector, values))
        if len(source) != len(factors):
            raise ValueError(f"{len(source)} points and {len(factors)} scalars")
        return self._combine(partial_sums(source, factors, self._degree))

    def table(self, width: int) -> Table:
        """The generator's table for digits of `width` bits."""
        exponents = table_exponents(width)
        bases = [self._generator * scalar(pow(2, exponent, SCALAR_MODULUS)) for exponent in exponents]
        return Table(self.from_points(bases), width, self._degree)

    def _combine(self, parts: Sequence[PartialSums]) -> Point:
        """The sum that the parts stand for: one doubling a bit from the top down."""
        by_bit: dict[int, list[Point]] = {}
        for part in parts:
            for bit, point in enumerate(self.to_points(part.points), start=part.first_bit):
                by_bit.setdefault(bit, []).append(point)
        total = self._identity
        for bit in range(max(by_bit, default=-1), -1, -1):
            total = total + total
            for point in by_bit.get(bit, ()):
                total = total + point
        return total


_G1 = _Group[G1Point](1, G1Point, G1Point.from_xy_bytes_unchecked_le)
_G2 = _Group[G2Point](2, G2Point, G2Point.from_xy_bytes_unchecked_le)


@lru_cache(maxsize=4)
def _g1_table(_backend: Backend, width: int) -> Table:
    return _G1.table(width)


@lru_cache(maxsize=4)
def _g2_table(_backend: Backend, width: int) -> Table:
    return _G2.table(width)
