"""Segment lab in keys, statements, challenges and the equation: docs/protocol.md, eqs. (7) to (12)."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.curve import g1_from_points, g1_to_points, g2_to_points
from pvcnn.algebra.kernels import selection
from pvcnn.algebra.kernels.selection import Kernels
from pvcnn.algebra.points import G1Point, G2Point, encode_g1, encode_g2, random_scalar, scalar
from pvcnn.encoding import encode
from pvcnn.errors import VerificationError
from pvcnn.qmp.challenges import challenges_of_encodings, derive_challenges
from pvcnn.qmp.commitments import commit, commit_weights
from pvcnn.qmp.key_check import check_proving_key
from pvcnn.qmp.keys import FORMAT, VERSION, CircuitKey, VerificationKey
from pvcnn.qmp.prepared_key import open_proving_key
from pvcnn.qmp.proof import PROOF_BYTES, Proof
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import LAYOUT, ProvingKey
from pvcnn.qmp.setup import Trapdoors, generate, keys_of_trapdoors
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.system import Segments, StageOne
from pvcnn.qmp.verifier import commitments, equation_holds, public_values, verify
from tests.algebra.conftest import IMPLEMENTATIONS
from tests.qmp.circuits import LabelledDotProduct, sparse
from tests.qmp.conftest import PROGRAM_DIGEST, Proved
from tests.qmp.hostile import bad_encodings_g1, bad_encodings_g2, bit_flips, refuses, stray_g1, stray_g2
from tests.qmp.test_keys import Oracle, inverse, multiples_g1, rows_of
from tests.qmp.test_proof_system import other_key_values

COMMITTED = ("in", "w", "lab", "aux")
FEATURES, LABELS = np.array([3, -4]), np.array([5, 1])
LABELS_BLINDING, CONTEXT = 0x1AB, b"context"


@dataclass(frozen=True)
class Labelled:
    """An honest proof with labels and everything around it."""

    circuit: LabelledDotProduct
    trapdoors: Trapdoors
    proving_key: ProvingKey
    key: VerificationKey
    stage_one: StageOne
    proof: Proof

    @property
    def statement(self) -> Statement:
        return self.proof.statement

    def prove(self, stage_one: StageOne | None = None, *, check: bool = True) -> Proof:
        return prove_witness(
            self.proving_key,
            self.circuit,
            stage_one or self.stage_one,
            CONTEXT,
            7,
            labels_blinding=LABELS_BLINDING,
            check=check,
        )

    def refuses(self, statement: Statement, proof: Proof | None = None) -> bool:
        try:
            verify(self.key, statement, proof or self.proof)
        except VerificationError:
            return True
        return False


def known_trapdoors() -> Trapdoors:
    source = random.Random(11)
    alpha, beta, delta, tau = (source.randrange(1, SCALAR_MODULUS) for _ in range(4))
    gamma = {s: source.randrange(1, SCALAR_MODULUS) for s in ("pub", *COMMITTED)}
    eta = {s: source.randrange(1, SCALAR_MODULUS) for s in COMMITTED}
    return Trapdoors(alpha, beta, delta, tau, gamma, eta)


@pytest.fixture(scope="module")
def labelled() -> Labelled:
    circuit, trapdoors = LabelledDotProduct(), known_trapdoors()
    proving_key, circuit_key = keys_of_trapdoors(circuit.system, PROGRAM_DIGEST, 2, trapdoors)
    stage_one = circuit.stage_one(FEATURES, LABELS)
    key = circuit_key.commit(commit_weights(proving_key, stage_one.w, 7))
    options = {"labels_blinding": LABELS_BLINDING}
    proof = prove_witness(proving_key, circuit, stage_one, CONTEXT, 7, **options)  # type: ignore[arg-type]
    return Labelled(circuit, trapdoors, proving_key, key, stage_one, proof)


class TestHonest:
    def test_proof_verifies(self, labelled: Labelled) -> None:
        verify(labelled.key, labelled.statement, labelled.proof)
        assert labelled.statement.outputs == (11,)
        assert labelled.statement.labels_commitment == commit(
            labelled.proving_key, "lab", LABELS, LABELS_BLINDING
        )
        assert len(labelled.proof.to_bytes()) == PROOF_BYTES

    def test_unchecked_path_accepts_the_right_witness(self, labelled: Labelled) -> None:
        proof = labelled.prove(check=False)
        verify(labelled.key, proof.statement, proof)

    def test_fresh_setup(self) -> None:
        circuit = LabelledDotProduct(3)
        proving_key, circuit_key = generate(circuit.system, PROGRAM_DIGEST, 3)
        check_proving_key(proving_key)
        stage_one = circuit.stage_one(np.arange(3), np.arange(3))
        proof = prove_witness(proving_key, circuit, stage_one, b"", 1, labels_blinding=random_scalar())
        verify(circuit_key.commit(commit_weights(proving_key, stage_one.w, 1)), proof.statement, proof)

    def test_two_proofs_share_the_commitment_to_labels_alone(self, labelled: Labelled) -> None:
        other = labelled.prove()
        assert other.statement.labels_commitment == labelled.statement.labels_commitment
        assert other.statement.features_commitment != labelled.statement.features_commitment
        for field in ("a", "b", "c", "auxiliary_commitment"):
            assert getattr(other, field) != getattr(labelled.proof, field)

    def test_labels_and_their_blinding_belong_together(self, labelled: Labelled, proved: Proved) -> None:
        with pytest.raises(ValueError, match="blinding"):
            prove_witness(labelled.proving_key, labelled.circuit, labelled.stage_one, b"", 7)
        with pytest.raises(ValueError, match="nothing else has one"):
            prove_witness(proved.proving_key, proved.circuit, proved.stage_one, b"", 7, labels_blinding=1)


class TestSetup:
    def test_every_point_is_that_of_equation_7(self, labelled: Labelled) -> None:
        trapdoors, key = labelled.trapdoors, labelled.proving_key
        oracle = Oracle(labelled.circuit.system, trapdoors)
        segments = labelled.circuit.system.segments
        for s in COMMITTED:
            expected = [value * inverse(trapdoors.gamma[s]) for value in oracle.k[segments.span(s)]]
            assert g1_to_points(key.committed_g1(s)) == multiples_g1(expected)
        over_gamma = [trapdoors.eta[s] * inverse(trapdoors.gamma[s]) for s in COMMITTED]
        assert g1_to_points(key.blinding_gamma_g1) == multiples_g1(over_gamma)
        over_delta = [trapdoors.eta[s] * inverse(trapdoors.delta) for s in COMMITTED]
        assert g1_to_points(key.blinding_delta_g1) == multiples_g1(over_delta)
        gamma = {s: G2Point() * scalar(trapdoors.gamma[s]) for s in ("pub", *COMMITTED)}
        assert key.circuit_key.gamma_g2.by_segment() == gamma
        assert g2_to_points(key.v_g2) == [G2Point() * scalar(oracle.v[i]) for i in key.b_wires]

    def test_gamma_of_labels_is_published_in_g2_alone(self, labelled: Labelled) -> None:
        """With [gamma_lab]1 labels could be changed after the fact."""
        key = labelled.proving_key
        columns = [name for name, column in LAYOUT.columns.items() if column.width == 12]
        published = {encode_g1(point) for name in columns for point in g1_to_points(getattr(key, name))}
        for multiple in (labelled.trapdoors.gamma["lab"], -labelled.trapdoors.gamma["lab"]):
            assert encode_g1(G1Point() * scalar(multiple)) not in published

    def test_labels_that_only_occur_together_are_refused(self) -> None:
        """Commitments to them would not bind: peeling knows segment lab."""
        system = LabelledDotProduct().system
        first = system.segments.span("lab").start
        together = rows_of(system.b)
        together[0] = together[1] = {first: 1, first + 1: 1}
        with pytest.raises(ValueError, match=f"wire {first},"):
            generate(replace(system, b=sparse(together)), PROGRAM_DIGEST, 2)

    def test_segments(self) -> None:
        segments = Segments(5, 4, 3, 2, 1, 6)
        spans = [segments.span(name) for name in ("pub", "in", "w", "lab", "aux", "priv")]
        assert [(span.start, span.stop) for span in spans] == [
            *((0, 5), (5, 9), (9, 12), (12, 18), (18, 20), (20, 21))
        ]
        assert segments.total == 21
        assert (segments.committed, replace(segments, lab=0).committed) == (COMMITTED, ("in", "w", "aux"))


class TestKeys:
    def test_round_trip(self, labelled: Labelled) -> None:
        again = VerificationKey.from_bytes(labelled.key.to_bytes())
        assert again == labelled.key
        verify(again, labelled.statement, labelled.proof)
        circuit_key = labelled.proving_key.circuit_key
        assert CircuitKey.from_bytes(circuit_key.to_bytes()) == circuit_key
        data = labelled.proving_key.to_bytes()
        assert ProvingKey.from_bytes(data).to_bytes() == data

    def test_a_key_with_labels_is_one_point_and_one_digest_larger(self, labelled: Labelled) -> None:
        gamma = replace(labelled.key.gamma_g2, lab=None)
        without = replace(labelled.key, gamma_g2=gamma, labels_digest=b"")
        assert len(labelled.key.to_bytes()) == len(without.to_bytes()) + 98 + 48
        assert len({labelled.key.digest(), without.digest()}) == 2
        assert VerificationKey.from_bytes(without.to_bytes()) == without

    def test_gamma_points_differ_from_each_other_and_delta(self, labelled: Labelled) -> None:
        gamma = labelled.key.gamma_g2
        for other in (gamma.pub, gamma.in_, gamma.w, gamma.aux, labelled.key.delta_g2):
            with pytest.raises(ValueError, match="differ"):
                replace(labelled.key, gamma_g2=replace(gamma, lab=other))

    def test_gamma_of_labels_generates_its_group(self, labelled: Labelled) -> None:
        for point in (stray_g2(), G2Point.identity()):
            with pytest.raises(ValueError, match="generate"):
                replace(labelled.key, gamma_g2=replace(labelled.key.gamma_g2, lab=point))

    def test_malformed_gammas(self, labelled: Labelled) -> None:
        key = labelled.key
        gamma = [encode_g2(point) for point in key.gamma_g2.by_segment().values()]
        honest: dict[str, Any] = key._encoded_fields() | {
            "weights_commitment": encode_g1(key.weights_commitment)
        }
        assert encode(FORMAT, VERSION, honest) == key.to_bytes()
        cases = [gamma[:3], [*gamma, encode_g2(G2Point())], [*gamma[:4], gamma[0]], []]
        cases += [[*gamma[:3], encoding, gamma[4]] for encoding in bad_encodings_g2().values()]
        for case in cases:
            data = encode(FORMAT, VERSION, honest | {"gamma": case})
            assert refuses(VerificationKey.from_bytes, data)

    def test_every_point_of_the_key_counts(self, labelled: Labelled) -> None:
        gamma = labelled.key.gamma_g2
        names = {field.name for field in fields(gamma)}
        for name in names:
            changed = replace(gamma, **{name: getattr(gamma, name) + G2Point()})
            with pytest.raises(VerificationError, match="pairing"):
                verify(replace(labelled.key, gamma_g2=changed), labelled.statement, labelled.proof)
        exchanged = replace(gamma, lab=gamma.in_, in_=gamma.lab)  # type: ignore[arg-type]
        with pytest.raises(VerificationError, match="pairing"):
            verify(replace(labelled.key, gamma_g2=exchanged), labelled.statement, labelled.proof)

    def test_arrays_that_contradict_each_other(self, labelled: Labelled, proved: Proved) -> None:
        key = labelled.proving_key
        no_labels = replace(key.circuit_key.gamma_g2, lab=None)
        changes: list[dict[str, Any]] = [
            {"lab_g1": key.lab_g1[:1]},
            {"lab_g1": key.lab_g1[:0]},
            {"blinding_gamma_g1": key.blinding_gamma_g1[:3]},
            {"blinding_delta_g1": key.blinding_delta_g1[:3]},
            {"circuit_key": replace(key.circuit_key, gamma_g2=no_labels, labels_digest=b"")},
            {"circuit_key": replace(key.circuit_key, frames=1)},
        ]
        for change in changes:
            with pytest.raises(ValueError, match="point"):
                replace(key, **change)
        with pytest.raises(ValueError, match="point"):
            replace(proved.proving_key, lab_g1=key.lab_g1)


class TestPreparedKey:
    """Its points for labels are the proving key's own, in any layout."""

    @pytest.mark.parametrize("kernels", IMPLEMENTATIONS, ids=lambda kernels: kernels.value)
    def test_commits_and_proves_alike(self, labelled: Labelled, kernels: Kernels, tmp_path: Path) -> None:
        path = tmp_path / "proving_key"
        labelled.proving_key.save(path)
        digest = hashlib.sha256(path.read_bytes()).digest()
        with selection.use(kernels):
            for _ in ("prepared here", "mapped"):
                key = open_proving_key(path, digest, tmp_path)
                assert np.array_equal(key.lab_g1, labelled.proving_key.lab_g1)
                committed = commit(key, "lab", LABELS, LABELS_BLINDING)
                assert committed == labelled.statement.labels_commitment
                proof = replace(labelled, proving_key=key).prove()
                verify(labelled.key, proof.statement, proof)


