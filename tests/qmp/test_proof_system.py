"""Honest proofs pass, and every move of a cheating prover fails: docs/protocol.md, eq. (8) to (11)."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, G2Point, encode_g1, random_scalar, scalar
from pvcnn.errors import VerificationError
from pvcnn.qmp.challenges import challenges_of_encodings, derive_challenges
from pvcnn.qmp.commitments import commit, commit_weights
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.setup import Trapdoors, generate, keys_of_trapdoors
from pvcnn.qmp.system import StageOne
from pvcnn.qmp.verifier import commitments, equation_holds, public_values, verify
from tests.qmp.circuits import FEATURES, WEIGHTS, WEIGHTS_BLINDING, DotProduct
from tests.qmp.conftest import CONTEXT, PROGRAM_DIGEST, Proved


def bare_equation(proved: Proved, proof: Proof, **moved: G1Point) -> bool:
    """Eq. (11) for `proof` with the challenges of the honest proof held fixed."""
    challenges = derive_challenges(proved.key, proved.statement, proved.proof.auxiliary_commitment)
    committed = commitments(proved.key, proved.statement, proved.proof) | moved
    return equation_holds(proved.key, public_values(challenges, proved.statement), committed, proof)


class TestHonest:
    def test_proof_verifies(self, proved: Proved) -> None:
        verify(proved.key, proved.statement, proved.proof)
        assert proved.statement.outputs == (39,)
        assert proved.statement.context == CONTEXT

    def test_bare_equation_holds(self, proved: Proved) -> None:
        assert bare_equation(proved, proved.proof)

    def test_larger_circuit(self) -> None:
        circuit = DotProduct(200)
        features = np.arange(-100, 100, dtype=np.int64)
        weights = features * 3 - 1
        proving_key, circuit_key = generate(circuit.system, PROGRAM_DIGEST, 1)
        key = circuit_key.commit(commit_weights(proving_key, weights, 5))
        timings: dict[str, float] = {}
        proof = prove_witness(
            proving_key,
            circuit,
            circuit.stage_one(features, weights),
            b"",
            5,
            progress=timings.__setitem__,
        )
        verify(key, proof.statement, proof)
        assert proof.statement.outputs == (int((features * weights).sum()),)
        assert {"commit", "quotient", "A, B", "C", "self-check"} <= timings.keys()
        assert all(seconds >= 0 for seconds in timings.values())

    def test_two_proofs_of_the_same_features_share_nothing(self, proved: Proved) -> None:
        other = proved.prove()
        verify(proved.key, other.statement, other)
        assert other.statement.outputs == proved.statement.outputs
        assert other.statement.features_commitment != proved.statement.features_commitment
        for field in ("a", "b", "c", "auxiliary_commitment"):
            assert getattr(other, field) != getattr(proved.proof, field)

    def test_weights_commitment_is_that_of_the_key(self, proved: Proved) -> None:
        assert commit_weights(proved.proving_key, WEIGHTS, WEIGHTS_BLINDING) == proved.key.weights_commitment
        assert commit_weights(proved.proving_key, WEIGHTS, 1) != proved.key.weights_commitment

    def test_wires_given_as_field_elements_prove_the_same(self, proved: Proved) -> None:
        proof = proved.prove(as_field_elements(proved.stage_one))
        verify(proved.key, proof.statement, proof)

    def test_rerandomised_proof_verifies(self, proved: Proved) -> None:
        """Proof bytes identify nothing: docs/protocol.md, section "The proof system"."""
        k, proof = random_scalar(), proved.proof
        scaled = replace(proof, a=proof.a * scalar(k), b=proof.b * scalar(pow(k, -1, SCALAR_MODULUS)))
        shifted = replace(proof, b=proof.b + proved.key.delta_g2 * scalar(k), c=proof.c + proof.a * scalar(k))
        for other in (scaled, shifted):
            verify(proved.key, proved.statement, other)
            assert other.to_bytes() != proof.to_bytes()


def as_field_elements(stage_one: StageOne) -> StageOne:
    vectors: dict[str, Any] = {
        field.name: scalars.from_int64(getattr(stage_one, field.name)) for field in fields(StageOne)
    }
    return StageOne(**vectors)


class TestMovedCommitments:
    """(D_s + kA, B + k[gamma_s]2) verifies while the challenges are held fixed; hashing stops it."""

    @pytest.fixture
    def factor(self) -> int:
        return random_scalar()

    def moved(self, proved: Proved, segment: str, factor: int) -> tuple[G1Point, Proof]:
        gamma = proved.key.gamma_g2
        gamma_s = {"in": gamma.in_, "w": gamma.w, "aux": gamma.aux}[segment]
        original = {
            "in": proved.statement.features_commitment,
            "w": proved.key.weights_commitment,
            "aux": proved.proof.auxiliary_commitment,
        }[segment]
        proof = replace(proved.proof, b=proved.proof.b + gamma_s * scalar(factor))
        return original + proved.proof.a * scalar(factor), proof

    @pytest.mark.parametrize("segment", ["in", "w", "aux"])
    def test_bare_equation_accepts(self, proved: Proved, segment: str, factor: int) -> None:
        commitment, proof = self.moved(proved, segment, factor)
        assert bare_equation(proved, proof, **{segment: commitment})
        assert not bare_equation(proved, proof)

    def test_features(self, proved: Proved, factor: int) -> None:
        commitment, proof = self.moved(proved, "in", factor)
        statement = replace(proved.statement, features_commitment=commitment)
        with pytest.raises(VerificationError, match="pairing equation"):
            verify(proved.key, statement, proof)

    def test_weights(self, proved: Proved, factor: int) -> None:
        commitment, proof = self.moved(proved, "w", factor)
        key = replace(proved.key, weights_commitment=commitment)
        with pytest.raises(VerificationError, match="pairing equation"):
            verify(key, proved.statement, proof)

    def test_auxiliary(self, proved: Proved, factor: int) -> None:
        commitment, proof = self.moved(proved, "aux", factor)
        with pytest.raises(VerificationError, match="pairing equation"):
            verify(proved.key, proved.statement, replace(proof, auxiliary_commitment=commitment))


class TestGammaInG1:
    """What somebody who knew [gamma_s]1 could do: docs/security-argument.md, Proposition 2."""

    @pytest.fixture
    def known(self) -> tuple[Proved, dict[str, G1Point]]:
        circuit, trapdoors = DotProduct(), Trapdoors.draw(("in", "w", "aux"))
        proving_key, circuit_key = keys_of_trapdoors(circuit.system, PROGRAM_DIGEST, 1, trapdoors)
        key = circuit_key.commit(commit_weights(proving_key, WEIGHTS, WEIGHTS_BLINDING))
        stage_one = circuit.stage_one(FEATURES, WEIGHTS)
        proof = prove_witness(proving_key, circuit, stage_one, CONTEXT, WEIGHTS_BLINDING)
        in_g1 = {name: G1Point() * scalar(value) for name, value in trapdoors.gamma.items()}
        in_g1["delta"] = G1Point() * scalar(trapdoors.delta)
        return Proved(circuit, proving_key, key, stage_one, proof), in_g1

    @pytest.mark.parametrize("segment", ["in", "aux"])
    def test_a_commitment_that_opens_to_nothing(
        self, known: tuple[Proved, dict[str, G1Point]], segment: str
    ) -> None:
        """(D_s + k [delta]1, C - k [gamma_s]1) verifies while challenges are held fixed; hashing stops it."""
        proved, in_g1 = known
        factor = scalar(random_scalar())
        committed = commitments(proved.key, proved.statement, proved.proof)
        moved = committed[segment] + in_g1["delta"] * factor
        statement, proof = proved.statement, replace(proved.proof, c=proved.proof.c - in_g1[segment] * factor)
        assert bare_equation(proved, proof, **{segment: moved})
        assert not bare_equation(proved, proof)
        if segment == "in":
            statement = replace(statement, features_commitment=moved)
        else:
            proof = replace(proof, auxiliary_commitment=moved)
        with pytest.raises(VerificationError, match="pairing equation"):
            verify(proved.key, statement, proof)


class TestWrongWitness:
    def wrong(self, proved: Proved, **changes: NDArray[np.int64]) -> StageOne:
        return replace(proved.stage_one, **changes)

    def cases(self, proved: Proved) -> list[StageOne]:
        honest = proved.stage_one
        one = np.array([1, 0], np.int64)
        return [
            self.wrong(proved, outputs=honest.outputs + 1),
            self.wrong(proved, in_=honest.in_ + one),
            self.wrong(proved, aux=honest.aux + one),
            self.wrong(proved, aux=honest.aux + one, outputs=honest.outputs + 1),
        ]

    @pytest.mark.parametrize(("index", "row"), [(0, 2), (1, 0), (2, 0), (3, 0)])
    def test_is_an_error_that_names_the_row(self, proved: Proved, index: int, row: int) -> None:
        with pytest.raises(ValueError, match=f"breaks constraint {row}$"):
            proved.prove(self.cases(proved)[index])

    @pytest.mark.parametrize("index", range(4))
    def test_unchecked_gives_a_wellformed_proof_that_is_rejected(self, proved: Proved, index: int) -> None:
        proof = proved.prove(self.cases(proved)[index], check=False)
        assert Proof.from_bytes(proof.to_bytes(), proof.statement) == proof
        with pytest.raises(VerificationError, match="pairing equation"):
            verify(proved.key, proof.statement, proof)

    def test_unchecked_path_accepts_the_right_witness(self, proved: Proved) -> None:
        proof = proved.prove(check=False)
        verify(proved.key, proof.statement, proof)

    def test_other_weights_are_rejected(self, proved: Proved) -> None:
        """A witness that is right for other weights proves nothing about the key's."""
        other = proved.circuit.stage_one(FEATURES, WEIGHTS + 1)
        proof = prove_witness(proved.proving_key, proved.circuit, other, CONTEXT, WEIGHTS_BLINDING)
        with pytest.raises(VerificationError, match="pairing equation"):
            verify(proved.key, proof.statement, proof)
        cheated = proved.key.commit(commit_weights(proved.proving_key, WEIGHTS + 1, WEIGHTS_BLINDING))
        verify(cheated, proof.statement, proof)

    def test_another_testers_commitment_is_rejected(self, proved: Proved) -> None:
        other = commit(proved.proving_key, "in", np.array([9, 9], np.int64), 1)
        statement = replace(proved.statement, features_commitment=other)
        with pytest.raises(VerificationError, match="pairing equation"):
            verify(proved.key, statement, proved.proof)


