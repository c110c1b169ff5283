"""Multiples and sums of many single points, on all threads.

Where Numba is importable and PVCNN_NO_NUMBA is not 1, sums of many multiples go through the kernels of
`pvcnn.algebra.curve`; everything else is py_arkworks, whose `multiexp_unchecked` releases the interpreter's
lock and whose product of point and scalar does not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import chain
from typing import Any, Final

from pvcnn.algebra import threads
from pvcnn.algebra.points import G1Point, G2Point, Point, scalar

#: Fewer points than this are summed by py_arkworks.
_MINIMUM_SUMMED: Final = 128
#: Fewer points than this are not worth a thread of their own.
_MINIMUM_MULTIPLIED: Final = 4


def sum_of_multiples_g1(points: Sequence[G1Point], factors: Sequence[int]) -> G1Point:
    """sum_i factors[i] points[i], for any integers; ValueError for different lengths."""
    return _sum(G1Point, "G1", points, factors)


def sum_of_multiples_g2(points: Sequence[G2Point], factors: Sequence[int]) -> G2Point:
    """As `sum_of_multiples_g1`, for G2."""
    return _sum(G2Point, "G2", points, factors)


def sums_of_multiples_g1(sums: Sequence[tuple[Sequence[G1Point], Sequence[int]]]) -> list[G1Point]:
    """`sum_of_multiples_g1` of each pair of points and factors: the short ones on all threads at a time."""
    made: dict[int, G1Point] = {}
    large = len(sums) * [False] if not _kernels() else [len(points) >= _MINIMUM_SUMMED for points, _ in sums]
    short = [i for i, is_large in enumerate(large) if not is_large]

    def every(first: int, step: int) -> None:
        for i in short[first::step]:
            made[i] = _sum_by_arkworks(G1Point, *sums[i])

    count = threads.thread_count()
    threads.run([partial(every, first, count) for first in range(min(count, len(short)))])
    return [
        sum_of_multiples_g1(*each) if is_large else made[i]
        for i, (each, is_large) in enumerate(zip(sums, large, strict=True))
    ]


def multiples(points: Sequence[Point], factors: Sequence[int]) -> list[Point]:
    """factors[i] points[i], for any integers; ValueError for different lengths."""
    group, scalars = _group(points), [scalar(factor) for factor in factors]
    if len(points) != len(scalars):
        raise ValueError(f"{len(points)} points and {len(scalars)} factors")

    def span(first: int, last: int) -> list[Point]:
        return [group.multiexp_unchecked([points[i]], [scalars[i]]) for i in range(first, last)]

    return list(chain.from_iterable(threads.run_spans(span, len(points), _MINIMUM_MULTIPLIED)))


def multiples_of_generator_g1(factors: Sequence[int]) -> list[G1Point]:
    """factors[i] times the generator of G1, for any integers."""
    return _of_generator(G1Point, "generator of G1", factors)


def multiples_of_generator_g2(factors: Sequence[int]) -> list[G2Point]:
    """As `multiples_of_generator_g1`, for G2."""
    return _of_generator(G2Point, "generator of G2", factors)


def folded(points: Sequence[Point], factor: int) -> list[Point]:
    """low + factor high for the two halves of an even number of points."""
    half, group = len(points) // 2, _group(points)
    factors = [scalar(1), scalar(factor)]

    def span(first: int, last: int) -> list[Point]:
        return [group.multiexp_unchecked([points[i], points[half + i]], factors) for i in range(first, last)]

    return list(chain.from_iterable(threads.run_spans(span, half, _MINIMUM_MULTIPLIED)))


def _group(points: Sequence[Point]) -> type[Point]:
    return type(points[0])


def _of_generator(group: type[Point], name: str, factors: Sequence[int]) -> list[Point]:
    kernels = _kernels()
    if name not in kernels or len(factors) < _MINIMUM_SUMMED:
        return multiples([group()] * len(factors), factors) if factors else []
    points: list[Point] = kernels[name](factors)
    return points


def _sum(group: type[Point], name: str, points: Sequence[Point], factors: Sequence[int]) -> Point:
    if len(points) != len(factors):
        raise ValueError(f"{len(points)} points and {len(factors)} factors")
    kernels = _kernels()
    if name in kernels and len(points) >= _MINIMUM_SUMMED:
        compiled: Point = kernels[name](points, factors)
        return compiled
    return _sum_by_arkworks(group, points, factors)


def _sum_by_arkworks(group: type[Point], points: Sequence[Point], factors: Sequence[int]) -> Point:
    total: Point = group.multiexp_unchecked(list(points), [scalar(factor) for factor in factors])
    return total


@cache
def _kernels() -> dict[str, Callable[..., Any]]:
    """By the name of a group, sums of multiples in it, and multiples of its generator; empty where Numba may
    or can not be used."""
    if os.environ.get("PVCNN_NO_NUMBA") == "1":
        return {}
    try:
        from pvcnn.algebra import curve, scalars
    except (ImportError, RuntimeError):  # no Numba, or no directory in which it may cache what it compiles
        return {}

    def integers(factors: Sequence[int]) -> Any:
        return scalars.from_integers(factors)

    return {
        "G1": lambda points, factors: curve.msm_g1(curve.g1_from_points(points), integers(factors)),
        "G2": lambda points, factors: curve.msm_g2(curve.g2_from_points(points), integers(factors)),
        "generator of G1": lambda factors: curve.g1_to_points(curve.fixed_base_g1(integers(factors))),
        "generator of G2": lambda factors: curve.g2_to_points(curve.fixed_base_g2(integers(factors))),
    }
