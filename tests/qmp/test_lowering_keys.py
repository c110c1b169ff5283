"""A key belongs to one lowering; proofs of every lowering verify, and forged ones do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.errors import VerificationError
from pvcnn.program.layers import Convolution
from pvcnn.program.public_part import PublicPart
from pvcnn.program.windows import Windows
from pvcnn.qmp.api import prove, setup
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.lower_polynomials import Overhang
from pvcnn.qmp.lowering_plan import Lowering, circuit_digest
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.system import StageOne
from pvcnn.qmp.verifier import verify
from tests.qmp.forging import placed, within_aux, wrong_product
from tests.qmp.graph_moves import swapped_channels
from tests.qmp.moves import MOVES
from tests.qmp.programs import Case, small_case, windows_case

each_lowering = pytest.mark.parametrize("lowering", Lowering, ids=lambda lowering: lowering.value)

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


@each_lowering
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


def refuse(
    circuit: ProgramCircuit, keys: tuple[ProvingKey, VerificationKey], forged: StageOne, blinding: int
) -> None:
    """A proof of a false witness, forced through the prover, does not verify."""
    proof = prove_witness(keys[0], circuit, forged, b"", blinding, check=False)
    with pytest.raises(VerificationError, match="pairing equation"):
        verify(keys[1], proof.statement, proof)


@pytest.mark.parametrize("name", ["wrong convolution", "wrong matrix product", "other features"])
@each_lowering
def test_forged_products_do_not_verify(case: Case, keys: Made, lowering: Lowering, name: str) -> None:
    circuit = circuit_of(case, lowering)
    forged = MOVES[name].move(circuit, circuit.stage_one(case.weights, case.features))
    refuse(circuit, keys[lowering], forged, case.weights.blinding)


@each_lowering
def test_forged_convolutions_with_groups_and_dilation_do_not_verify(lowering: Lowering) -> None:
    case = windows_case(Windows((3, 2), (2, 3), (0, 1, 2, 0), (2, 3)), 2)
    own = setup(PublicPart(case.program, case.weights), 1, lowering)
    circuit = circuit_of(case, lowering)
    honest = circuit.stage_one(case.weights, case.features)
    proof = prove_witness(own[0], circuit, honest, b"", case.weights.blinding)
    verify(own[1], proof.statement, proof)
    for move in (wrong_product(Convolution), swapped_channels(Convolution)):
        refuse(circuit, own, move(circuit, honest), case.weights.blinding)


def test_a_forged_overhang_does_not_verify(case: Case, keys: Made) -> None:
    """Nor one that makes up for a wrong output under a challenge that was guessed."""
    circuit = circuit_of(case, Lowering.QPP)
    honest = circuit.stage_one(case.weights, case.features)
    (hint,) = (hint for hint in circuit.compiled.hints if isinstance(hint, Overhang))
    place = int(within_aux(circuit, hint)[0])
    for error in (1, pow(31337, 3, SCALAR_MODULUS)):
        aux = placed(honest.aux, place, (int(honest.aux[place]) + error) % SCALAR_MODULUS)
        refuse(circuit, keys[Lowering.QPP], replace(honest, aux=aux), case.weights.blinding)
