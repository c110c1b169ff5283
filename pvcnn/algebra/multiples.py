"""Multiples of many points, each by a scalar of its own.

With the curve's parameter z, r = z^4 - z^2 + 1, and two maps that cost a product or two of coordinates:

    G1   (x, y) -> (f x, g y)                         is P -> z^2 P,   f^3 = 1, g = -1
    G2   (x, y) -> (f conjugate(x), g conjugate(y))   is P -> |z| P

(Frobenius, untwisted and twisted back, in G2). So a multiple is the sum of two multiples by 128 bits, or of
four by 64 bits, that share their doublings. With digits of 4 bits, tables included, that is 136 doublings and
67 additions in G1, 80 and 75 in G2, all affine and in batches. Points must lie in the groups: outside of them
the maps are something else.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import backends, threads
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.constants import BASE_MODULUS, CURVE_PARAMETER
from pvcnn.algebra.kernels import digits as digit_kernels
from pvcnn.algebra.kernels import own_multiples
from pvcnn.algebra.memory import aligned
from pvcnn.algebra.points import G1Point, G2Point, scalar
from pvcnn.algebra.recoding import window_count
from pvcnn.algebra.scalars import ScalarVector, checked

__all__ = ["multiples_g1", "multiples_g2"]

_WIDTH: Final = 4
_TABLE: Final = 1 << (_WIDTH - 1)
#: Parts of a scalar and the bits of each, by degree.
_PARTS: Final = {1: (2, 128), 2: (4, 64)}
#: Points of G1 that are multiplied at a time, and twice those of G2: as many as still leave their tables
#: in the second-level cache.
_CHUNK: Final = 1024
_MINIMUM_SPAN: Final = 64


def multiples_g1(points: PointVector, values: ScalarVector) -> PointVector:
    """(n, 12): values[i] points[i], for points of G1. ValueError for arrays of other types or lengths.

    What is written on the way and says something about `values` is overwritten.
    """
    return _multiples(points, values, 1)


def multiples_g2(points: PointVector, values: ScalarVector) -> PointVector:
    """(n, 24): values[i] points[i], for points of G2, as `multiples_g1`."""
    return _multiples(points, values, 2)


def _multiples(points: PointVector, values: ScalarVector, degree: int) -> PointVector:
    if points.dtype != np.uint64 or points.ndim != 2 or points.shape[1] != 12 * degree:
        raise ValueError(f"not a vector of points: {points.dtype} {points.shape}")
    source, factors = np.ascontiguousarray(points), checked(values)
    if len(source) != len(factors):
        raise ValueError(f"{len(source)} points and {len(factors)} scalars")
    out = np.empty_like(source)

    def multiply(first: int, last: int) -> None:
        memory = _Memory(min(last - first, _CHUNK // degree), degree)
        try:
            for start in range(first, last, memory.capacity):
                chunk = slice(start, min(start + memory.capacity, last))
                memory.multiply(source[chunk], factors[chunk], out[chunk])
        finally:
            memory.forget()

    if len(source):
        threads.run_spans(multiply, len(source), _MINIMUM_SPAN)
    return out


class _Memory:
    """What one thread needs for the multiples of `capacity` points at a time."""

    def __init__(self, capacity: int, degree: int) -> None:
        self.capacity = capacity
        self._degree = degree
        self._backend = backends.backend()
        parts, bits = _PARTS[degree]
        self._windows = window_count(bits, _WIDTH)
        words = self._backend.row_words(degree)
        self._batch = self._backend.batch(parts * capacity, degree)
        #: Multiple m of part p's image of point i is row (p, m - 1, i).
        self._tables = aligned((parts, _TABLE, capacity, words))
        self._sums = aligned((capacity, words))
        self._images = np.empty((parts, capacity, 12 * degree), np.uint64)
        self._words = np.zeros((parts, bits // 64 + 1, capacity), np.uint64)
        self._unsigned = np.zeros(capacity, np.bool_)
        self._digits = np.empty(capacity, np.int32)
        self._places = np.empty(capacity, np.int64)
        self._bias = _bias_words(self._windows, bits // 64 + 1)

    def multiply(self, points: PointVector, values: ScalarVector, out: PointVector) -> None:
        """Writes values[i] points[i] to `out`, for at most `capacity` points."""
        count = len(points)
        self._fill_tables(points)
        own_multiples.split_scalars(self._words[:, :, :count], values.ctypes.data, self._bias)
        places, sums = self._places[:count], self._sums.ctypes.data
        places[:] = 0
        batch, size = self._batch, self._batch.point_bytes
        for window in range(self._windows - 1, -1, -1):
            for _ in range(_WIDTH if window + 1 < self._windows else 0):
                batch.double(own_multiples.doubled_operands(batch.tasks, places, sums, size))
            for words, table in zip(self._words, self._tables, strict=True):
                found = self._window_digits(words[:, :count], window)
                stride = table.strides[0]
                batch.add(
                    own_multiples.own_operands(
                        batch.tasks, places, sums, table.ctypes.data, stride, size, found
                    )
                )
        queued = digit_kernels.unsummed_operands(batch.tasks, places, sums, size, batch.identity)
        batch.copy(queued)
        self._backend.leave(out, self._sums[:count], self._degree)

    def forget(self) -> None:
        """Overwrites what tells the scalars."""
        for array in (self._words, self._digits, self._places, self._batch.tasks):
            array.fill(0)

    def _window_digits(self, words: NDArray[np.uint64], window: int) -> NDArray[np.int32]:
        digits = self._digits[: words.shape[1]]
        last = window == self._windows - 1
        digit_kernels.window_digits(digits, words, self._unsigned, window, last, _WIDTH)
        return digits

    def _fill_tables(self, points: PointVector) -> None:
        """The multiples up to 2^(width - 1) of the points and of their images."""
        count, batch = len(points), self._batch
        factors = _image_factors(self._degree)
        images = self._images[:, :count]
        images[0] = points
        for before, after in pairwise(images):
            own_multiples.image_points(
                (0,) * self._degree, after.ctypes.data, before.ctypes.data, factors.ctypes.data, count
            )
        for image, table in zip(images, self._tables, strict=True):
            self._backend.enter(table[0, :count], image, self._degree)
        base = batch.point_bytes * np.arange(count, dtype=np.int64)
        starts = self._tables.ctypes.data + self._tables.strides[0] * np.arange(len(images))
        addresses = (starts[:, None] + base).reshape(-1)
        stride, tasks = self._tables.strides[1], slice(0, len(addresses))
        for multiple in range(2, _TABLE + 1):
            half, odd = divmod(multiple, 2)
            batch.tasks[0, tasks] = addresses + stride * (multiple - 2 if odd else half - 1)
            batch.tasks[2, tasks] = addresses + stride * (multiple - 1)
            if odd:
                batch.tasks[1, tasks] = addresses
                batch.add(len(addresses))
            else:
                batch.double(len(addresses))


def _bias_words(windows: int, length: int) -> NDArray[np.uint64]:
    """What makes digits signed: half a digit's range in every window but the last (`recoding`)."""
    bias = sum(1 << (_WIDTH * window + _WIDTH - 1) for window in range(windows - 1))
    return np.array([(bias >> (64 * i)) & (2**64 - 1) for i in range(length)], np.uint64)


