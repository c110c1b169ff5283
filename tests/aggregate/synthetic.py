"""A verification key whose trapdoor is known, and proofs made with it.

With alpha, beta, delta, gamma_s and the K_i in hand, C is the solution of eq. (11) for any A, B, statement
and D_aux: a valid proof without a circuit, and the tool of a forger who ran the setup.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.aggregator import aggregate_groups
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, G2Point, scalar
from pvcnn.qmp.challenges import derive_challenges
from pvcnn.qmp.keys import GammaPoints, VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.verifier import public_values

OUTPUTS = 2


def g1(exponent: int) -> G1Point:
    return G1Point() * scalar(exponent)


def g2(exponent: int) -> G2Point:
    return G2Point() * scalar(exponent)


def fold(
    key: AggregationKey, vk: VerificationKey, proofs: Sequence[Proof], *, check: bool = True
) -> Aggregate:
    """The folded aggregate of proofs under one key."""
    return fold_groups(key, [(vk, proofs)], check=check)


def fold_groups(
    key: AggregationKey, groups: Sequence[tuple[VerificationKey, Sequence[Proof]]], *, check: bool = True
) -> Aggregate:
    """The folded aggregate of proofs under several keys."""
    made = aggregate_groups(key, groups, scheme="snarkpack", check=check)
    assert isinstance(made, Aggregate)
    return made


@dataclass
class Trapdoor:
    """Discrete logarithms of a verification key, and of every point it handed out.

    segments: those that statement, key and proof commit to; with "lab" the key takes labels.
    """

    seed: int = 0
    segments: tuple[str, ...] = ("in", "w", "aux")
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.alpha, self.beta, self.delta, self.weights = (self.draw() for _ in range(4))
        self.gamma = {name: self.draw() for name in ("pub", *self.segments)}
        self.public = [self.draw() for _ in range(4 + OUTPUTS)]
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
        return self.rng.randrange(2, SCALAR_MODULUS)

    def prove(self, context: bytes = b"", outputs: tuple[int, ...] = (1, 0)) -> Proof:
        """A valid proof of a fresh statement."""
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

    def prove_many(self, count: int) -> list[Proof]:
        return [self.prove(b"submission %d" % i, (i & 1, 0)) for i in range(count)]
