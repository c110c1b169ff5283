"""A key belongs to one lowering; proofs of every lowering verify, and forged ones do not."""

from __future__ import annotations

import pytest

from pvcnn.errors import VerificationError
from pvcnn.program.public_part import PublicPart
from pvcnn.qmp.api import prove, setup
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.lowering_plan import Lowering, circuit_digest
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.verifier import verify
from tests.qmp.moves import MOVES
from tests.qmp.programs import Case, small_case

Made = dict[Lowering, tuple[ProvingKey, VerificationKey]]


@pytest.fixture(scope="module")
def case() -> Case:
    return small_case()


@pytest.fixture(scope="module")
def public(case: Case) -> PublicPart:
    return PublicPart(case.program, case.weights)


@pytest.fixture(scope="module")
def keys(public: PublicPart) -> Made:
    return {lowering: setup(public, 1, lowering) for lowering in Lowering}


def circuit_of(case: Case, lowering: Lowering) -> ProgramCircuit:
    return compile_program(case.program, 1, lowering)


def test_one_program_has_a_circuit_for_each_lowering(case: Case, keys: Made) -> None:
    digests = {lowering: key.program_digest for lowering, (_, key) in keys.items()}
    assert len(set(digests.values())) == len(Lowering)
    assert digests[Lowering.AUTO] == case.program.digest()
    for lowering, digest in digests.items():
        assert digest == circuit_digest(case.program.digest(), lowering) == circuit_of(case, lowering).digest


@pytest.mark.parametrize("lowering", Lowering, ids=lambda lowering: lowering.value)
def test_the_prover_follows_its_key_and_no_other_key_accepts(
    case: Case, public: PublicPart, keys: Made, lowering: Lowering
) -> None:
    proving_key, own = keys[lowering]
    proof = prove(proving_key, public, case.features)
    verify(own, proof.statement, proof)
    for other in set(Lowering) - {lowering}:
        with pytest.raises(VerificationError):
            verify(keys[other][1], proof.statement, proof)


def test_a_circuit_of_another_lowering_is_refused(case: Case, keys: Made) -> None:
    other = circuit_of(case, Lowering.QPP)
    stage_one = other.stage_one(case.weights, case.features)
    with pytest.raises(ValueError, match="another circuit"):
        prove_witness(keys[Lowering.QAP][0], other, stage_one, b"", case.weights.blinding)


@pytest.mark.parametrize("name", ["wrong convolution", "wrong matrix product", "other features"])
@pytest.mark.parametrize("lowering", [Lowering.QPP, Lowering.QAP, Lowering.IM2COL], ids=lambda x: x.value)
def test_forged_products_do_not_verify(case: Case, keys: Made, lowering: Lowering, name: str) -> None:
    circuit = circuit_of(case, lowering)
    forged = MOVES[name].move(circuit, circuit.stage_one(case.weights, case.features))
    proving_key, key = keys[lowering]
    proof = prove_witness(proving_key, circuit, forged, b"", case.weights.blinding, check=False)
    with pytest.raises(VerificationError, match="pairing equation"):
        verify(key, proof.statement, proof)
