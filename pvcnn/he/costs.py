"""What operations on ciphertexts cost: the times by which layouts and parameters are compared.

Milliseconds of one thread, measured with SEAL 4 at degree 16384 on a server of 2023; other degrees by
N log N. Only their ratios matter for the choice, and they must not depend on the machine: owner and cluster
have to come to the same plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_DEGREE = 16384


@dataclass(frozen=True)
class Costs:
    """At one degree; `primes` is always how many data primes are left before the operation."""

    degree: int

    @property
    def _size(self) -> float:
        return self.degree * math.log2(self.degree) / (_DEGREE * math.log2(_DEGREE))

    def key_switch(self, primes: int) -> float:
        """A rotation, a conjugation or a relinearisation."""
        return self._size * (0.3 * primes * (primes + 1) + 0.3 * primes)

    def product(self, primes: int) -> float:
        """With a plaintext, and the addition that follows."""
        return self._size * 0.21 * primes

    def square(self, primes: int) -> float:
        return self._size * 0.145 * primes

    def rescale(self, primes: int) -> float:
        return self._size * 0.4 * primes
