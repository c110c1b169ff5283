"""How large values can get and how large the noise is, layer by layer, before anything is encrypted.

Magnitudes are worst-case bounds over all frames within the pixel bound. Noise is the standard deviation
of a slot's real part, in units of the value, by the usual average-case estimates for CKKS
(Kim et al., eprint 2020/1118) with independent coefficients; multiplied values are taken at
their worst-case magnitude, so real frames see less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Deviation of SEAL's error distribution.
ERROR_DEVIATION = 3.2

#: A normal variable leaves this many deviations with probability 2e-9.
TAIL = 6.0


@dataclass(frozen=True)
class Estimate:
    """What a slot can hold: at most `magnitude` in absolute value, with noise of this deviation."""

    magnitude: float
    noise: float


class NoiseModel:
    """Noise terms at one degree and modulus chain (data primes in order, then the special one)."""

    def __init__(self, degree: int, moduli: tuple[int, ...]) -> None:
        self._degree = degree
        self._moduli = moduli

    def _slot(self, coefficient_variance: float, scale: float) -> float:
        """Deviation of a slot's real part from the variance of each coefficient."""
        return math.sqrt(coefficient_variance * self._degree / 2) / scale

    def fresh(self, scale: float) -> float:
        """Of a public-key encryption: v e + e_0 + e_1 s with v and s ternary."""
        return self._slot(ERROR_DEVIATION**2 * (4 * self._degree / 3 + 1), scale)

    def rounding(self, scale: float) -> float:
        """Of dividing by a prime, in the new scale: two rounded polynomials, one times s."""
        return self._slot((1 + 2 * self._degree / 3) / 12, scale)

    def key_switch(self, primes: int, scale: float) -> float:
        """Of a rotation or relinearisation with `primes` data primes left."""
        special = self._moduli[-1]
        digits = sum((modulus / special) ** 2 for modulus in self._moduli[:primes])
        variance = digits * self._degree * ERROR_DEVIATION**2 / 12
        return math.hypot(self._slot(variance, scale), self.rounding(scale))

    def encoding(self, magnitude: float, scale: float) -> float:
        """Of multiplying a value of this magnitude by a plaintext rounded to integers at `scale`."""
        return magnitude * self._slot(1 / 12, scale)
