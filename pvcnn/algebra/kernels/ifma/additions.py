"""Affine additions of rows, thousands at a time with one inversion: `additions.add_pairs` on eight lanes.

A batch's denominators are multiplied up in four chains of eight lanes; their product of all is inverted
once, by the 64-bit kernel, and the chains are undone from the last pair to the first. Exceptional pairs
- with the identity, or of points that are equal or opposite - are then added by the 64-bit kernels.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from pvcnn.algebra.constants import BASE_MODULUS
from pvcnn.algebra.kernels import additions as portable
from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import BASE, DEGREE_ONE, constant_of, load, store, zero
from pvcnn.algebra.kernels.ifma.groups import CHAINS, KEPT, SAVED_ELEMENTS
from pvcnn.algebra.kernels.ifma.operations import backward, fold, forward, store_ones, unfold
from pvcnn.algebra.kernels.ifma.rows import (
    address_of,
    is_identity,
    read_number,
    store_identity,
    unscaled,
    write_number,
    y_from_portable,
    y_to_portable,
)
from pvcnn.algebra.kernels.inversion import invert

#: From numbers with R = 2^416 to elements with R = 2^384, and back.
_from_wide_radix = constant_of(BASE, pow(1 << 32, -1, BASE_MODULUS))
_to_wide_radix = constant_of(BASE, 1 << 32)

#: Pairs of G1 that share an inversion, and twice those of G2: more don't fit the second-level cache.
SHARED: Final = 2048
#: Entries that each row of tasks must have beyond the pairs: operands are looked at ahead of time.
SLACK: Final = 80

#: Bytes of an element on eight lanes, and where in a workspace the saved elements, the chains and what groups
#: keep begin.
ELEMENT: Final = 512
SAVED_AT: Final = 256 + 64
CHAINS_AT: Final = SAVED_AT + ELEMENT * SAVED_ELEMENTS
KEPT_AT: Final = CHAINS_AT + 2 * ELEMENT * CHAINS


def workspace_bytes(degree: int) -> int:
    """What `add_pairs` needs: a point for waste, a line, what is saved, the chains and what groups keep."""
    return KEPT_AT + SHARED // 8 * KEPT * ELEMENT


@kernel
def add_pairs(degree: Any, tasks: Any, count: int, workspace: int) -> None:
    """Adds pairs: point tasks[0, i] plus point tasks[1, i] is written to address tasks[2, i].

    tasks: (3, at least count + SLACK) int64, overwritten beyond count. A target may be an operand of
    its own task only. The workspace, of `workspace_bytes(degree)`, begins at a multiple of 64.
    """
    exceptional = np.empty(SHARED // 8, np.uint8)
    for i in range(count, (count + 7) & ~7):
        tasks[0, i] = tasks[1, i] = tasks[2, i] = workspace
    shared = SHARED // len(degree)
    for first in range(0, count, shared):
        stop = min(first + shared, count)
        _add_batch(degree, tasks, first, stop, workspace, exceptional)
        found = 0
        for group in range((stop - first + 7) >> 3):
            found += exceptional[group] != 0
        if found:
            add_exceptional(degree, tasks, first, stop, exceptional)


@kernel
def _add_batch(degree: Any, tasks: Any, first: int, stop: int, workspace: int, exceptional: Any) -> None:
    """All pairs but the exceptional ones; `exceptional` gets a byte a group that tells which those are."""
    size = ELEMENT * len(degree)
    groups = (stop - first + 7) >> 3
    chains, kept = workspace + CHAINS_AT, workspace + KEPT_AT
    for i in range(CHAINS):
        store_ones(degree, chains + size * i)
    lefts, rights = address_of(tasks[0, first:]), address_of(tasks[1, first:])
    targets = address_of(tasks[2, first:])
    for group in range(groups):
        chain = chains + size * (group & (CHAINS - 1))
        own = kept + KEPT * size * group
        exceptional[group] = forward(
            degree, lefts + 64 * group, rights + 64 * group, targets + 64 * group, own, chain
        )
    invert_chains(degree, workspace)
    for group in range(groups - 1, -1, -1):
        at, chain = 64 * group, chains + size * (group & (CHAINS - 1))
        own = kept + KEPT * size * group
        backward(degree, lefts + at, rights + at, targets + at, own, chain, exceptional[group], workspace)


@kernel
def invert_chains(degree: Any, workspace: int) -> None:
    """The chains of a workspace become their inverses."""
    chains, saved, line = workspace + CHAINS_AT, workspace + SAVED_AT, workspace + 256
    fold(degree, chains, saved)
    product = read_number(saved + ELEMENT * (SAVED_ELEMENTS - 1), 64, _from_wide_radix())
    write_number(line, invert(product), _to_wide_radix())
    unfold(degree, chains, saved, line)


@kernel
def add_exceptional(degree: Any, tasks: Any, first: int, stop: int, exceptional: Any) -> None:
    """The pairs from `first` on that are flagged in `exceptional`, by way of portable points."""
    lines = 2 * len(degree)
    size = 48 * lines
    count = 0
    for i in range(stop - first):
        count += (exceptional[i >> 3] >> (i & 7)) & 1
    if count == 0:  # only the lanes that fill up the last group
        return
    points = np.empty(2 * count * size >> 3, np.int64)
    inner = np.empty((3, count), np.int64)
    at = address_of(points)
    queued = 0
    for i in range(stop - first):
        if (exceptional[i >> 3] >> (i & 7)) & 1:
            for side in range(2):
                operand = tasks[side, first + i]
                _read_point(degree, at, operand)
                inner[side, queued] = at | (operand & 1)
                at += size
            inner[2, queued] = inner[0, queued] & ~1
            queued += 1
    shared = np.empty(min(count, 64) * size >> 3, np.int64)
    portable.add_pairs(degree, inner, count, address_of(shared), 64)
    queued = 0
    for i in range(stop - first):
        if (exceptional[i >> 3] >> (i & 7)) & 1:
            _write_point(degree, tasks[2, first + i], inner[2, queued])
            queued += 1
    shared[0] = points[0]  # keeps both alive up to here


@kernel
def _read_point(degree: Any, target: Any, operand: Any) -> None:
    """The portable point of a row, without the operand's sign."""
    source, elements = operand & ~1, len(degree)
    if is_identity(operand):
        store(target, zero(degree))
        store(target + 48 * elements, zero(degree))
        return
    for i in range(elements):
        store(target + 48 * i, read_number(source + 64 * i, 8, unscaled()))
    for i in range(elements, 2 * elements):
        store(target + 48 * i, read_number(source + 64 * i, 8, y_to_portable()))


@kernel
def _write_point(degree: Any, target: int, source: int) -> None:
    """The row of a portable point."""
    elements = len(degree)
    if portable.is_identity(degree, source):
        store_identity(target, 2 * elements)
        return
    for i in range(elements):
        write_number(target + 64 * i, load(DEGREE_ONE, source + 48 * i), unscaled())
    for i in range(elements, 2 * elements):
        write_number(target + 64 * i, load(DEGREE_ONE, source + 48 * i), y_from_portable())
