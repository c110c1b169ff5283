"""What the prover checks of a proving key, once: docs/protocol.md, eq. (12).

    [eta_s/gamma_s]1 is not the identity,  e([eta_s/gamma_s]1, [gamma_s]2) = e([eta_s/delta]1, [delta]2)

Without the first, D_s would be a deterministic function of the witness and could be searched; without
the second, blinding would make honest proofs invalid, so that a prover would be tempted to leave it
out. The rest of a key needs no trust for hiding: A, B and the D_s are uniform whatever the other points
are, as long as they are points of the groups, and C is then the only value that verifies, which the prover
checks before it lets a proof out of its hands (`pvcnn.qmp.prover`).

Points of the groups: of the curve, every single one, and of the subgroup of order r, all together and
with an error below 2^-128 (`pvcnn.algebra.subgroups`). One component of order 3 would show z_i modulo 3 in
a commitment, however large nu_s is; without any, sums of the key's points are in the groups for
every witness, so none of them can be refused for where it lies.
"""

from __future__ import annotations

import numpy as np

from pvcnn.algebra.curve import g1_on_curve, g1_to_points, g2_on_curve
from pvcnn.algebra.points import G1Point, G2Point, pairing_product_is_one
from pvcnn.algebra.subgroups import g1_in_subgroup, g2_in_subgroup
from pvcnn.errors import VerificationError
from pvcnn.qmp.proving_key import PointsG1, ProvingKey

_MANY_G1 = ("u_g1", "v_g1", "in_g1", "w_g1", "lab_g1", "aux_g1", "private_g1", "quotient_g1")
_FEW_G1 = ("beta_g1", "delta_g1", "blinding_gamma_g1", "blinding_delta_g1")


def check_proving_key(key: ProvingKey) -> None:
    """Raises VerificationError, naming what is wrong, for a key that must not be used."""
    for name in (*_MANY_G1, *_FEW_G1):
        if not np.all(g1_on_curve(getattr(key, name))):
            raise VerificationError(f"proving key: {name} holds something that is not a point")
    if not np.all(g2_on_curve(key.v_g2)):
        raise VerificationError("proving key: v_g2 holds something that is not a point")
    _check_subgroups(key)
    circuit_key = key.circuit_key
    beta, delta = _in_subgroup("beta", key.beta_g1)[0], _in_subgroup("delta", key.delta_g1)[0]
    if not _same_exponent(beta, circuit_key.beta_g2) or not _same_exponent(delta, circuit_key.delta_g2):
        raise VerificationError("proving key: beta or delta differs between G1 and G2")
    over_gamma = _in_subgroup("eta/gamma", key.blinding_gamma_g1)
    over_delta = _in_subgroup("eta/delta", key.blinding_delta_g1)
    gamma = circuit_key.gamma_g2.by_segment()
    for segment, left, right in zip(key.committed, over_gamma, over_delta, strict=True):
        if not pairing_product_is_one([(left, gamma[segment]), (-right, circuit_key.delta_g2)]):
            raise VerificationError(f"proving key: the blinding points of segment {segment!r} disagree")


def _check_subgroups(key: ProvingKey) -> None:
    """Of the arrays of many points, which lie on the curve."""
    many = [getattr(key, name) for name in _MANY_G1]
    if not g1_in_subgroup(many):
        stray = [name for name, array in zip(_MANY_G1, many, strict=True) if not g1_in_subgroup([array])]
        raise VerificationError(f"proving key: {', '.join(stray)} holds points outside of G1")
    if not g2_in_subgroup([key.v_g2]):
        raise VerificationError("proving key: v_g2 holds points outside of G2")


def _in_subgroup(name: str, rows: PointsG1) -> list[G1Point]:
    """The rows as points that generate G1."""
    points: list[G1Point] = g1_to_points(rows)
    if any(point == G1Point.identity() or not point.is_in_subgroup() for point in points):
        raise VerificationError(f"proving key: {name} does not generate G1")
    return points


def _same_exponent(left: G1Point, right: G2Point) -> bool:
    """Whether left = [x]1 and right = [x]2 for some x."""
    return pairing_product_is_one([(left, G2Point()), (-G1Point(), right)])
