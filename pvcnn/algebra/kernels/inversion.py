"""Inversion in F_q and F_q^2."""

from __future__ import annotations

from typing import Any

from pvcnn.algebra.constants import BASE_MODULUS
from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import base_one, multiply, norm, square, times_conjugate

_EXPONENT = tuple(int(bit) for bit in bin(BASE_MODULUS - 2)[2:])


@kernel
def invert(element: Any) -> Any:
    """1 / element; 0 for 0."""
    value = norm(element)
    power = base_one()
    for bit in _EXPONENT:
        power = square(power)
        if bit:
            power = multiply(power, value)
    return times_conjugate(element, power)
