"""The setup of one circuit: docs/protocol.md, eq. (7).

    K_i = beta u_i(tau) + alpha v_i(tau) + w_i(tau)

Whoever knows the numbers drawn here can prove anything. They stay in this process's memory, are
never serialised, and are overwritten afterwards as far as Python allows (arrays are; the interpreter
may keep copies of integers until their memory is used again).
[gamma_s]1 is computed nowhere (docs/security-argument.md, Proposition 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.curve import fixed_base_g1, fixed_base_g2, g1_to_points
from pvcnn.algebra.ntt import Domain
from pvcnn.algebra.points import G2Point, random_scalar, scalar
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.qmp.applied_maps import column_sums
from pvcnn.qmp.keys import CircuitKey, GammaPoints
from pvcnn.qmp.labels import labels_digest
from pvcnn.qmp.peeling import check_binding
from pvcnn.qmp.proving_key import ProvingKey, domain_size, wire_order
from pvcnn.qmp.system import ConstraintSystem


@dataclass(repr=False)
class Trapdoors:
    """The secrets of a setup, scalars in [1, r). SECRET: never log, never encode."""

    alpha: int
    beta: int
    delta: int
    tau: int
    gamma: dict[str, int]
    eta: dict[str, int]

    @classmethod
    def draw(cls, committed: Sequence[str]) -> Trapdoors:
        """Fresh ones for these committed segments, from the operating system's generator."""
        alpha, beta, delta, tau = (random_scalar() for _ in range(4))
        gamma = {segment: random_scalar() for segment in ("pub", *committed)}
        return cls(alpha, beta, delta, tau, gamma, {segment: random_scalar() for segment in committed})

    def forget(self) -> None:
        """Drops every secret."""
        self.alpha = self.beta = self.delta = self.tau = 0
        self.gamma.clear()
        self.eta.clear()


def generate(
    system: ConstraintSystem, program_digest: bytes, frames: int, weights_digest: bytes = b""
) -> tuple[ProvingKey, CircuitKey]:
    """The proving key of `system` and its part that the verifier gets.

    weights_digest: of the published weights that `system` was compiled with; empty if they are committed.
    The verification key of a model is `circuit_key.commit(commit_weights(...))`. Raises ValueError for
    a system whose commitments would not bind.
    """
    check_binding(system)
    trapdoors = Trapdoors.draw(system.segments.committed)
    try:
        return keys_of_trapdoors(system, program_digest, frames, trapdoors, weights_digest)
    finally:
        trapdoors.forget()


def keys_of_trapdoors(
    system: ConstraintSystem,
    program_digest: bytes,
    frames: int,
    trapdoors: Trapdoors,
    weights_digest: bytes = b"",
) -> tuple[ProvingKey, CircuitKey]:
    """The keys that `trapdoors` give. Secret vectors are overwritten before it returns."""
    secrets: list[ScalarVector] = []
    try:
        return _keys(system, program_digest, frames, trapdoors, weights_digest, secrets)
    finally:
        for vector in secrets:
            vector.fill(0)


def _keys(
    system: ConstraintSystem,
    program_digest: bytes,
    frames: int,
    trapdoors: Trapdoors,
    weights_digest: bytes,
    secrets: list[ScalarVector],
) -> tuple[ProvingKey, CircuitKey]:
    def keep(vector: ScalarVector) -> ScalarVector:
        secrets.append(vector)
        return vector

    segments = system.segments
    domain = Domain(domain_size(system.constraints))
    lagrange = keep(domain.lagrange_at(trapdoors.tau))[: system.constraints]
    # The values at tau of the polynomials that interpolate the columns of A, B and C.
    matrices = (system.a, system.b, system.c)
    u, v, w = (keep(column_sums(system, matrix, lagrange)) for matrix in matrices)
    alpha_v_w = keep(scalars.add(keep(scalars.scale(v, trapdoors.alpha)), w))
    k = keep(scalars.add(keep(scalars.scale(u, trapdoors.beta)), alpha_v_w))

    a_wires = wire_order(segments, ~scalars.is_zero(u))
    b_wires = wire_order(segments, ~scalars.is_zero(v))
    per_delta = _inverse(trapdoors.delta)
    per_gamma = {name: _inverse(value) for name, value in trapdoors.gamma.items()}
    vanishing = domain.vanishing_at(trapdoors.tau) * per_delta % SCALAR_MODULUS
    powers = keep(scalars.powers(trapdoors.tau, domain.size - 1))
    by_segment = {s: keep(scalars.scale(k[segments.span(s)], per_gamma[s])) for s in segments.committed}
    by_segment.setdefault("lab", scalars.zeros(0))
    exponents = {
        "u_g1": keep(u[a_wires]),
        "v_g1": keep(v[b_wires]),
        "public_g1": keep(scalars.scale(k[segments.span("pub")], per_gamma["pub"])),
        **{f"{s}_g1": exponent for s, exponent in by_segment.items()},
        "private_g1": keep(scalars.scale(k[segments.span("priv")], per_delta)),
        "quotient_g1": keep(scalars.scale(powers, vanishing)),
        "alpha_g1": keep(scalars.from_integers([trapdoors.alpha])),
        "beta_g1": keep(scalars.from_integers([trapdoors.beta])),
        "delta_g1": keep(scalars.from_integers([trapdoors.delta])),
        "blinding_gamma_g1": keep(
            scalars.from_integers([trapdoors.eta[s] * per_gamma[s] for s in segments.committed])
        ),
        "blinding_delta_g1": keep(
            scalars.from_integers([trapdoors.eta[s] * per_delta for s in segments.committed])
        ),
    }
    # One call for all points: the table of multiples of the generator is made once.
    points = fixed_base_g1(keep(np.concatenate(list(exponents.values()))))
    ends = np.cumsum([len(vector) for vector in exponents.values()])
    g1 = dict(zip(exponents, np.split(points, ends[:-1]), strict=True))
    blinding = dict(zip(segments.committed, g1_to_points(g1["blinding_gamma_g1"]), strict=True))
    v_g2 = fixed_base_g2(exponents["v_g1"])

    gamma = {name: _on_g2(value) for name, value in trapdoors.gamma.items()}
    circuit_key = CircuitKey(
        alpha_g1=g1_to_points(g1.pop("alpha_g1"))[0],
        beta_g2=_on_g2(trapdoors.beta),
        gamma_g2=GammaPoints.of_segments(gamma),
        delta_g2=_on_g2(trapdoors.delta),
        public_g1=tuple(g1_to_points(g1.pop("public_g1"))),
        program_digest=program_digest,
        frames=frames,
        weights_digest=weights_digest,
        labels_digest=labels_digest(g1_to_points(g1["lab_g1"]), blinding["lab"]) if segments.lab else b"",
    )
    return ProvingKey(circuit_key=circuit_key, a_wires=a_wires, b_wires=b_wires, v_g2=v_g2, **g1), circuit_key


def _inverse(value: int) -> int:
    return pow(value, -1, SCALAR_MODULUS)


def _on_g2(value: int) -> G2Point:
    return G2Point() * scalar(value)