class TestChallenges:
    ITEMS = (b"k" * 32, b"context", (1, 0), b"i" * 48, b"w" * 48, b"a" * 48)

    def test_each_item_changes_every_challenge(self) -> None:
        honest = challenges_of_encodings(*self.ITEMS)
        for index, item in enumerate(self.ITEMS):
            items: list[Any] = list(self.ITEMS)
            items[index] = item[:-1] + bytes([item[-1] ^ 1]) if isinstance(item, bytes) else (1, 1)
            changed = challenges_of_encodings(*items)
            assert not set(changed) & set(honest), f"item {index} changes nothing"

    @pytest.mark.parametrize(
        "outputs", [(), (1,), (0, 1), (1, 0, 0), (1, 1 << 8), (1 << 62, 0), (-1, 0)], ids=str
    )
    def test_outputs_are_bound_with_their_number_and_order(self, outputs: tuple[int, ...]) -> None:
        items = (*self.ITEMS[:2], outputs, *self.ITEMS[3:])
        assert not set(challenges_of_encodings(*items)) & set(challenges_of_encodings(*self.ITEMS))

    def test_items_do_not_run_into_each_other(self) -> None:
        left = challenges_of_encodings(b"ab", b"c", (), b"", b"", b"")
        assert left != challenges_of_encodings(b"a", b"bc", (), b"", b"", b"")

    def test_they_differ_from_each_other(self) -> None:
        assert len(set(challenges_of_encodings(*self.ITEMS))) == 3

    def test_every_field_of_the_key_changes_them(self, proved: Proved) -> None:
        key, statement, auxiliary = proved.key, proved.statement, proved.proof.auxiliary_commitment
        honest = derive_challenges(key, statement, auxiliary)
        for name, value in other_key_values(key).items():
            changed = replace(key, **{name: value})
            assert not set(derive_challenges(changed, statement, auxiliary)) & set(honest), name
        others = {*other_key_values(key), "labels_digest"}
        assert others == {field.name for field in fields(VerificationKey)}
        with_labels = replace(key, gamma_g2=replace(key.gamma_g2, lab=G2Point()), labels_digest=bytes(32))
        drawn = [
            {*derive_challenges(replace(with_labels, labels_digest=name), statement, auxiliary)}
            for name in (bytes(32), b"1" * 32)
        ]
        assert not drawn[0] & drawn[1]

    def test_every_field_of_the_statement_changes_them(self, proved: Proved) -> None:
        key, statement, auxiliary = proved.key, proved.statement, proved.proof.auxiliary_commitment
        honest = derive_challenges(key, statement, auxiliary)
        others: dict[str, Any] = {
            "features_commitment": statement.features_commitment + G1Point(),
            "outputs": (statement.outputs[0] + 1,),
            "context": statement.context + b"x",
            "labels_commitment": G1Point(),
        }
        assert others.keys() == {field.name for field in fields(statement)}
        for name, value in others.items():
            changed = replace(statement, **{name: value})
            assert not set(derive_challenges(key, changed, auxiliary)) & set(honest), name
        assert not set(derive_challenges(key, statement, auxiliary + G1Point())) & set(honest)


