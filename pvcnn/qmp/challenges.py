"""The challenges rho, theta and chi: docs/protocol.md, eq. (9).

    rho, theta, chi = H(domain, vk digest, context, outputs, D_in, D_w, D_lab, D_aux)

D_lab is absent where a program takes no labels: the key, whose digest comes first, says which.

Everything a prover commits to is hashed before it learns a challenge. That is what makes matrix
products, lookups and tuples sound, and what stops the one move that the pairing equation alone would
let through: with the challenges held fixed, D_s + kA and B + k[gamma_s]2 verify as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pvcnn.algebra.points import G1Point, encode_g1
from pvcnn.algebra.transcript import Transcript
from pvcnn.qmp.statement import Statement

if TYPE_CHECKING:
    from pvcnn.qmp.keys import VerificationKey

#: rho (matrix products), theta (lookups), chi (tuples): the wires after the constant, in this order.
CHALLENGES = ("rho", "theta", "chi")

DOMAIN = "pvcnn/challenges"


def derive_challenges(
    key: VerificationKey, statement: Statement, auxiliary_commitment: G1Point
) -> tuple[int, int, int]:
    """rho, theta and chi, scalars in [2, r), for `statement` under `key` and D_aux."""
    return challenges_of_encodings(
        key.digest(),
        statement.context,
        statement.outputs,
        encode_g1(statement.features_commitment),
        encode_g1(key.weights_commitment),
        encode_g1(auxiliary_commitment),
        None if statement.labels_commitment is None else encode_g1(statement.labels_commitment),
    )


def challenges_of_encodings(
    key_digest: bytes,
    context: bytes,
    outputs: Sequence[int],
    features_commitment: bytes,
    weights_commitment: bytes,
    auxiliary_commitment: bytes,
    labels_commitment: bytes | None = None,
) -> tuple[int, int, int]:
    """Eq. (9) on encodings: points compressed, outputs integers in [-2^63, 2^63)."""
    transcript = Transcript(DOMAIN)
    transcript.absorb("verification key", key_digest)
    transcript.absorb("context", context)
    transcript.absorb_integer("number of outputs", len(outputs))
    for value in outputs:
        transcript.absorb("output", value.to_bytes(8, "little", signed=True))
    transcript.absorb("D_in", features_commitment)
    transcript.absorb("D_w", weights_commitment)
    if labels_commitment is not None:
        transcript.absorb("D_lab", labels_commitment)
    transcript.absorb("D_aux", auxiliary_commitment)
    rho, theta, chi = (transcript.challenge(name) for name in CHALLENGES)
    return rho, theta, chi
