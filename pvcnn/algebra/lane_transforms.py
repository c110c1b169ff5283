"""Transforms over F_r on eight lanes: see pvcnn.algebra.ntt.

Of n = 8 m elements, the three top levels are transforms of eight across the eighths of the vector; then
lane b of m blocks holds what makes the coefficients b, b + 8, b + 16, ..., and m-th roots of unity, the
same for all lanes, do the rest. Going down leaves coefficients in bit-reversed order, going up starts
from that order: what is only passed on (as in `quotient`) is never put in order.

Two levels of 32 elements take four products of 120 vector instructions each and 130 others. At the 5.5 a
nanosecond that products reach on a Xeon of 2.6 GHz, 2^17 elements should take 3.2 ms for 14 levels, and
1.1 ms for the three top ones, which multiply twice as often. Measured: 3.3 and 1.3 ms, and with them 30 ms
of one thread for the parts of a quotient; what it takes beyond that are caches that hold less than it uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import scalars, threads
from pvcnn.algebra.constants import SCALAR_GENERATOR, SCALAR_MODULUS
from pvcnn.algebra.kernels.ifma_scalars import transforms
from pvcnn.algebra.memory import ARENA
from pvcnn.algebra.scalars import ScalarVector

LANES: Final = 8
LIMBS: Final = 5
#: The least number of elements: with fewer, an eighth is no block of lanes.
MINIMUM_SIZE: Final = 64
#: Fewer blocks of lanes than this, and fewer steps of two levels, are not worth a thread of their own.
_MINIMUM_BLOCKS: Final = 256
_MINIMUM_STEPS: Final = 64
_LIMB_MASK: Final = np.uint64((1 << 52) - 1)


class LaneTransforms:
    """The transforms of one domain: `size` a power of two from `MINIMUM_SIZE` on, `root` of that order."""

    def __init__(self, size: int, root: int) -> None:
        self._size = size
        self._blocks = size // LANES
        self._root = root

    def evaluate(self, coefficients: ScalarVector) -> ScalarVector:
        """Values at the powers of the root."""
        return self._leave(self._descend(coefficients, self._forward), 1)

    def interpolate(self, values: ScalarVector) -> ScalarVector:
        """Inverse of `evaluate`."""
        return self._leave(self._descend(values, self._inverse), pow(self._size, -1, SCALAR_MODULUS))

    def quotient(self, a: ScalarVector, b: ScalarVector, c: ScalarVector) -> ScalarVector:
        """(a b - c) / (X^n - 1) of the polynomials with these values: see `Domain.quotient`.

        Factors of n from the ways down are taken off at the end: n^3 from a b and n from c. The product of
        two elements on lanes lacks a factor of 16 (pvcnn.algebra.kernels.ifma_scalars.field).
        """
        left, right, rest = (
            self._enter(values, self._inverse, name) for name, values in (("a", a), ("b", b), ("c", c))
        )
        for vector in (left, right, rest):
            self._finish_descent(vector, self._inverse)
        for vector in (left, right):
            self._start_ascent(vector, self._coset)
        self._multiply_values(left, right)
        self._finish_descent(left, self._inverse_coset)
        per_vanishing = pow(pow(SCALAR_GENERATOR, self._size, SCALAR_MODULUS) - 1, -1, SCALAR_MODULUS)
        per_size = pow(self._size, -1, SCALAR_MODULUS)
        factors = _limbs(scalars.from_integers([16 * per_vanishing * per_size**3, -per_vanishing * per_size]))
        out = np.empty((self._size, 4), np.uint64)
        kernel = partial(
            transforms.combine,
            out.ctypes.data,
            left.ctypes.data,
            rest.ctypes.data,
            self._bits,
            factors.ctypes.data,
        )
        threads.run_spans(kernel, self._blocks, _MINIMUM_BLOCKS)
        return out

    @cached_property
    def _forward(self) -> _Factors:
        return _Factors.of(self._size, self._root, 1)

    @cached_property
    def _inverse(self) -> _Factors:
        return _Factors.of(self._size, pow(self._root, -1, SCALAR_MODULUS), 1)

    @cached_property
    def _coset(self) -> _Factors:
        return _Factors.of(self._size, self._root, SCALAR_GENERATOR)

    @cached_property
    def _inverse_coset(self) -> _Factors:
        inverses = (pow(value, -1, SCALAR_MODULUS) for value in (self._root, SCALAR_GENERATOR))
        return _Factors.of(self._size, *inverses)

    @property
    def _bits(self) -> int:
        return self._blocks.bit_length() - 1

    def _descend(self, vector: ScalarVector, factors: _Factors) -> NDArray[np.uint64]:
        lanes = self._enter(vector, factors, "a")
        self._finish_descent(lanes, factors)
        return lanes

    def _enter(self, vector: ScalarVector, factors: _Factors, name: str) -> NDArray[np.uint64]:
        """The three top levels down: from up to n elements to lanes, in memory that the thread keeps."""
        out: NDArray[np.uint64] = ARENA.array(f"lanes of {name}", (self._blocks, LIMBS, LANES))
        edge = np.zeros((2 * LANES, 4), np.uint64)
        missing = len(vector) % LANES
        edge[LANES : LANES + missing] = vector[len(vector) - missing :]
        kernel = partial(
            transforms.enter,
            out.ctypes.data,
            vector.ctypes.data,
            len(vector),
            edge.ctypes.data,
            self._blocks,
            factors.parts.ctypes.data,
            factors.lanes.ctypes.data,
        )
        threads.run_spans(kernel, self._blocks // LANES, _MINIMUM_BLOCKS // LANES)
        return out

    def _finish_descent(self, lanes: NDArray[np.uint64], factors: _Factors) -> None:
        """All levels down but the three top ones: the first one, then blocks of its parts' size."""
        sizes, tables, address = factors.sizes, factors.addresses, lanes.ctypes.data
        split = _wide_levels(sizes)
        for i in range(split):
            quarter = _quarter(sizes, i)
            level = partial(transforms.descend_level, address, sizes[i], quarter, tables[i])
            threads.run_spans(level, self._blocks // (4 if quarter else 2), _MINIMUM_STEPS)
        finish = partial(transforms.descend, address, sizes, tables, split)
        threads.run_spans(finish, self._blocks // int(sizes[split]), 1)

    def _start_ascent(self, lanes: NDArray[np.uint64], factors: _Factors) -> None:
        """All levels up but the three top ones."""
        sizes, tables, address = factors.sizes, factors.addresses, lanes.ctypes.data
        split = _wide_levels(sizes)
        start = partial(transforms.ascend, address, sizes, tables, split)
        threads.run_spans(start, self._blocks // int(sizes[split]), 1)
        for i in reversed(range(split)):
            quarter = _quarter(sizes, i)
            level = partial(transforms.ascend_level, address, sizes[i], quarter, tables[i])
            threads.run_spans(level, self._blocks // (4 if quarter else 2), _MINIMUM_STEPS)

    def _multiply_values(self, left: NDArray[np.uint64], right: NDArray[np.uint64]) -> None:
        """The three top levels up of both, their product on the coset, and its three top levels down."""
        up, down = self._coset, self._inverse_coset
        kernel = partial(
            transforms.multiply_values,
            left.ctypes.data,
            left.ctypes.data,
            right.ctypes.data,
            up.parts.ctypes.data,
            up.lanes.ctypes.data,
            down.parts.ctypes.data,
            down.lanes.ctypes.data,
        )
        threads.run_spans(kernel, self._blocks // LANES, _MINIMUM_BLOCKS // LANES)

    def _leave(self, lanes: NDArray[np.uint64], factor: int) -> ScalarVector:
        """In natural order, times the factor."""
        out = np.empty((self._size, 4), np.uint64)
        factors = _limbs(scalars.from_integers([factor]))
        kernel = partial(
            transforms.leave, out.ctypes.data, lanes.ctypes.data, self._bits, factors.ctypes.data
        )
        threads.run_spans(kernel, self._blocks, _MINIMUM_BLOCKS)
        return out


@dataclass(frozen=True, eq=False)
class _Factors:
    """What a transform with one root and shift multiplies by, everything in limbs of k 2^260.

    parts: (m / 8, 7, 5), (shift root^(8 J))^b of group J of eight blocks and part b = 1 .. 7;
    lanes: 7 blocks of lanes, root^(b l) in lane l, and the powers 0 to 3 of root^m, (4, 5);
    sizes: the levels' block lengths in blocks of lanes, ending in 1, each half or a quarter of the one
    before; addresses: of the levels' `tables`, (steps, 3 or 1, 5).
    """

    parts: NDArray[np.uint64]
    lanes: NDArray[np.uint64]
    sizes: NDArray[np.int64]
    addresses: NDArray[np.int64]
    tables: tuple[NDArray[np.uint64], ...]

    @classmethod
    def of(cls, size: int, root: int, shift: int) -> _Factors:
        blocks = size // LANES
        parts = np.stack(
            [
                _sequence(
                    pow(shift, b, SCALAR_MODULUS), pow(root, LANES * b, SCALAR_MODULUS), blocks // LANES
                )
                for b in range(1, LANES)
            ],
            axis=1,
        )
        in_lanes = [_sequence(1, pow(root, b, SCALAR_MODULUS), LANES).T for b in range(1, LANES)]
        eighths = _sequence(1, pow(root, blocks, SCALAR_MODULUS), 4)
        lanes = np.concatenate([np.stack(in_lanes).reshape(-1), eighths.reshape(-1)])
        sizes = _level_sizes(blocks)
        tables = tuple(
            _level(size // int(sizes[i]), root, shift, int(sizes[i]), _quarter(sizes, i))
            for i in range(len(sizes) - 1)
        )
        addresses = np.array([table.ctypes.data for table in tables], np.int64)
        return cls(np.ascontiguousarray(parts), lanes, sizes, addresses, tables)


def _level(stride: int, root: int, shift: int, size: int, quarter: int) -> NDArray[np.uint64]:
    """Factors of one level: w = (shift root^j)^stride for step j, or w, w i and w^2 of two levels at once."""
    first, ratio = pow(shift, stride, SCALAR_MODULUS), pow(root, stride, SCALAR_MODULUS)
    if quarter == 0:
        return _sequence(first, ratio, size // 2).reshape(-1, 1, LIMBS)
    turn = pow(ratio, quarter, SCALAR_MODULUS)
    table = [
        _sequence(first, ratio, quarter),
        _sequence(first * turn, ratio, quarter),
        _sequence(first**2, ratio**2, quarter),
    ]
    return np.ascontiguousarray(np.stack(table, axis=1))


def _level_sizes(blocks: int) -> NDArray[np.int64]:
    """Two levels at a time, and the last one alone if their number is odd."""
    sizes = [blocks]
    while sizes[-1] > 1:
        sizes.append(sizes[-1] // 4 if sizes[-1] >= 4 else 1)
    return np.array(sizes, np.int64)


def _wide_levels(sizes: NDArray[np.int64]) -> int:
    """How many levels are split among threads step by step: those before which there are too few blocks."""
    return 1 if len(sizes) > 2 else 0


def _quarter(sizes: NDArray[np.int64], level: int) -> int:
    """A quarter of the level's block length if it is two levels at once, else 0."""
    quarter = int(sizes[level]) // 4
    return quarter if sizes[level + 1] == quarter else 0


def _sequence(first: int, ratio: int, length: int) -> NDArray[np.uint64]:
    """(length, 5): first ratio^i as factors."""
    return _limbs(scalars.geometric(first, ratio, length))


def _limbs(values: ScalarVector) -> NDArray[np.uint64]:
    """(n, 5): from elements, which are k 2^256 mod r, to limbs of k 2^260 mod r."""
    words = scalars.scale(values, 16)
    limbs = np.empty((len(words), LIMBS), np.uint64)
    for i in range(LIMBS):
        word, offset = divmod(52 * i, 64)
        limb = words[:, word] >> np.uint64(offset)
        if offset > 12 and word + 1 < 4:
            limb = limb | (words[:, word + 1] << np.uint64(64 - offset))
        limbs[:, i] = limb & _LIMB_MASK
    return limbs
