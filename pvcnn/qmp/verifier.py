"""The verifier of one proof: docs/protocol.md, eq. (11), as a single product of seven pairings.

    e(A, B) = e(alpha, beta) e(sum_pub x_i [K_i/gamma_pub], gamma_pub)
              e(D_in, gamma_in) e(D_w, gamma_w) e(D_aux, gamma_aux) e(C, delta)

The public values x are 1, the challenges and the outputs. A false statement verifies with negligible
probability (in the algebraic group model with a random oracle) because the challenges x_1..x_3 are
computed here, from the commitments, and not taken from the prover.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    commitments = (statement.features_commitment, key.weights_commitment, proof.auxiliary_commitment)
    if not equation_holds(key, public, commitments, proof):
        raise VerificationError("the proof does not satisfy the pairing equation")


def check_shape(key: VerificationKey, statement: Statement, proof: Proof) -> None:
    """Everything but the equation: types, the number of outputs, and the groups of the proof's points.

    That the other points lie in their groups is a condition of statements and keys to exist at all.

    Raises VerificationError, or TypeError for an argument of another type.
    """
    if not isinstance(key, VerificationKey):
        raise TypeError("key must be a VerificationKey")
    if not isinstance(statement, Statement):
        raise TypeError("statement must be a Statement")
    if not isinstance(proof, Proof):
        raise TypeError("proof must be a Proof")
    if len(statement.outputs) != key.outputs:
        raise VerificationError(f"the statement has {len(statement.outputs)} outputs, the key {key.outputs}")
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


def public_values(challenges: tuple[int, int, int], statement: Statement) -> tuple[int, ...]:
    """The values of the wires of segment `pub`, in order."""
    return (1, *challenges, *statement.outputs)


def equation_holds(
    key: CircuitKey, public: Sequence[int], commitments: tuple[G1Point, G1Point, G1Point], proof: Proof
) -> bool:
    """Eq. (11) for given public values and (D_in, D_w, D_aux).

    By itself this proves nothing: whoever calls it must have derived the challenges among `public`
    from these very commitments.
    """
    features, weights, auxiliary = commitments
    gamma = key.gamma_g2
    return pairing_product_is_one(
        [
            (-proof.a, proof.b),
            (key.alpha_g1, key.beta_g2),
            (linear_combination_g1(key.public_g1, public), gamma.pub),
            (features, gamma.in_),
            (weights, gamma.w),
            (auxiliary, gamma.aux),
            (proof.c, key.delta_g2),
        ]
    )