def other_key_values(key: VerificationKey) -> dict[str, Any]:
    """For each field of a verification key that takes no labels, another value of it."""
    gamma = key.gamma_g2
    return {
        "alpha_g1": key.alpha_g1 + G1Point(),
        "beta_g2": key.beta_g2 + key.delta_g2,
        "gamma_g2": replace(gamma, in_=gamma.w, w=gamma.in_),
        "delta_g2": key.delta_g2 + key.beta_g2,
        "public_g1": (*key.public_g1[:-1], key.public_g1[-1] + G1Point()),
        "program_digest": bytes(32),
        "frames": key.frames + 1,
        "weights_digest": bytes(32),
        "weights_commitment": key.weights_commitment + G1Point(),
    }


class TestCommitments:
    def test_hiding_and_binding_in_each_segment(self, proved: Proved) -> None:
        for segment in ("in", "w", "aux"):
            values = np.array([7, -8], np.int64)
            honest = encode_g1(commit(proved.proving_key, segment, values, 11))
            assert honest == encode_g1(commit(proved.proving_key, segment, values, 11))
            assert honest != encode_g1(commit(proved.proving_key, segment, values, 12))
            assert honest != encode_g1(commit(proved.proving_key, segment, values + 1, 11))

    def test_wrong_number_of_values(self, proved: Proved) -> None:
        with pytest.raises(ValueError, match="2 wires"):
            commit(proved.proving_key, "in", np.zeros(3, np.int64), 1)


