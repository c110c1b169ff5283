"""Powers of rho as wires, shared by all gates, and the rows that bind every challenge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.challenges import CHALLENGES
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.matrix_program import CONSTANT_WIRE

Integers = NDArray[np.int64]

RHO, THETA, CHI = (1 + i for i in range(len(CHALLENGES)))


class Powers:
    """Wires of powers of rho: each is one that exists already times another.

    Without wires that rows tie to rho a prover could choose the "powers" after seeing the matrices.
    """

    def __init__(self, builder: ConstraintBuilder, highest: int) -> None:
        """Begins with rho^0 .. rho^highest."""
        self._builder = builder
        self._wires = {0: CONSTANT_WIRE, 1: RHO}
        self.multiples(1, highest + 1)

    def at(self, exponents: Integers) -> Integers:
        """The wires of rho^e for each e of `exponents`, which must exist."""
        distinct, inverse = np.unique(exponents.reshape(-1), return_inverse=True)
        wires = np.array([self._wires[exponent] for exponent in distinct.tolist()], np.int64)
        found: Integers = wires[inverse]
        return found

    def multiples(self, step: int, count: int) -> Integers:
        """The wires of rho^0, rho^step, ..., rho^(step (count - 1)); rho^step must exist."""
        exponents = step * np.arange(count)
        known = next((j for j in range(count) if step * j not in self._wires), count)
        if known < count:
            first = Combinations.of_wires(self.at(exponents[known - 1 : known]))
            base = self._wires[step]
            rest = Combinations.zero(count - known)
            chain = self._builder.horner("powers", f"powers of rho^{step}", first, rest, base)
            self._wires |= dict(zip(exponents[known:].tolist(), chain[0].tolist(), strict=True))
        return self.at(exponents)

    def sums(self, first: Integers, second: Integers) -> Integers:
        """The wires of rho^(a + b), (len(first), len(second)), for exponents whose powers exist."""
        a, b = (part.reshape(-1) for part in np.meshgrid(first, second, indexing="ij"))
        exponents, places = np.unique(a + b, return_index=True)
        missing = places[[exponent not in self._wires for exponent in exponents.tolist()]]
        if len(missing):
            factors = (Combinations.of_wires(self.at(part[missing])) for part in (a, b))
            wires = self._builder.products("powers", "products of powers", *factors)
            self._wires |= dict(zip((a + b)[missing].tolist(), wires.tolist(), strict=True))
        return self.at(a + b).reshape(len(first), len(second))


def new_multiples(step: int, count: int, highest: int) -> int:
    """How many constraints `Powers.multiples` makes where the powers up to `highest` are all that exist."""
    return max(0, count - 1 - max(highest, 1) // step)


def bind_challenges(builder: ConstraintBuilder) -> None:
    """The squares of all challenges: so each occurs in a row, even where no gate uses it.

    A challenge that occurred in no row would not enter eq. (11), and nothing would then tie a proof
    to what the challenges are hashed from: context, outputs and commitments.
    """
    challenges = Combinations.of_wires(np.array([RHO, THETA, CHI]))
    builder.products("powers", "challenges are bound", challenges, challenges)