class TestKeyCheck:
    """Eq. (12) for eta_lab, and the points of the segment."""

    def refused(self, key: ProvingKey, match: str) -> None:
        with pytest.raises(VerificationError, match=match):
            check_proving_key(key)

    def test_honest_key(self, labelled: Labelled) -> None:
        check_proving_key(labelled.proving_key)

    def test_eta_zero(self, labelled: Labelled) -> None:
        trapdoors = known_trapdoors()
        trapdoors.eta["lab"] = 0
        key, _ = keys_of_trapdoors(labelled.circuit.system, PROGRAM_DIGEST, 2, trapdoors)
        self.refused(key, "does not generate")

    @pytest.mark.parametrize("name", ["blinding_gamma_g1", "blinding_delta_g1"])
    def test_eta_that_differs(self, labelled: Labelled, name: str) -> None:
        points = g1_to_points(getattr(labelled.proving_key, name))
        points[COMMITTED.index("lab")] += G1Point()
        changed: dict[str, Any] = {name: g1_from_points(points)}
        self.refused(replace(labelled.proving_key, **changed), "segment 'lab' disagree")

    def test_points_of_the_segment(self, labelled: Labelled) -> None:
        points = g1_to_points(labelled.proving_key.lab_g1)
        stray = g1_from_points([points[0] + stray_g1(), points[1]])
        self.refused(replace(labelled.proving_key, lab_g1=stray), "lab_g1 holds points outside of G1")
        no_point = labelled.proving_key.lab_g1.copy()
        no_point[-1, 0] ^= np.uint64(1)
        self.refused(replace(labelled.proving_key, lab_g1=no_point), "lab_g1 holds something")


