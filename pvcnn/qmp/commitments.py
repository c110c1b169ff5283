"""Commitments to segments of the witness: docs/protocol.md, eq. (8).

    D_s = sum_{i in s} z_i [K_i/gamma_s]1 + nu_s [eta_s/gamma_s]1        s = in, w, lab, aux

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
from pvcnn.program.program import Program
from pvcnn.program.weights import PUBLISHED_BLINDING
from pvcnn.qmp.labels import LabelKey
from pvcnn.qmp.proving_key import ProvingKey


def commit(key: ProvingKey, segment: str, values: NDArray[np.int64] | ScalarVector, blinding: int) -> G1Point:
    """D_s of segment 'in', 'w', 'lab' or 'aux' for its `values`, one a wire, and nu_s = `blinding`.

    Raises ValueError for another number of values and VerificationError for a malformed key.
    """
    points = key.committed_g1(segment)
    if len(values) != len(points):
        raise ValueError(f"segment {segment!r} has {len(points)} wires, got {len(values)} values")
    row = key.committed.index(segment)
    base = g1_to_points(key.blinding_gamma_g1[row : row + 1])[0]
    commitment: G1Point = msm_g1(points, values) + base * scalar(blinding)
    if not commitment.is_in_subgroup():
        raise VerificationError(f"proving key: the points of segment {segment!r} lie outside of G1")
    return commitment


def label_key(key: ProvingKey, program: Program) -> LabelKey:
    """What a tester commits to labels with, of the proving key of `program`.

    Raises ValueError if they take no labels.
    """
    if program.label_classes is None or not key.circuit_key.takes_labels:
        raise ValueError("the program takes no labels: it has to end with Correct")
    row = key.committed.index("lab")
    (blinding_point,) = g1_to_points(key.blinding_gamma_g1[row : row + 1])
    return LabelKey(program.label_classes, tuple(g1_to_points(key.lab_g1)), blinding_point)


def commit_features(key: ProvingKey, features: NDArray[np.int64], blinding: int) -> G1Point:
    """D_in of integer features (frames, *input_shape), for who has to show it before proving.

    `blinding` is to be drawn by `random_scalar` for these features alone, and given to `prove`.
    """
    return commit(key, "in", features.reshape(-1), blinding)


def commit_weights(key: ProvingKey, weights: NDArray[np.int64], blinding: int) -> G1Point:
    """D_w, which the owner publishes in the verification key.

    `weights` are those of `Weights.flat()`, int64, and `blinding` is the model's nu_w.
    """
    return commit(key, "w", weights, blinding)


def commit_nothing(key: ProvingKey) -> G1Point:
    """D_w of a circuit that has its weights as coefficients: [eta_w/gamma_w]1, which hides nothing."""
    return commit(key, "w", np.zeros(0, np.int64), PUBLISHED_BLINDING)
