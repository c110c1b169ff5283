"""Vectors of affine points: coordinates in and out of Montgomery form, the curve's equation."""

from __future__ import annotations

from typing import Any

from pvcnn.algebra.kernels.additions import is_identity
from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import (
    DEGREE_ONE,
    add,
    base_radix,
    base_unit_words,
    curve_constant,
    equal,
    is_reduced,
    load,
    multiply,
    square,
    store,
)


@kernel
def enter_montgomery(out: int, integers: int, count: int) -> None:
    """Elements of F_q of integers of six words each."""
    for i in range(0, 48 * count, 48):
        store(out + i, multiply(base_radix(), load(DEGREE_ONE, integers + i)))


@kernel
def leave_montgomery(out: int, elements: int, count: int) -> None:
    """The canonical integers of elements of F_q, six words each."""
    for i in range(0, 48 * count, 48):
        store(out + i, multiply(load(DEGREE_ONE, elements + i), base_unit_words()))


@kernel
def on_curve(degree: Any, out: Any, points: int) -> None:
    """out[i]: whether point i has reduced coordinates and is the identity or has y^2 = x^3 + b."""
    for i in range(out.shape[0]):
        at = points + 96 * len(degree) * i
        x, y = load(degree, at), load(degree, at + 48 * len(degree))
        if not (is_reduced(x) and is_reduced(y)):
            out[i] = False
        elif is_identity(degree, at):
            out[i] = True
        else:
            out[i] = equal(square(y), add(multiply(square(x), x), curve_constant(degree)))
