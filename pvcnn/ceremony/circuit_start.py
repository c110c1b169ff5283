"""The first state of a circuit's own ceremony, from closed powers: every secret of its own is 1."""

from __future__ import annotations

import numpy as np

from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.curve import g1_from_points, g2_from_points
from pvcnn.algebra.ntt import Domain
from pvcnn.algebra.point_pairs import sums_and_differences
from pvcnn.algebra.point_transforms import lagrange_points
from pvcnn.algebra.points import G1Point, G2Point
from pvcnn.ceremony.circuit import CircuitBase, CircuitShape, CircuitState, segment_array
from pvcnn.ceremony.columns import column_points, fold_derived
from pvcnn.ceremony.powers import PowersState
from pvcnn.ceremony.progress import Progress
from pvcnn.qmp.peeling import check_binding
from pvcnn.qmp.proving_key import wire_order
from pvcnn.qmp.system import ConstraintSystem, SparseMatrix


def start_circuit(
    system: ConstraintSystem, powers: PowersState, progress: Progress
) -> tuple[CircuitBase, CircuitState]:
    """[u_i]1, [v_i]1, [v_i]2, and the keys for gamma_s = eta_s = delta = 1.

    Raises ValueError if the powers are too few for the circuit, or its commitments would not bind.
    """
    check_binding(system)
    shape = CircuitShape.of(system)
    if shape.domain > powers.domain_size:
        raise ValueError(
            f"the circuit needs powers for 2^{shape.domain.bit_length() - 1} constraints, "
            f"these serve 2^{powers.domain_size.bit_length() - 1}"
        )
    domain = Domain(shape.domain)
    steps = shape.domain.bit_length()
    progress.begin("Fourier transforms of points", 4 * steps)
    one, alpha, beta, one_g2 = (
        lagrange_points(domain, vector[: domain.size], lambda: progress.advance(1))
        for vector in (powers.tau_g1, powers.alpha_g1, powers.beta_g1, powers.tau_g2)
    )
    progress.begin("the circuit's columns", 4)

    def folded(*terms: tuple[SparseMatrix, PointVector]) -> PointVector:
        """The sum of the matrices' columns, each applied to its points."""
        total, *others = (column_points(system, matrix, points) for matrix, points in terms)
        for other in others:
            total = sums_and_differences(total, other)[0]
        progress.advance(1)
        return fold_derived(system, total)

    u, v, v_g2 = folded((system.a, one)), folded((system.b, one)), folded((system.b, one_g2))
    k = folded((system.a, beta), (system.b, alpha), (system.c, one))
    a_wires = wire_order(system.segments, np.asarray(u.any(axis=1)))
    b_wires = wire_order(system.segments, np.asarray(v.any(axis=1)))
    base = CircuitBase(a_wires, b_wires, u[a_wires], v[b_wires], v_g2[b_wires])
    return base, _first_state(system, shape, k, powers)


def _first_state(
    system: ConstraintSystem, shape: CircuitShape, k: PointVector, powers: PowersState
) -> CircuitState:
    size = shape.domain
    _, quotient = sums_and_differences(powers.tau_g1[size : 2 * size - 1], powers.tau_g1[: size - 1])
    ones = {"g1": g1_from_points([G1Point()]), "g2": g2_from_points([G2Point()])}
    arrays = {name: np.repeat(ones[name[-2:]], count, axis=0) for name, count in shape.counts().items()}
    for segment in shape.segments:
        arrays[segment_array(segment)] = k[system.segments.span(segment)]
    return CircuitState(
        shape, arrays | {"private_g1": k[system.segments.span("priv")], "quotient_g1": quotient}
    )
