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


def powers_of_rho(builder: ConstraintBuilder, highest: int) -> Integers:
    """Wires of rho^0 .. rho^highest: each is the one before times rho.

    Without wires that a row ties to rho a prover could choose the "powers" after seeing the matrices.
    """
    wires = np.array([CONSTANT_WIRE, RHO])
    if highest < 2:
        return wires[: highest + 1]
    first = Combinations.of_wires(np.array([RHO]))
    chain = builder.horner("powers", "powers of rho", first, Combinations.zero(highest - 1), RHO)
    return np.concatenate([wires, chain[0]])


def bind_challenges(builder: ConstraintBuilder) -> None:
    """The squares of all challenges: so each occurs in a row, even where no gate uses it.

    A challenge that occurred in no row would not enter eq. (11), and nothing would then tie a proof
    to what the challenges are hashed from: context, outputs and commitments.
    """
    challenges = Combinations.of_wires(np.array([RHO, THETA, CHI]))
    builder.products("powers", "challenges are bound", challenges, challenges)
