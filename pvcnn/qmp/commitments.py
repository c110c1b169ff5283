"""Commitments to segments of the witness: docs/protocol.md, eq. (8).

    D_s = sum_{i in s} z_i [K_i/gamma_s]1 + nu_s [eta_s/gamma_s]1        s = in, w, aux

Hiding, because nu_s is uniform and [eta_s/gamma_s]1 generates G1 (`pvcnn.qmp.key_check`). Binding,
because the columns of a segment are linearly independent (`pvcnn.qmp.peeling`): two openings of
one commitment would be a relation between the setup's secrets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.curve import g1_to_points, msm_g1
from pvcnn.algebra.points import G1Point, scalar
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.errors import VerificationError
from pvcnn.program.weights import PUBLISHED_BLINDING
from pvcnn.qmp.proving_key import COMMITTED, ProvingKey


def commit(key: ProvingKey, segment: str, values: NDArray[np.int64] | ScalarVector, blinding: int) -> G1Point:
    """D_s of segment 'in', 'w' or 'aux' for its `values`, one a wire, and nu_s = `blinding`.

    Raises ValueError for another number of values and VerificationError for a malformed key.
    """
    points = key.committed_g1(segment)
    if len(values) != len(points):
        raise ValueError(f"segment {segment!r} has {len(points)} wires, got {len(values)} values")
    row = COMMITTED.index(segment)
    base = g1_to_points(key.blinding_gamma_g1[row : row + 1])[0]
    commitment: G1Point = msm_g1(points, values) + base * scalar(blinding)
    if not commitment.is_in_subgroup():
        raise VerificationError(f"proving key: the points of segment {segment!r} lie outside of G1")
    return commitment


def commit_weights(key: ProvingKey, weights: NDArray[np.int64], blinding: int) -> G1Point:
    """D_w, which the owner publishes in the verification key.

    `weights` are those of `Weights.flat()`, int64, and `blinding` is the model's nu_w.
    """
    return commit(key, "w", weights, blinding)


def commit_nothing(key: ProvingKey) -> G1Point:
    """D_w of a circuit that has its weights as coefficients: [eta_w/gamma_w]1, which hides nothing."""
    return commit(key, "w", np.zeros(0, np.int64), PUBLISHED_BLINDING)
