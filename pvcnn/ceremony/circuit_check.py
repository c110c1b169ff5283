"""Are a state's keys those of the circuit, for the secrets that its contributions lead to?

docs/ceremony.md, section "Verification". Nothing is computed anew in the exponent: a random combination of
all wires' polynomials has coefficients that the matrices and a Fourier transform of scalars give, and so is
one sum of multiples of the powers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pvcnn.algebra import scalars
from pvcnn.algebra.curve import msm_g1, msm_g2
from pvcnn.algebra.ntt import Domain
from pvcnn.algebra.points import G1Point, G2Point, pairing_product_is_one
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.ceremony.circuit import CircuitBase, CircuitShape, CircuitState, segment_array
from pvcnn.ceremony.columns import combined_polynomials, random_weights
from pvcnn.ceremony.description import Point
from pvcnn.ceremony.powers import PowersState
from pvcnn.ceremony.progress import Progress
from pvcnn.ceremony.state import check_points, to_g1, to_g2
from pvcnn.errors import VerificationError
from pvcnn.qmp.peeling import check_binding
from pvcnn.qmp.proving_key import wire_order
from pvcnn.qmp.system import ConstraintSystem

_CHECKS = 6


def check_circuit(
    system: ConstraintSystem,
    powers: PowersState,
    base: CircuitBase,
    state: CircuitState,
    points: Mapping[str, Point],
    progress: Progress,
) -> None:
    """Raises VerificationError, naming what is wrong, unless base and state are those of the circuit.

    powers: checked already. points: those of the secrets that the chain leads to. Each equation passes
    with something wrong in it with less than 2^-127, over randomness drawn here. Raises ValueError for a
    circuit whose commitments would not bind.
    """
    progress.begin("checking the circuit's keys", _CHECKS)
    check_binding(system)
    if state.shape != CircuitShape.of(system):
        raise VerificationError("keys: they are not those of this circuit")
    check_points("keys", base.arrays() | state.arrays())
    progress.advance(1)
    for name, point in state.points().items():
        if point != points[name]:
            raise VerificationError(f"keys: {name} is not the one that the contributions lead to")
    _check_wires(system, base)
    _check_secrets(state)
    progress.advance(1)
    weights = random_weights(system)
    u, v, w = combined_polynomials(system, Domain(state.shape.domain), weights)
    size = state.shape.domain
    if msm_g1(base.u_g1, weights[base.a_wires]) != msm_g1(powers.tau_g1[:size], u):
        raise VerificationError("keys: u_g1 is not that of this circuit")
    progress.advance(1)
    if msm_g1(base.v_g1, weights[base.b_wires]) != msm_g1(powers.tau_g1[:size], v):
        raise VerificationError("keys: v_g1 is not that of this circuit")
    progress.advance(1)
    if msm_g2(base.v_g2, weights[base.b_wires]) != msm_g2(powers.tau_g2[:size], v):
        raise VerificationError("keys: v_g2 is not that of this circuit")
    progress.advance(1)
    _check_combinations(system, powers, state, weights, (u, v, w))
    progress.advance(1)


def _check_wires(system: ConstraintSystem, base: CircuitBase) -> None:
    """The wires that a base names are in a proving key's order, each once."""
    for wires in (base.a_wires, base.b_wires):
        present = np.zeros(system.segments.total, np.bool_)
        if len(wires) and not 0 <= wires.min() <= wires.max() < len(present):
            raise VerificationError("keys: a wire of A or B does not exist")
        present[wires] = True
        if not np.array_equal(wire_order(system.segments, present), wires):
            raise VerificationError("keys: the wires of A or B are not in order")


def _check_secrets(state: CircuitState) -> None:
    """delta is one in both groups, and so is each eta under its gamma and under delta."""
    arrays, committed = state.points_of, state.shape.committed
    delta = to_g2(arrays["delta_g2"], 0)
    if not pairing_product_is_one([(to_g1(arrays["delta_g1"], 0), G2Point()), (-G1Point(), delta)]):
        raise VerificationError("keys: delta differs between G1 and G2")
    for row, segment in enumerate(committed):
        over_gamma, over_delta = (to_g1(arrays[f"blinding_{each}_g1"], row) for each in ("gamma", "delta"))
        gamma = to_g2(arrays["gamma_g2"], row + 1)
        if not pairing_product_is_one([(over_gamma, gamma), (-over_delta, delta)]):
            raise VerificationError(f"keys: the blinding points of segment {segment!r} disagree")


def _check_combinations(
    system: ConstraintSystem,
    powers: PowersState,
    state: CircuitState,
    weights: ScalarVector,
    polynomials: tuple[ScalarVector, ScalarVector, ScalarVector],
) -> None:
    """One equation for all [K_i/gamma_s]1, [K_i/delta]1 and [tau^j T(tau)/delta]1.

    prod_s e(sum_(i in s) rho_i [K_i/gamma_s]1, [gamma_s]2)
        e(sum_(i in priv) rho_i [K_i/delta]1 + sum_j sigma_j [tau^j T(tau)/delta]1, [delta]2)
        = e(sum_i rho_i [K_i]1 + sum_j sigma_j ([tau^(n + j)]1 - [tau^j]1), [1]2)
    """
    arrays, shape = state.points_of, state.shape
    u, v, w = polynomials
    size = shape.domain
    shifts = scalars.random(size - 1)
    in_tau = np.concatenate([w, shifts])
    in_tau[: size - 1] = scalars.subtract(w[: size - 1], shifts)
    whole = (
        msm_g1(powers.tau_g1[: 2 * size - 1], in_tau)
        + msm_g1(powers.beta_g1[:size], u)
        + msm_g1(powers.alpha_g1[:size], v)
    )
    pairs = [
        (msm_g1(arrays[segment_array(segment)], weights[system.segments.span(segment)]), gamma)
        for segment, gamma in zip(
            shape.segments,
            (to_g2(arrays["gamma_g2"], row) for row in range(len(shape.segments))),
            strict=True,
        )
    ]
    private = msm_g1(arrays["private_g1"], weights[system.segments.span("priv")])
    under_delta = private + msm_g1(arrays["quotient_g1"], shifts)
    pairs.append((under_delta, to_g2(arrays["delta_g2"], 0)))
    if not pairing_product_is_one([*pairs, (-whole, G2Point())]):
        raise VerificationError("keys: [K_i/gamma_s]1, [K_i/delta]1 or the quotient's points are not right")
