"""Keys and a proof of the dot product, made once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pvcnn.qmp.commitments import commit_weights
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.setup import generate
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.system import StageOne
from tests.qmp.circuits import FEATURES, WEIGHTS, WEIGHTS_BLINDING, DotProduct

PROGRAM_DIGEST = bytes(range(32))
CONTEXT = b"context"


@dataclass(frozen=True)
class Proved:
    """An honest proof and everything around it."""

    circuit: DotProduct
    proving_key: ProvingKey
    key: VerificationKey
    stage_one: StageOne
    proof: Proof

    @property
    def statement(self) -> Statement:
        return self.proof.statement

    def prove(self, stage_one: StageOne | None = None, *, check: bool = True) -> Proof:
        """Another proof, of the honest witness or of the one given."""
        return prove_witness(
            self.proving_key,
            self.circuit,
            stage_one or self.stage_one,
            CONTEXT,
            WEIGHTS_BLINDING,
            check=check,
        )


@pytest.fixture(scope="session")
def proved() -> Proved:
    circuit = DotProduct()
    proving_key, circuit_key = generate(circuit.system, PROGRAM_DIGEST, 1)
    key = circuit_key.commit(commit_weights(proving_key, WEIGHTS, WEIGHTS_BLINDING))
    stage_one = circuit.stage_one(FEATURES, WEIGHTS)
    proof = prove_witness(proving_key, circuit, stage_one, CONTEXT, WEIGHTS_BLINDING)
    return Proved(circuit, proving_key, key, stage_one, proof)
