"""The verifier of one proof: docs/protocol.md, eq. (11), as a product of seven pairings, eight with labels.

    e(A, B) = e(alpha, beta) e(sum_pub x_i [K_i/gamma_pub], gamma_pub)
              e(D_in, gamma_in) e(D_w, gamma_w) e(D_lab, gamma_lab) e(D_aux, gamma_aux) e(C, delta)

The public values x are 1, the challenges and the outputs. A false statement verifies with negligible
probability (docs/security-argument.md, Theorem 1) because the challenges x_1..x_3 are computed here, from the
commitments, and not taken from the prover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pvcnn.algebra.points import G1Point, G2Point, linear_combination_g1, pairing_product_is_one
from pvcnn.errors import VerificationError
from pvcnn.qmp.challenges import derive_challenges
from pvcnn.qmp.keys import CircuitKey, VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement


def verify(key: VerificationKey, statement: Statement, proof: Proof) -> None:
    """Returns if `proof` proves `statement` under `key`.

    Raises VerificationError naming what failed otherwise; TypeError if an argument is of another type.
    """
    check_shape(key, statement, proof)
    challenges = derive_challenges(key, statement, proof.auxiliary_commitment)
    public = public_values(challenges, statement)
    if not equation_holds(key, public, commitments(key, statement, proof), proof):
        raise VerificationError("the proof does not satisfy the pairing equation")


def check_shape(key: VerificationKey, statement: Statement, proof: Proof) -> None:
    """Everything but the equation: types, the statement's shape, and the groups of the proof's points.

    That the other points lie in their groups is a condition of statements and keys to exist at all.

    Raises VerificationError, or TypeError for an argument of another type.
    """
    if not isinstance(key, VerificationKey):
        raise TypeError("key must be a VerificationKey")
    if not isinstance(statement, Statement):
        raise TypeError("statement must be a Statement")
    if not isinstance(proof, Proof):
        raise TypeError("proof must be a Proof")
    check_statement(key, statement)
    in_g1 = {
        "A": proof.a,
        "C": proof.c,
        "the auxiliary commitment": proof.auxiliary_commitment,
    }
    for name, point in in_g1.items():
        if not point.is_in_subgroup() or point == G1Point.identity():
            raise VerificationError(f"{name} is not a generator of G1")
    if not proof.b.is_in_subgroup() or proof.b == G2Point.identity():
        raise VerificationError("B is not a generator of G2")


def check_statement(key: CircuitKey, statement: Statement) -> None:
    """Raises VerificationError unless the statement has as many outputs as the key, and labels if it does."""
    if len(statement.outputs) != key.outputs:
        raise VerificationError(f"the statement has {len(statement.outputs)} outputs, the key {key.outputs}")
    if key.takes_labels and statement.labels_commitment is None:
        raise VerificationError("the statement has no commitment to labels, which the key demands")
    if not key.takes_labels and statement.labels_commitment is not None:
        raise VerificationError("the statement has a commitment to labels, for which the key has no place")


def commitments(key: VerificationKey, statement: Statement, proof: Proof) -> dict[str, G1Point]:
    """D_s by segment."""
    labels = {} if statement.labels_commitment is None else {"lab": statement.labels_commitment}
    return {
        "in": statement.features_commitment,
        "w": key.weights_commitment,
        **labels,
        "aux": proof.auxiliary_commitment,
    }


def public_values(challenges: tuple[int, int, int], statement: Statement) -> tuple[int, ...]:
    """The values of the wires of segment `pub`, in order."""
    return (1, *challenges, *statement.outputs)


def equation_holds(
    key: CircuitKey, public: Sequence[int], committed: Mapping[str, G1Point], proof: Proof
) -> bool:
    """Eq. (11) for given public values and `committed`, D_s for each segment that the key has.

    By itself this proves nothing: whoever calls it must have derived the challenges among `public`
    from these very commitments.
    """
    gamma = key.gamma_g2.by_segment()
    points = {"pub": linear_combination_g1(key.public_g1, public), **committed}
    if points.keys() != gamma.keys():
        raise ValueError(f"the key has the segments {', '.join(gamma)}, not {', '.join(points)}")
    return pairing_product_is_one(
        [
            (-proof.a, proof.b),
            (key.alpha_g1, key.beta_g2),
            *((points[segment], gamma_s) for segment, gamma_s in gamma.items()),
            (proof.c, key.delta_g2),
        ]
    )
