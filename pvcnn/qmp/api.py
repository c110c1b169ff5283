"""`pvcnn.setup` and `pvcnn.prove`: from a public part to keys, and from features to a proof."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import PUBLISHED_BLINDING
from pvcnn.qmp import setup as circuit_setup
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.commitments import commit_nothing, commit_weights
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.lowering_plan import Lowering, circuit_digest
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.prover import Progress, prove_witness
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.verifier import verify

__all__ = ["prove", "setup", "verify"]


def setup(
    public_part: PublicPart, frames: int = 1, lowering: Lowering = Lowering.AUTO
) -> tuple[ProvingKey, VerificationKey]:
    """Keys for proofs about batches of exactly `frames` frames, and this model's weights.

    They belong to one lowering, which the digest within them names; `prove` follows it.

    Whoever runs this could keep the secrets and prove anything. Raises ValueError if `frames` is not
    a positive number that the circuit can take.
    """
    program, weights = public_part.program, public_part.weights
    circuit = compile_program(program, frames, lowering, weights if public_part.published else None)
    published = circuit.weights_digest
    key, circuit_key = circuit_setup.generate(circuit.system, circuit.digest, frames, published)
    committed = commit_nothing(key) if published else commit_weights(key, weights.flat(), weights.blinding)
    return key, circuit_key.commit(committed)


def prove(
    key: ProvingKey,
    public_part: PublicPart,
    features: NDArray[np.integer],
    context: bytes = b"",
    *,
    features_blinding: int | None = None,
    labels: NDArray[np.int64] | None = None,
    labels_blinding: int | None = None,
    progress: Progress | None = None,
) -> Proof:
    """A proof that the outputs in `proof.statement` are the public part's on `features`.

    `features` are integers, (frames, *input_shape), with the number of frames that the key is for. Programs
    that end with Correct, and no others, take `labels` (frames,) and the blinding with which their owner
    committed to them, so that `proof.statement.labels_commitment` is what `pvcnn.qmp.labels.commit_labels`
    gave; likewise `features_blinding` is that of `commit_features`, where there is an earlier commitment to
    features to go by.

    Raises ValueError for another shape, type, context length or key, and RangeError, which names the
    value and belongs in the prover's own log, for values that leave the program's ranges.
    """
    program, weights = public_part.program, public_part.weights
    lowering = _lowering_of(key, program.digest())
    if key.circuit_key.weights_digest != (weights.published_digest() if public_part.published else b""):
        raise ValueError("the proving key is for other published weights, or for committed ones")
    array = np.asarray(features)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"features must be integers, not {array.dtype}")
    if array.ndim == 0 or len(array) != key.frames:
        raise ValueError(f"the key is for batches of {key.frames} frames, got shape {array.shape}")
    if array.shape[1:] != program.input_shape:
        raise ValueError(f"a frame's features have shape {program.input_shape}, got {array.shape[1:]}")
    if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise ValueError("features must fit in 64-bit signed integers")
    circuit = compile_program(program, key.frames, lowering, weights if public_part.published else None)
    stage_one = circuit.stage_one(weights, array.astype(np.int64), labels)
    return prove_witness(
        key,
        circuit,
        stage_one,
        context,
        PUBLISHED_BLINDING if public_part.published else weights.blinding,
        features_blinding=features_blinding,
        labels_blinding=labels_blinding,
        progress=progress,
    )


def _lowering_of(key: ProvingKey, program_digest: bytes) -> Lowering:
    for lowering in Lowering:
        if key.circuit_key.program_digest == circuit_digest(program_digest, lowering):
            return lowering
    raise ValueError("the proving key belongs to another program")
