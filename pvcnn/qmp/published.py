"""Is a verification key that of given published weights? Needs neither the prover's packages nor a proof."""

from __future__ import annotations

from pvcnn.errors import VerificationError
from pvcnn.program.weights import Weights
from pvcnn.qmp.keys import CircuitKey


def check_published_weights(key: CircuitKey, weights: Weights) -> None:
    """Raises VerificationError unless `key` names `weights`, and their program, as those of its circuit.

    What it names is what the setup says: see docs/protocol.md, section "Published weights".
    """
    if not key.weights_digest:
        raise VerificationError("the key is for committed weights, which nobody publishes")
    if weights.published_digest() != key.weights_digest:
        raise VerificationError("the published weights are not those that the key names")