@lru_cache
def _image_factors(degree: int) -> NDArray[np.uint64]:
    """(2, 6 degree): f and g in Montgomery form, from what the map does to the generator."""
    generator: Any = G1Point() if degree == 1 else G2Point()
    _, bits = _PARTS[degree]
    image = generator * scalar(pow(-CURVE_PARAMETER, bits // 64))
    pairs = zip(_coordinates(generator, degree), _coordinates(image, degree), strict=True)
    data = b""
    for (real, imaginary), (c, d) in pairs:
        # (c + d u) / (real - imaginary u) = (c + d u) (real + imaginary u) / norm
        inverse = pow(real * real + imaginary * imaginary, -1, BASE_MODULUS)
        factor = (c * real - d * imaginary) * inverse, (c * imaginary + d * real) * inverse
        data += b"".join(((part << 384) % BASE_MODULUS).to_bytes(48, "little") for part in factor[:degree])
    return np.frombuffer(data, np.uint64).reshape(2, 6 * degree)


def _coordinates(point: Any, degree: int) -> list[tuple[int, int]]:
    """x and y, their second parts 0 in G1."""
    data = bytes(point.to_xy_bytes_le())
    numbers = [int.from_bytes(data[i : i + 48], "little") for i in range(0, len(data), 48)]
    return [(numbers[i], numbers[i + 1] if degree == 2 else 0) for i in range(0, len(numbers), degree)]
