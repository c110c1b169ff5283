"""The keys that a campaign uses, from the last state of a circuit's ceremony."""

from __future__ import annotations

import numpy as np

from pvcnn.algebra.curve import g1_to_points
from pvcnn.ceremony.circuit import CircuitBase, CircuitState
from pvcnn.ceremony.description import CircuitDescription
from pvcnn.ceremony.powers import PowersState
from pvcnn.ceremony.state import to_g1, to_g2
from pvcnn.errors import VerificationError
from pvcnn.qmp.keys import CircuitKey, GammaPoints
from pvcnn.qmp.labels import labels_digest
from pvcnn.qmp.proving_key import ProvingKey


def keys_of_state(
    powers: PowersState, base: CircuitBase, state: CircuitState, description: CircuitDescription
) -> ProvingKey:
    """The proving key, with the circuit key in it. powers, base and state: checked.

    Raises VerificationError if a key refuses its points.
    """
    arrays = state.points_of
    gamma = {segment: to_g2(arrays["gamma_g2"], row) for row, segment in enumerate(state.shape.segments)}
    try:
        circuit_key = CircuitKey(
            alpha_g1=to_g1(powers.alpha_g1, 0),
            beta_g2=to_g2(powers.beta_g2, 0),
            gamma_g2=GammaPoints.of_segments(gamma),
            delta_g2=to_g2(arrays["delta_g2"], 0),
            public_g1=tuple(g1_to_points(arrays["pub_g1"])),
            program_digest=description.program_digest,
            frames=description.frames,
            weights_digest=description.weights_digest,
            labels_digest=_labels_digest(state) if "lab" in gamma else b"",
        )
        return ProvingKey(
            circuit_key=circuit_key,
            a_wires=base.a_wires,
            b_wires=base.b_wires,
            u_g1=base.u_g1,
            v_g1=base.v_g1,
            v_g2=base.v_g2,
            in_g1=arrays["in_g1"],
            w_g1=arrays["w_g1"],
            lab_g1=arrays.get("lab_g1", np.zeros((0, 12), np.uint64)),
            aux_g1=arrays["aux_g1"],
            private_g1=arrays["private_g1"],
            quotient_g1=arrays["quotient_g1"],
            beta_g1=powers.beta_g1[:1],
            delta_g1=arrays["delta_g1"],
            blinding_gamma_g1=arrays["blinding_gamma_g1"],
            blinding_delta_g1=arrays["blinding_delta_g1"],
        )
    except ValueError as error:
        raise VerificationError(f"keys: {error}") from error


def _labels_digest(state: CircuitState) -> bytes:
    """Names the points with which testers commit to labels."""
    blinding = to_g1(state.points_of["blinding_gamma_g1"], state.shape.committed.index("lab"))
    return labels_digest(g1_to_points(state.points_of["lab_g1"]), blinding)
