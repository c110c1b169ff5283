"""Whether many points of a curve lie in its subgroup of order r, all at once.

A curve's points are the subgroup of order r times a group of order h, prime to r. With every point P_i of
a vector, a *trial* adds c_i P_i, where c_i is -1, 0 or 1, each as likely, and asks whether the sum lies in
the subgroup: always, if all points do. If P_j does not, its component Q in the other group is not zero,
and as h is odd (`COFACTORS`) -Q, 0 and Q differ; whatever the other points add, one value of c_j at most
makes up for it, so that a trial overlooks P_j with probability 1/3 at most. TRIALS independent ones all do
with less than 2^-128. That holds for whatever points somebody chose before the coefficients were drawn,
also for many that are outside, and it is the best that any coefficients give: in G1, h is divisible by 3.

Trials come in *passes* of k: each point has one random label in [-(3^k - 1)/2, (3^k - 1)/2], whose k
digits in balanced ternary are its coefficients. A pass adds the points by label, points of label -l being
subtracted from those of label l, which is one addition a point; each of its k sums is then a sum of the
(3^k - 1)/2 sums by label. Labels are 32 random bits modulo 3^k, so that one has at most the probability
3^-k + 2^-32: all passes together still overlook P_j with less than 2^-128.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import backends, threads
from pvcnn.algebra.batches import PointVector, Rows
from pvcnn.algebra.constants import CURVE_PARAMETER
from pvcnn.algebra.curve import g1_to_points, g2_to_points
from pvcnn.algebra.kernels import buckets
from pvcnn.algebra.memory import ARENA, aligned
from pvcnn.algebra.streams import sum_stream

__all__ = ["COFACTORS", "TRIALS", "g1_in_subgroup", "g2_in_subgroup"]

#: 3^-81 = 2^-128.4.
TRIALS: Final = 81
_X: Final = CURVE_PARAMETER
#: What the orders of the curves of G1 and G2 have beside r. Odd; their least prime factors are 3 and 13.
COFACTORS: Final = (
    (_X - 1) ** 2 // 3,
    (_X**8 - 4 * _X**7 + 5 * _X**6 - 4 * _X**4 + 6 * _X**3 - 4 * _X**2 - 4 * _X + 13) // 9,
)

#: Digits that are combined at a time, and how many values (without their signs) so many can have.
_GROUP: Final = 3
_GROUP_VALUES: Final = (3**_GROUP + 1) // 2
#: Points that are summed at a time, of G1, and twice those of G2: enough for the sums by label, which are
#: moved each time, to be few beside them.
_CHUNK: Final = 1 << 15
_WIDEST_LABEL: Final = 12
#: What a label costs in a pass, in additions: its sum is moved from chunk to chunk, and out of the cache.
_BUCKET_COST: Final = 12
Operands = NDArray[np.int64]


def g1_in_subgroup(vectors: Sequence[PointVector]) -> bool:
    """Whether all points of all (n, 12) vectors lie in G1; they must lie on its curve (not checked).

    True is wrong with a probability below 2^-128, False never. The identity lies in G1. ValueError for
    an array of another type.
    """
    return _in_subgroup(vectors, 1, g1_to_points)


def g2_in_subgroup(vectors: Sequence[PointVector]) -> bool:
    """Whether all points of all (n, 24) vectors lie in G2, as `g1_in_subgroup`."""
    return _in_subgroup(vectors, 2, g2_to_points)


def _in_subgroup(
    vectors: Sequence[PointVector], degree: int, to_points: Callable[[PointVector], list[Any]]
) -> bool:
    checked = [backends.backend().checked(vector, degree) for vector in vectors if len(vector)]
    count = sum(len(vector) for vector in checked)
    if count == 0:
        return True
    width = _label_width(count)
    sums = threads.run_spans(
        lambda first, last: _Passes(last - first, width, degree).trials(checked), _pass_count(width), 1
    )
    return all(point.is_in_subgroup() for part in sums for point in to_points(part))


def _label_width(count: int) -> int:
    """The digits of a label that cost least: an addition a point, and what comes to some more a bucket."""

    def cost(width: int) -> int:
        rounds = math.ceil(_pass_count(width) / threads.thread_count())
        return rounds * (count + _BUCKET_COST * _bucket_count(width))

    return min(range(1, _WIDEST_LABEL + 1), key=cost)


def _pass_count(width: int) -> int:
    return math.ceil(TRIALS / width)


def _bucket_count(width: int) -> int:
    """Labels without their signs, 0 included."""
    count: int = (3**width + 1) // 2
    return count


@lru_cache
def _digits(width: int) -> NDArray[np.int32]:
    """(width, buckets): the digits in balanced ternary, lowest first, of every label that is not negative."""
    rest = np.arange(_bucket_count(width), dtype=np.int32)
    digits = np.empty((width, len(rest)), np.int32)
    for row in digits:
        row[:] = (rest + 1) % 3 - 1
        rest = (rest - row) // 3
    return digits


def _random_labels(count: int, width: int) -> NDArray[np.int32]:
    """(count,) labels; see above for how uniform they are."""
    words = np.frombuffer(secrets.token_bytes(4 * count), np.uint32)
    return (words % np.uint32(3**width)).astype(np.int32) - np.int32(3**width // 2)


class _Passes:
    """What one thread needs for its passes, which all go over the points together."""

    def __init__(self, passes: int, width: int, degree: int) -> None:
        self._backend = backends.backend()
        self._passes = passes
        self._width = width
        self._degree = degree
        self._buckets = _bucket_count(width)
        self._chunk = max(_CHUNK // degree, 4 * self._buckets)
        entries = max(self._chunk, math.ceil(width / _GROUP) * self._buckets) + 1
        words = self._backend.row_words(degree)
        self._batch = self._backend.batch(entries, degree)
        self._pool = ARENA.array("pool", (entries, words))
        self._labels = ARENA.array("labels", (entries,), np.int32)
        self._operands = ARENA.array("operands", (entries,), np.int64)
        self._sums = ARENA.array("sums", (2, passes, self._buckets, words))

    def trials(self, vectors: Sequence[PointVector]) -> PointVector:
        """(passes * width, 12 degree): the trials' sums."""
        size = self._chunk
        pending = np.zeros((self._passes, self._buckets), np.int64)
        chunks = [vector[i : i + size] for vector in vectors for i in range(0, len(vector), size)]
        for number, chunk in enumerate(chunks):
            rows = self._backend.rows(chunk, self._degree, parallel=False)
            # The sums so far are moved from one half to the other.
            for sums, out in zip(pending, self._sums[number % 2], strict=True):
                self._add(rows, sums, out)
        return np.concatenate([self._by_digit(sums) for sums in pending])

    def _add(self, rows: Rows, sums: Operands, out: Rows) -> None:
        """Adds the rows to the sums by label of one pass, which then lie in `out`."""
        labels = _random_labels(len(rows), self._width)
        count = buckets.append_window(
            self._labels, self._operands, 0, 0, rows.ctypes.data, self._batch.point_bytes, labels
        )
        self._sum(count, sums, out)

    def _by_digit(self, sums: Operands) -> PointVector:
        """(width, 12 degree): for each digit, the sum of the sums by label times that digit of the label.

        A group of digits at a time has few values: summing by those first takes one addition a bucket
        for a group instead of two thirds for a digit.
        """
        digits = _digits(self._width)
        parts = [digits[i : i + _GROUP] for i in range(0, self._width, _GROUP)]
        values = np.stack([(part * 3 ** np.arange(len(part))[:, None]).sum(axis=0) for part in parts])
        grouped, _kept = self._signed_sums(sums, values, _GROUP_VALUES)
        out = np.zeros((self._width, 12 * self._degree), np.uint64)
        for i, group in enumerate(grouped):
            place = out[_GROUP * i : _GROUP * (i + 1)]
            totals, rows = self._signed_sums(group, _digits(_GROUP)[: len(place)], 2)
            present = totals[:, 1] != 0
            points = np.empty((int(present.sum()), out.shape[1]), np.uint64)
            self._backend.leave(points, rows[: len(points)], self._degree)
            place[present] = points
        return out

    def _signed_sums(
        self, operands: Operands, factors: NDArray[np.int32], values: int
    ) -> tuple[Operands, Rows]:
        """For each row of factors and each v > 0, the operands with factor v less those with -v.

        operands: (n,), 0 for none; factors: (m, n), of magnitude below `values`. Returns (m, values)
        operands, 0 for empty sums, and the rows that they point to: the caller keeps those alive.
        """
        labels = values * np.arange(len(factors))[:, None] + np.abs(factors)
        signed = operands | (factors < 0)
        chosen = (factors != 0) & (operands != 0)
        count = int(chosen.sum())
        self._labels[:count], self._operands[:count] = labels[chosen], signed[chosen]
        sums = np.zeros(len(factors) * values, np.int64)
        rows = aligned((len(sums), self._pool.shape[1]))
        self._sum(count, sums, rows)
        return sums.reshape(-1, values), rows

    def _sum(self, count: int, sums: Operands, out: Rows) -> None:
        sum_stream(self._batch, self._labels, self._operands, count, sums, self._pool, out)