class TestMoves:
    """Moving one commitment, or shifting something from one to another."""

    def bare(self, labelled: Labelled, proof: Proof, **moved: G1Point) -> bool:
        """Eq. (11) with the challenges of the honest proof held fixed."""
        challenges = derive_challenges(labelled.key, labelled.statement, labelled.proof.auxiliary_commitment)
        committed = commitments(labelled.key, labelled.statement, labelled.proof) | moved
        return equation_holds(labelled.key, public_values(challenges, labelled.statement), committed, proof)

    def test_moved_labels(self, labelled: Labelled) -> None:
        """(D_lab + kA, B + k[gamma_lab]2) passes the bare equation, and the hash stops it."""
        factor, gamma = random_scalar(), labelled.key.gamma_g2.lab
        assert gamma is not None
        assert labelled.statement.labels_commitment is not None
        proof = replace(labelled.proof, b=labelled.proof.b + gamma * scalar(factor))
        commitment = labelled.statement.labels_commitment + proof.a * scalar(factor)
        assert self.bare(labelled, labelled.proof)
        assert self.bare(labelled, proof, lab=commitment)
        assert not self.bare(labelled, labelled.proof, lab=commitment)
        assert labelled.refuses(replace(labelled.statement, labels_commitment=commitment), proof)

    @pytest.mark.parametrize("other", ["in", "w", "aux"])
    def test_shifted_to_another_segment(self, labelled: Labelled, other: str) -> None:
        """Even with the challenges held fixed: the gammas differ."""
        committed = commitments(labelled.key, labelled.statement, labelled.proof)
        exchanged = {"lab": committed[other], other: committed["lab"]}
        assert not self.bare(labelled, labelled.proof, **exchanged)
        shift = G1Point() * scalar(random_scalar())
        shifted = {"lab": committed["lab"] + shift, other: committed[other] - shift}
        assert not self.bare(labelled, labelled.proof, **shifted)

    def test_segments_are_those_of_the_key(self, labelled: Labelled, proved: Proved) -> None:
        committed = commitments(labelled.key, labelled.statement, labelled.proof)
        public = public_values((2, 3, 4), labelled.statement)
        with pytest.raises(ValueError, match="segments"):
            equation_holds(proved.key, public, committed, proved.proof)
        del committed["lab"]
        with pytest.raises(ValueError, match="segments"):
            equation_holds(labelled.key, public, committed, labelled.proof)

    def test_labels_changed_after_the_commitment(
        self, labelled: Labelled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A true witness for other labels under the registered commitment: refused, whatever is hashed."""
        registered = labelled.statement.labels_commitment
        other = labelled.circuit.stage_one(FEATURES, LABELS + np.array([1, 0]))
        honestly = labelled.prove(other)
        verify(labelled.key, honestly.statement, honestly)
        assert honestly.statement.labels_commitment != registered
        assert labelled.refuses(replace(honestly.statement, labels_commitment=registered), honestly)

        def claiming(key: ProvingKey, segment: str, *arguments: Any) -> Any:
            return registered if segment == "lab" else commit(key, segment, *arguments)

        monkeypatch.setattr("pvcnn.qmp.prover.commit", claiming)
        honest = labelled.prove(check=False)
        verify(labelled.key, honest.statement, honest)
        forged = labelled.prove(other, check=False)
        assert forged.statement.labels_commitment == registered
        assert labelled.refuses(forged.statement, forged)

    def test_wrong_witness(self, labelled: Labelled) -> None:
        """With checks off: another label than the products were made from, another output."""
        honest = labelled.stage_one
        for forged in (replace(honest, lab=honest.lab + 1), replace(honest, outputs=honest.outputs + 1)):
            with pytest.raises(ValueError, match="breaks constraint"):
                labelled.prove(forged)
            proof = labelled.prove(forged, check=False)
            assert labelled.refuses(proof.statement, proof)


class TestStatement:
    def test_round_trip(self, labelled: Labelled) -> None:
        data = labelled.statement.to_bytes()
        assert Statement.from_bytes(data) == labelled.statement
        without = replace(labelled.statement, labels_commitment=None)
        assert Statement.from_bytes(without.to_bytes()) == without
        assert len(data) == len(without.to_bytes()) + len("labels_commitment") + 1 + 50

    def test_flipped_bits(self, labelled: Labelled) -> None:
        data = labelled.statement.to_bytes()
        for damaged in bit_flips(data, len(data)):
            if not refuses(Statement.from_bytes, damaged):
                assert labelled.refuses(Statement.from_bytes(damaged))

    def test_bad_points(self, labelled: Labelled) -> None:
        for point in (G1Point.identity(), stray_g1()):
            with pytest.raises(ValueError, match="labels_commitment must generate"):
                replace(labelled.statement, labels_commitment=point)
        with pytest.raises(TypeError, match="labels_commitment"):
            replace(labelled.statement, labels_commitment=G2Point())  # type: ignore[arg-type]
        honest = {"features_commitment": encode_g1(G1Point()), "outputs": [1], "context": b""}
        for encoding in [*bad_encodings_g1().values(), b"", bytes(47), 0, []]:
            body = {**honest, "labels_commitment": encoding}
            assert refuses(Statement.from_bytes, encode("pvcnn-statement", 1, body))

    def test_labels_where_there_are_none_and_none_where_there_are(
        self, labelled: Labelled, proved: Proved
    ) -> None:
        with pytest.raises(VerificationError, match="no commitment to labels"):
            verify(labelled.key, replace(labelled.statement, labels_commitment=None), labelled.proof)
        with pytest.raises(VerificationError, match="no place"):
            verify(proved.key, replace(proved.statement, labels_commitment=G1Point()), proved.proof)


class TestChallenges:
    ITEMS = (b"k" * 32, b"context", (1, 0), b"i" * 48, b"w" * 48, b"a" * 48, b"l" * 48)

    def test_each_item_changes_every_challenge(self) -> None:
        honest = challenges_of_encodings(*self.ITEMS)
        for index, item in enumerate(self.ITEMS):
            for bit in (1, 128):
                items: list[Any] = list(self.ITEMS)
                items[index] = item[:-1] + bytes([item[-1] ^ bit]) if isinstance(item, bytes) else (1, bit)
                assert not set(challenges_of_encodings(*items)) & set(honest), f"item {index} changes nothing"

    def test_labels_are_none_of_the_other_commitments(self) -> None:
        key, context, outputs, features, weights, auxiliary, labels = self.ITEMS
        honest = set(challenges_of_encodings(*self.ITEMS))
        exchanges: list[tuple[Any, ...]] = [
            (labels, weights, auxiliary, features),
            (features, labels, auxiliary, weights),
            (features, weights, labels, auxiliary),
            (features, weights, auxiliary),
            (features, weights, labels),
            (features, weights, auxiliary, b""),
        ]
        for exchange in exchanges:
            others: Any = (key, context, outputs, *exchange)
            assert not set(challenges_of_encodings(*others)) & honest

    def test_every_field_changes_them(self, labelled: Labelled) -> None:
        key, statement = labelled.key, labelled.statement
        auxiliary = labelled.proof.auxiliary_commitment
        honest = set(derive_challenges(key, statement, auxiliary))
        for name, value in other_key_values(key).items():
            assert not set(derive_challenges(replace(key, **{name: value}), statement, auxiliary)) & honest
        for name in ("features_commitment", "labels_commitment"):
            moved: dict[str, Any] = {name: getattr(statement, name) + G1Point()}
            assert not set(derive_challenges(key, replace(statement, **moved), auxiliary)) & honest
        without = replace(statement, labels_commitment=None)
        assert not set(derive_challenges(key, without, auxiliary)) & honest
