"""Proofs made from the secrets of a setup: a benchmark of aggregation needs thousands, and no circuit.

With alpha, beta, delta, gamma_s and the K_i in hand, C is the solution of eq. (11) of docs/protocol.md for
any A, B, statement and D_aux: a valid proof of nothing. It takes as many bytes and as much checking as any
other.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, G2Point, scalar
from pvcnn.qmp.challenges import derive_challenges
from pvcnn.qmp.keys import GammaPoints, VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.verifier import public_values


def g1(exponent: int) -> G1Point:
    """[exponent]1."""
    return G1Point() * scalar(exponent)


def g2(exponent: int) -> G2Point:
    """[exponent]2."""
    return G2Point() * scalar(exponent)


@dataclass
class SimulatedCircuit:
    """Discrete logarithms of a verification key, and of every point it handed out, all from a seed.

    segments: those that statement, key and proof commit to; with "lab" the key takes labels.
    """

    seed: int = 0
    segments: tuple[str, ...] = ("in", "w", "aux")
    outputs: int = 2
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311 - nothing here is secret
        self.alpha, self.beta, self.delta, self.weights = (self.draw() for _ in range(4))
        self.gamma = {name: self.draw() for name in ("pub", *self.segments)}
        self.public = [self.draw() for _ in range(4 + self.outputs)]
        self.vk = VerificationKey(
            alpha_g1=g1(self.alpha),
            beta_g2=g2(self.beta),
            gamma_g2=GammaPoints.of_segments({name: g2(value) for name, value in self.gamma.items()}),
            delta_g2=g2(self.delta),
            public_g1=tuple(g1(value) for value in self.public),
            program_digest=self.rng.randbytes(32),
            frames=1,
            weights_digest=b"",
            labels_digest=self.rng.randbytes(32) if "lab" in self.segments else b"",
            weights_commitment=g1(self.weights),
        )

    def draw(self) -> int:
        """A scalar that is neither 0 nor 1."""
        return self.rng.randrange(2, SCALAR_MODULUS)

    def prove(self, context: bytes = b"", outputs: tuple[int, ...] = (1, 0)) -> Proof:
        """A valid proof of a fresh statement, with as many outputs as the key has."""
        committed = {name: self.draw() for name in self.segments} | {"w": self.weights}
        a, b = self.draw(), self.draw()
        labels = g1(committed["lab"]) if "lab" in committed else None
        statement = Statement(g1(committed["in"]), outputs, context, labels)
        auxiliary = g1(committed["aux"])
        values = public_values(derive_challenges(self.vk, statement, auxiliary), statement)
        known = self.alpha * self.beta + sum(committed[name] * self.gamma[name] for name in self.segments)
        known += sum(x * k for x, k in zip(values, self.public, strict=True)) * self.gamma["pub"]
        c = (a * b - known) * pow(self.delta, -1, SCALAR_MODULUS)
        return Proof(g1(a), g2(b), g1(c), auxiliary, statement)
