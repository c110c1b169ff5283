"""Every move of a cheating prover, carried through to a proof: the pairing equation rejects it."""

from __future__ import annotations

import pytest

from pvcnn.algebra.scalars import ScalarVector
from pvcnn.errors import VerificationError
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.commitments import commit_weights
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.setup import generate
from pvcnn.qmp.system import StageOne
from pvcnn.qmp.verifier import verify
from tests.qmp.moves import MOVES
from tests.qmp.programs import small_case

BLINDING = 0xB11D


class Attack:
    """A prover that may commit to any stage one, and an owner that commits to whatever weights are in it."""

    def __init__(self, frames: int) -> None:
        case = small_case(frames)
        self.circuit: ProgramCircuit = compile_program(case.program, frames)
        self.key: ProvingKey = generate(self.circuit.system, case.program.digest(), frames)[0]
        self.honest = self.circuit.stage_one(case.weights, case.features)

    def prove(self, stage_one: StageOne, *, check: bool = False) -> Proof:
        return prove_witness(self.key, self.circuit, stage_one, b"", BLINDING, check=check)

    def verify(self, stage_one: StageOne, proof: Proof) -> None:
        """Under the verification key whose D_w commits to the weights in `stage_one`, right or wrong."""
        weights = commit_weights(self.key, stage_one.w, BLINDING)
        verify(self.key.circuit_key.commit(weights), proof.statement, proof)


@pytest.fixture(scope="module", params=[1, 2], ids=["1 frame", "2 frames"])
def attack(request: pytest.FixtureRequest) -> Attack:
    return Attack(request.param)


def test_honest_witness_is_accepted(attack: Attack) -> None:
    for check in (True, False):
        attack.verify(attack.honest, attack.prove(attack.honest, check=check))


@pytest.mark.parametrize("name", MOVES)
def test_forged_witness_is_rejected(attack: Attack, name: str) -> None:
    forged = MOVES[name].move(attack.circuit, attack.honest)
    proof = attack.prove(forged)
    assert Proof.from_bytes(proof.to_bytes()) == proof
    with pytest.raises(VerificationError, match="pairing equation"):
        attack.verify(forged, proof)


@pytest.mark.parametrize("name", MOVES)
def test_forged_witness_is_an_error_for_the_honest_prover(attack: Attack, name: str) -> None:
    with pytest.raises(ValueError, match="breaks constraint"):
        attack.prove(MOVES[name].move(attack.circuit, attack.honest), check=True)


def test_challenges_come_after_the_commitments(attack: Attack) -> None:
    """The same stage one gets other challenges in every proof: nu_in and nu_aux are fresh."""
    seen: list[tuple[int, int, int]] = []

    class Spy:
        system = attack.circuit.system

        def second_stage(
            self, stage_one: StageOne, challenges: tuple[int, int, int], derived: ScalarVector
        ) -> ScalarVector:
            seen.append(challenges)
            return attack.circuit.second_stage(stage_one, challenges, derived)

    for _ in range(2):
        prove_witness(attack.key, Spy(), attack.honest, b"", BLINDING)
    assert not set(seen[0]) & set(seen[1])
