"""Vectors of points in and out of the kernels' rows, and rows one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64, uint64

from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import (
    BASE,
    constant_of,
    load_signed,
    load_word,
    multiply,
    store_word,
)
from pvcnn.algebra.kernels.ifma.conversion import Y_SCALE, Y_UNSCALE
from pvcnn.algebra.kernels.ifma.coordinates import BASE_FIELD
from pvcnn.algebra.kernels.ifma.field import LIMB_BITS, LIMB_MASK
from pvcnn.algebra.kernels.ifma.groups import IDENTITY_BOUND, IDENTITY_LIMB
from pvcnn.algebra.kernels.ifma.operations import copy_line, enter_group, leave_group
from pvcnn.algebra.kernels.ifma.vectors import LANES

_LIMBS = BASE_FIELD.limbs
_DOUBLED_MODULUS = np.array(BASE_FIELD.split(2 * BASE_FIELD.modulus), np.int64)
#: 1, and what takes the number of a y in a row to one in a point vector and back.
unscaled = constant_of(BASE, 1)
y_to_portable = constant_of(BASE, Y_UNSCALE)
y_from_portable = constant_of(BASE, Y_SCALE)


@kernel
def address_of(array: Any) -> Any:
    """Where an array's first item lies."""
    return int64(array.ctypes.data)


@kernel
def enter(degree: Any, rows: int, points: int, count: int) -> None:
    """Rows of `count` points of a vector. rows, points: addresses."""
    lines = 2 * len(degree)
    full = count & ~(LANES - 1)
    for i in range(0, full, LANES):
        enter_group(degree, rows + 64 * lines * i, points + 48 * lines * i)
    if full < count:
        given = np.zeros(6 * lines * LANES, np.uint64)
        made = np.empty(8 * lines * LANES, np.uint64)
        for i in range(6 * lines * (count - full)):
            given[i] = load_word(points + 48 * lines * full + 8 * i)
        enter_group(degree, address_of(made), address_of(given))
        for i in range(8 * lines * (count - full)):
            store_word(rows + 64 * lines * full + 8 * i, made[i])
        given[0] = made[0]  # keeps both alive up to here


@kernel
def leave(degree: Any, points: int, rows: int, count: int) -> None:
    """The inverse of `enter`: reduced coordinates, the identity all zero."""
    lines = 2 * len(degree)
    full = count & ~(LANES - 1)
    for i in range(0, full, LANES):
        leave_group(degree, points + 48 * lines * i, rows + 64 * lines * i)
    if full < count:
        given = np.zeros(8 * lines * LANES, np.uint64)
        made = np.empty(6 * lines * LANES, np.uint64)
        for i in range(8 * lines * (count - full)):
            given[i] = load_word(rows + 64 * lines * full + 8 * i)
        leave_group(degree, address_of(made), address_of(given))
        for i in range(6 * lines * (count - full)):
            store_word(points + 48 * lines * full + 8 * i, made[i])
        given[0] = made[0]  # keeps both alive up to here


@kernel
def copy_points(degree: Any, tasks: Any, count: int) -> None:
    """Writes point tasks[0, i], its sign taken into account, to address tasks[2, i]."""
    for i in range(count):
        source, target = tasks[0, i] & ~1, tasks[2, i]
        for line in range(0, 128 * len(degree), 64):
            copy_line(target + line, source + line)
        if tasks[0, i] & 1:
            for line in range(64 * len(degree), 128 * len(degree), 64):
                _negate(target + line)


@kernel
def _negate(line: int) -> None:
    """A number becomes 2 p minus itself."""
    carry = int64(0)
    for i in range(_LIMBS):
        carry += _DOUBLED_MODULUS[i] - load_signed(line + 8 * i)
        store_word(line + 8 * i, uint64(carry if i == _LIMBS - 1 else carry & LIMB_MASK))
        carry >>= LIMB_BITS


@kernel
def is_identity(operand: int) -> Any:
    """Whether an operand is the identity."""
    return load_signed((operand & ~1) + 8 * (_LIMBS - 1)) > IDENTITY_BOUND


@kernel
def read_number(line: Any, stride: Any, factor: Any) -> Any:
    """The number whose limbs lie `stride` bytes apart, as an element, times another one."""
    words = np.zeros(7, np.uint64)
    carry = int64(0)
    for i in range(_LIMBS):
        carry += _DOUBLED_MODULUS[i] + load_signed(line + stride * i)
        bits = uint64(carry & LIMB_MASK)
        carry >>= LIMB_BITS
        word, shift = (LIMB_BITS * i) >> 6, uint64((LIMB_BITS * i) & 63)
        words[word] |= bits << shift
        if shift > uint64(64 - LIMB_BITS):
            words[word + 1] |= bits >> (uint64(64) - shift)
    return multiply(factor, (words[0], words[1], words[2], words[3], words[4], words[5]))


@kernel
def write_number(line: Any, element: Any, factor: Any) -> None:
    """The number of an element times another one, reduced, with limbs in one line."""
    converted = multiply(factor, element)
    words = np.zeros(7, np.uint64)
    for i in range(6):
        words[i] = converted[i]
    for i in range(_LIMBS):
        word, shift = (LIMB_BITS * i) >> 6, uint64((LIMB_BITS * i) & 63)
        bits = words[word] >> shift
        if shift > uint64(64 - LIMB_BITS):
            bits |= words[word + 1] << (uint64(64) - shift)
        store_word(line + 8 * i, bits & uint64(LIMB_MASK))


@kernel
def store_identity(target: int, lines: int) -> None:
    """Writes the identity, a point of so many lines."""
    for i in range(8 * lines):
        store_word(target + 8 * i, uint64(0))
    store_word(target + 8 * (_LIMBS - 1), uint64(IDENTITY_LIMB))
