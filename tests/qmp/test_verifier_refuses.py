"""The verifier refuses everything that is not the honest statement, proof and key."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from pvcnn.algebra.points import G1Point, G2Point, encode_g1, encode_g2
from pvcnn.encoding import encode
from pvcnn.errors import VerificationError
from pvcnn.qmp.keys import CircuitKey, GammaPoints, VerificationKey
from pvcnn.qmp.proof import PROOF_BYTES, Proof
from pvcnn.qmp.statement import MAX_OUTPUTS, Statement
from pvcnn.qmp.verifier import verify
from tests.qmp.conftest import Proved
from tests.qmp.hostile import (
    bad_encodings_g1,
    bad_encodings_g2,
    bit_flips,
    never_well_formed,
    refuses,
    stray_g1,
    stray_g2,
)
from tests.qmp.test_proof_system import other_key_values


def rejected(key: VerificationKey, statement: Statement, proof: Proof) -> bool:
    try:
        verify(key, statement, proof)
    except VerificationError:
        return True
    return False


class TestFields:
    def test_of_the_statement(self, proved: Proved) -> None:
        statement = proved.statement
        others: dict[str, Any] = {
            "features_commitment": statement.features_commitment + G1Point(),
            "outputs": (statement.outputs[0] - 1,),
            "context": b"",
            "labels_commitment": G1Point(),
        }
        assert others.keys() == {field.name for field in fields(Statement)}
        for name, value in others.items():
            assert rejected(proved.key, replace(statement, **{name: value}), proved.proof), name

    def test_of_the_proof(self, proved: Proved) -> None:
        proof = proved.proof
        others: dict[str, Any] = {
            "a": proof.a + G1Point(),
            "b": proof.b + G2Point(),
            "c": proof.c + G1Point(),
            "auxiliary_commitment": proof.auxiliary_commitment + G1Point(),
        }
        assert others.keys() | {"attached"} == {field.name for field in fields(Proof)}
        for name, value in others.items():
            assert rejected(proved.key, proved.statement, replace(proof, **{name: value})), name

    def test_of_the_key(self, proved: Proved) -> None:
        others = other_key_values(proved.key)
        for index in range(len(proved.key.public_g1)):
            points = list(proved.key.public_g1)
            points[index] += G1Point()
            changed = replace(proved.key, public_g1=tuple(points))
            assert rejected(changed, proved.statement, proved.proof)
        for name, value in others.items():
            changed = replace(proved.key, **{name: value})
            assert rejected(changed, proved.statement, proved.proof), name

    def test_swapped_points_of_the_proof(self, proved: Proved) -> None:
        proof = proved.proof
        assert rejected(proved.key, proved.statement, replace(proof, a=proof.c, c=proof.a))
        assert rejected(proved.key, proved.statement, replace(proof, a=-proof.a))
        assert rejected(proved.key, proved.statement, replace(proof, a=-proof.a, c=-proof.c))

    def test_proof_of_another_statement(self, proved: Proved) -> None:
        other = proved.prove()
        assert rejected(proved.key, proved.statement, other)
        assert rejected(proved.key, other.statement, proved.proof)

    def test_attached_statement_is_not_looked_at(self, proved: Proved) -> None:
        other = replace(proved.statement, outputs=(0,))
        verify(proved.key, proved.statement, replace(proved.proof, attached=other))
        assert rejected(proved.key, other, replace(proved.proof, attached=proved.statement))


class TestBits:
    def test_of_the_proof(self, proved: Proved) -> None:
        data = proved.proof.to_bytes()
        for damaged in bit_flips(data, len(data)):
            if not refuses(Proof.from_bytes, damaged):
                assert rejected(proved.key, proved.statement, Proof.from_bytes(damaged))

    def test_of_the_statement(self, proved: Proved) -> None:
        data = proved.statement.to_bytes()
        for damaged in bit_flips(data, len(data)):
            if not refuses(Statement.from_bytes, damaged):
                assert rejected(proved.key, Statement.from_bytes(damaged), proved.proof)

    def test_of_the_key(self, proved: Proved) -> None:
        data = proved.key.to_bytes()
        for damaged in bit_flips(data, 400):
            if not refuses(VerificationKey.from_bytes, damaged):
                assert rejected(VerificationKey.from_bytes(damaged), proved.statement, proved.proof)


class TestShape:
    def test_number_of_outputs(self, proved: Proved) -> None:
        statement = replace(proved.statement, outputs=(*proved.statement.outputs, 0))
        with pytest.raises(VerificationError, match="2 outputs, the key 1"):
            verify(proved.key, statement, proved.proof)

    def test_points_outside_of_their_groups(self, proved: Proved) -> None:
        for field in ("a", "c", "auxiliary_commitment"):
            for point in (stray_g1(), G1Point.identity()):
                proof = replace(proved.proof, **{field: point})  # type: ignore[arg-type]
                with pytest.raises(VerificationError, match="generator of G1"):
                    verify(proved.key, proved.statement, proof)
        for point_g2 in (stray_g2(), G2Point.identity()):
            with pytest.raises(VerificationError, match="generator of G2"):
                verify(proved.key, proved.statement, replace(proved.proof, b=point_g2))

    def test_statements_with_a_point_outside_of_g1_do_not_exist(self, proved: Proved) -> None:
        for point in (stray_g1(), G1Point.identity()):
            with pytest.raises(ValueError, match="generate G1"):
                replace(proved.statement, features_commitment=point)

    @pytest.mark.parametrize("position", range(3))
    def test_types(self, proved: Proved, position: int) -> None:
        arguments: list[Any] = [proved.key, proved.statement, proved.proof]
        arguments[position] = arguments[position].to_bytes()
        with pytest.raises(TypeError):
            verify(*arguments)

    def test_a_circuit_key_has_no_weights(self, proved: Proved) -> None:
        with pytest.raises(TypeError):
            verify(proved.proving_key.circuit_key, proved.statement, proved.proof)  # type: ignore[arg-type]


class TestStatement:
    def test_round_trip(self, proved: Proved) -> None:
        for outputs in ((0,), (1, 0, -1), ((1 << 63) - 1, -(1 << 63)), (0,) * MAX_OUTPUTS):
            statement = Statement(G1Point(), outputs, b"c" * 64)
            assert Statement.from_bytes(statement.to_bytes()) == statement

    def test_hostile_bytes(self, proved: Proved) -> None:
        for data in never_well_formed(proved.statement.to_bytes()):
            assert refuses(Statement.from_bytes, data)
        for value in (None, "text", 1, bytearray(proved.statement.to_bytes())):
            assert refuses(Statement.from_bytes, value)

    @pytest.mark.parametrize(
        ("outputs", "context"),
        [
            ((), b""),
            ((-(1 << 63) - 1,), b""),
            ((1 << 63,), b""),
            ((True,), b""),
            ((0,) * (MAX_OUTPUTS + 1), b""),
            ((0,), b"c" * 65),
            ([0], b""),
            ((0,), "text"),
            ((0.0,), b""),
        ],
    )
    def test_values_out_of_range(self, outputs: Any, context: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            Statement(G1Point(), outputs, context)

    @pytest.mark.parametrize(
        "changes",
        [
            {"outputs": []},
            {"outputs": [-(1 << 63) - 1]},
            {"outputs": [1 << 63]},
            {"outputs": [True]},
            {"outputs": [b"\1"]},
            {"outputs": [0] * (MAX_OUTPUTS + 1)},
            {"context": b"c" * 65},
            {"context": "text"},
            {"features_commitment": bytes(47)},
            {"more": 1},
        ],
    )
    def test_encodings_of_values_out_of_range(self, changes: dict[str, Any]) -> None:
        honest = {"features_commitment": encode_g1(G1Point()), "outputs": [1], "context": b""}
        assert not refuses(Statement.from_bytes, encode("pvcnn-statement", 1, honest))
        assert refuses(Statement.from_bytes, encode("pvcnn-statement", 1, honest | changes))

    @pytest.mark.parametrize("name", bad_encodings_g1())
    def test_bad_points(self, name: str) -> None:
        body = {"features_commitment": bad_encodings_g1()[name], "outputs": [1], "context": b""}
        assert refuses(Statement.from_bytes, encode("pvcnn-statement", 1, body))

    def test_points_of_wrong_type(self, proved: Proved) -> None:
        with pytest.raises(TypeError):
            Statement(G2Point(), (1,), b"")  # type: ignore[arg-type]


class TestProof:
    def test_round_trip(self, proved: Proved) -> None:
        data = proved.proof.to_bytes()
        assert len(data) == PROOF_BYTES == 240
        again = Proof.from_bytes(data, proved.statement)
        assert again == proved.proof
        assert again.statement == proved.statement
        with pytest.raises(ValueError, match="without its statement"):
            _ = Proof.from_bytes(data).statement

    def test_hostile_bytes(self, proved: Proved) -> None:
        for data in never_well_formed(proved.proof.to_bytes()):
            assert refuses(Proof.from_bytes, data)
        for value in (None, "text", 1, bytearray(proved.proof.to_bytes())):
            assert refuses(Proof.from_bytes, value)

    def test_bad_points(self, proved: Proved) -> None:
        data = proved.proof.to_bytes()
        for name, encoding in bad_encodings_g1().items():
            for start in (0, 144, 192):
                assert refuses(Proof.from_bytes, data[:start] + encoding + data[start + 48 :]), name
        for name, encoding in bad_encodings_g2().items():
            assert refuses(Proof.from_bytes, data[:48] + encoding + data[144:]), name

    def test_points_of_wrong_type(self, proved: Proved) -> None:
        for field, value in (("a", G2Point()), ("b", G1Point()), ("c", b"")):
            with pytest.raises(TypeError):
                replace(proved.proof, **{field: value})  # type: ignore[arg-type]


class TestVerificationKey:
    def test_round_trip(self, proved: Proved) -> None:
        again = VerificationKey.from_bytes(proved.key.to_bytes())
        assert again == proved.key
        assert again.digest() == proved.key.digest()
        verify(again, proved.statement, proved.proof)
        circuit_key = proved.proving_key.circuit_key
        assert CircuitKey.from_bytes(circuit_key.to_bytes()) == circuit_key

    def test_the_two_kinds_are_not_confused(self, proved: Proved) -> None:
        assert refuses(CircuitKey.from_bytes, proved.key.to_bytes())
        assert refuses(VerificationKey.from_bytes, proved.proving_key.circuit_key.to_bytes())

    def test_hostile_bytes(self, proved: Proved) -> None:
        for data in never_well_formed(proved.key.to_bytes()):
            assert refuses(VerificationKey.from_bytes, data)
            assert refuses(CircuitKey.from_bytes, data)

    def test_digest_covers_every_field(self, proved: Proved) -> None:
        digests = {proved.key.digest()}
        for name, value in other_key_values(proved.key).items():
            digests.add(replace(proved.key, **{name: value}).digest())
        for gamma in fields(GammaPoints):
            point = (getattr(proved.key.gamma_g2, gamma.name) or G2Point()) + G2Point()
            changed = replace(proved.key.gamma_g2, **{gamma.name: point})
            named = (bytes(32), bytes(31) + b"1") if changed.lab else (b"",)
            digests |= {replace(proved.key, gamma_g2=changed, labels_digest=one).digest() for one in named}
        assert len(digests) == 1 + len(fields(VerificationKey)) + 5

    def test_keys_with_a_point_outside_of_its_group_do_not_exist(self, proved: Proved) -> None:
        for name in ("alpha_g1", "weights_commitment"):
            for point in (stray_g1(), G1Point.identity()):
                with pytest.raises(ValueError, match="generate"):
                    replace(proved.key, **{name: point})  # type: ignore[arg-type]
        for name in ("beta_g2", "delta_g2"):
            for point_g2 in (stray_g2(), G2Point.identity()):
                with pytest.raises(ValueError, match="generate"):
                    replace(proved.key, **{name: point_g2})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="generate"):
            replace(proved.key, public_g1=(*proved.key.public_g1[:-1], stray_g1()))
        with pytest.raises(ValueError, match="generate"):
            replace(proved.key, gamma_g2=replace(proved.key.gamma_g2, aux=stray_g2()))

    def bodies(self, proved: Proved) -> dict[str, dict[str, Any]]:
        key = proved.key
        g1, g2 = encode_g1(G1Point()), encode_g2(G2Point())
        gamma = [encode_g2(point) for point in key.gamma_g2.by_segment().values()]
        public = [encode_g1(point) for point in key.public_g1]
        cases: dict[str, dict[str, Any]] = {
            "too few gamma points": {"gamma": gamma[:3]},
            "equal gamma points": {"gamma": [gamma[0], gamma[1], gamma[1], gamma[3]]},
            "gamma equals delta": {"gamma": [encode_g2(key.delta_g2), *gamma[1:]]},
            "no outputs": {"public": public[:4]},
            "too many outputs": {"public": [g1] * (MAX_OUTPUTS + 5)},
            "no frames": {"frames": 0},
            "too many frames": {"frames": 1 << 20},
            "short digest": {"program_digest": bytes(31)},
            "short digest of weights": {"weights_digest": bytes(31)},
            "long digest of weights": {"weights_digest": bytes(33)},
            "a field more": {"more": 1},
            "alpha in G2": {"alpha": g2},
        }
        for name, encoding in bad_encodings_g1().items():
            for field in ("alpha", "weights_commitment"):
                cases[f"{field}: {name}"] = {field: encoding}
            cases[f"public: {name}"] = {"public": [*public[:-1], encoding]}
        for name, encoding in bad_encodings_g2().items():
            for field in ("beta", "delta"):
                cases[f"{field}: {name}"] = {field: encoding}
            cases[f"gamma: {name}"] = {"gamma": [*gamma[:3], encoding]}
        return cases

    def test_malformed_fields(self, proved: Proved) -> None:
        key = proved.key
        honest = {
            "program_digest": key.program_digest,
            "frames": key.frames,
            "weights_digest": key.weights_digest,
            "alpha": encode_g1(key.alpha_g1),
            "beta": encode_g2(key.beta_g2),
            "gamma": [encode_g2(point) for point in key.gamma_g2.by_segment().values()],
            "delta": encode_g2(key.delta_g2),
            "public": [encode_g1(point) for point in key.public_g1],
            "weights_commitment": encode_g1(key.weights_commitment),
        }
        assert encode("pvcnn-verification-key", 2, honest) == key.to_bytes()
        for name, changes in self.bodies(proved).items():
            data = encode("pvcnn-verification-key", 2, honest | changes)
            assert refuses(VerificationKey.from_bytes, data), name
        assert refuses(VerificationKey.from_bytes, encode("pvcnn-verification-key", 1, honest))