class TestWrongUse:
    def test_key_of_another_circuit(self, proved: Proved) -> None:
        circuit = DotProduct(3)
        stage_one = circuit.stage_one(np.arange(3), np.arange(3))
        with pytest.raises(ValueError, match="another circuit"):
            prove_witness(proved.proving_key, circuit, stage_one, b"", 1)

    def test_context_that_is_too_long(self, proved: Proved) -> None:
        with pytest.raises(ValueError, match="context"):
            prove_witness(proved.proving_key, proved.circuit, proved.stage_one, bytes(65), WEIGHTS_BLINDING)

    def test_negative_output(self, proved: Proved) -> None:
        """It means itself, modulo r, and nothing else."""
        stage_one = proved.circuit.stage_one(FEATURES, -WEIGHTS)
        proof = proved.prove(stage_one)
        key = proved.proving_key.circuit_key.commit(
            commit_weights(proved.proving_key, -WEIGHTS, WEIGHTS_BLINDING)
        )
        assert proof.statement.outputs == (-39,)
        verify(key, proof.statement, proof)
        with pytest.raises(VerificationError):
            verify(key, replace(proof.statement, outputs=(39,)), proof)

    def test_output_beyond_64_bits(self, proved: Proved) -> None:
        beyond: Any = scalars.from_integers([1 << 63])
        stage_one = replace(proved.circuit.stage_one(FEATURES, WEIGHTS), outputs=beyond)
        with pytest.raises(ValueError, match="outputs"):
            proved.prove(stage_one, check=False)
