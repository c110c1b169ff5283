"""pvcnn from Python: split a network, prove its decisions, verify the proofs one by one and all at once.

    python examples/python_api.py

The network is tiny, untrained and seeded, and nothing is encrypted: features are computed in plain, as a
cluster gets them by decrypting. `pvcnn demo` plays a whole campaign, encryption included.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import pvcnn
from pvcnn.models.layers import Square
from pvcnn.program.private import PrivatePart, private_evaluate
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement


def tiny_network() -> nn.Module:
    """16x16 pixels to one logit; a logit above 0 is decision 1. The first block will be private."""
    torch.manual_seed(31)
    private_block = [nn.Conv2d(1, 2, 3, padding=1, bias=False), Square(), nn.AvgPool2d(4)]
    public_block = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 1)]
    return nn.Sequential(*private_block, *public_block).eval()


def integer_features(private: PrivatePart, frames: NDArray[np.float64]) -> NDArray[np.int64]:
    """What the proof is about: the private part's outputs, rounded to the steps that the program takes."""
    return np.rint(private_evaluate(private, frames) / private.feature_step).astype(np.int64)


def main() -> None:
    torch.set_num_threads(1)
    frames = np.random.default_rng(7).uniform(-1, 1, (40, 1, 16, 16))
    part = pvcnn.split(tiny_network(), frames, cut=1)
    print(part.report)

    # Whoever runs the setup could forge proofs. The verification key commits to the public part's weights.
    proving_key, verification_key = pvcnn.setup(part.public, frames=1)

    # One proof a frame. The context ties a proof to its purpose: here, a number.
    proofs: list[Proof] = []
    for number, frame in enumerate(frames[:3]):
        features = integer_features(part.private, frame[None])
        proof = pvcnn.prove(proving_key, part.public, features, context=f"frame {number}".encode())
        assert proof.statement.outputs == tuple(part.public(features))
        proofs.append(proof)
        print(f"frame {number}: decision {proof.statement.outputs[0]}, {len(proof.to_bytes())} bytes")

    # A verifier gets bytes: key, statements, proofs. It needs neither the network nor the features.
    key = VerificationKey.from_bytes(verification_key.to_bytes())
    statements = [Statement.from_bytes(proof.statement.to_bytes()) for proof in proofs]
    for statement, proof in zip(statements, proofs, strict=True):
        pvcnn.verify(key, statement, Proof.from_bytes(proof.to_bytes()))

    # A proof of one statement proves no other.
    try:
        pvcnn.verify(key, statements[1], proofs[0])
    except pvcnn.VerificationError as error:
        print(f"proof 0 for statement 1: {error}")

    # An aggregate stands for all proofs at once, in this order.
    reference_string = pvcnn.aggregation_setup(max_proofs=4)
    aggregate = pvcnn.aggregate(reference_string, key, proofs)
    pvcnn.verify_aggregate(reference_string.verifier, key, statements, aggregate)
    print(f"{aggregate.proofs} proofs verified at once")


if __name__ == "__main__":
    main()
