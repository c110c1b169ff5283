"""Setup gives the points of docs/protocol.md, eq. (7), and nothing more; keys that lie are refused."""

from __future__ import annotations

import json
import pickle
import random
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from pvcnn.algebra.constants import BASE_MODULUS, SCALAR_GENERATOR, SCALAR_MODULUS
from pvcnn.algebra.curve import g1_from_points, g1_to_points, g2_from_points, g2_to_points
from pvcnn.algebra.points import G1Point, G2Point, encode_g1, scalar
from pvcnn.errors import CampaignError, VerificationError
from pvcnn.qmp import setup
from pvcnn.qmp.array_file import ALIGNMENT, MAX_HEADER_BYTES
from pvcnn.qmp.commitments import commit
from pvcnn.qmp.key_check import check_proving_key
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import LAYOUT, ProvingKey, domain_size, wire_order
from pvcnn.qmp.setup import Trapdoors, generate, keys_of_trapdoors
from pvcnn.qmp.system import ConstraintSystem, Segments, SparseMatrix
from pvcnn.qmp.verifier import verify
from tests.qmp.circuits import WEIGHTS, WEIGHTS_BLINDING, DotProduct, sparse
from tests.qmp.conftest import CONTEXT, PROGRAM_DIGEST, Proved
from tests.qmp.hostile import bit_flips, never_well_formed, refuses, stray_g1, stray_g2

#: The committed segments of a circuit without labels.
COMMITTED = ("in", "w", "aux")


def known_trapdoors() -> Trapdoors:
    source = random.Random(7)
    alpha, beta, delta, tau = (source.randrange(1, SCALAR_MODULUS) for _ in range(4))
    gamma = {s: source.randrange(1, SCALAR_MODULUS) for s in ("pub", *COMMITTED)}
    return Trapdoors(
        alpha, beta, delta, tau, gamma, {s: source.randrange(1, SCALAR_MODULUS) for s in COMMITTED}
    )


def inverse(value: int) -> int:
    return pow(value, -1, SCALAR_MODULUS)


class Oracle:
    """Eq. (7) in Python integers, with Lagrange interpolation written out."""

    def __init__(self, system: ConstraintSystem, trapdoors: Trapdoors) -> None:
        size = domain_size(system.constraints)
        root = pow(SCALAR_GENERATOR, (SCALAR_MODULUS - 1) // size, SCALAR_MODULUS)
        self.tau = trapdoors.tau
        self.vanishing = (pow(self.tau, size, SCALAR_MODULUS) - 1) % SCALAR_MODULUS
        points = [pow(root, i, SCALAR_MODULUS) for i in range(size)]
        self.lagrange = [self.vanishing * x * inverse(size * (self.tau - x)) % SCALAR_MODULUS for x in points]
        self.u, self.v, self.w = (self.at_tau(m, system) for m in (system.a, system.b, system.c))
        self.k = [
            (trapdoors.beta * u + trapdoors.alpha * v + w) % SCALAR_MODULUS
            for u, v, w in zip(self.u, self.v, self.w, strict=True)
        ]

    def at_tau(self, matrix: SparseMatrix, system: ConstraintSystem) -> list[int]:
        values = [0] * system.segments.total
        for row in range(matrix.rows):
            for i in range(matrix.starts[row], matrix.starts[row + 1]):
                values[matrix.columns[i]] += int(matrix.coefficients[i]) * self.lagrange[row]
        return [value % SCALAR_MODULUS for value in values]


def multiples_g1(exponents: list[int]) -> list[G1Point]:
    return [G1Point() * scalar(value) for value in exponents]


@pytest.fixture(scope="module")
def made() -> tuple[DotProduct, Trapdoors, ProvingKey]:
    circuit, trapdoors = DotProduct(3), known_trapdoors()
    return circuit, trapdoors, keys_of_trapdoors(circuit.system, PROGRAM_DIGEST, 2, trapdoors)[0]


class TestSetup:
    def test_every_point_is_that_of_equation_7(self, made: tuple[DotProduct, Trapdoors, ProvingKey]) -> None:
        circuit, trapdoors, key = made
        system, segments = circuit.system, circuit.system.segments
        oracle = Oracle(system, trapdoors)
        per_delta = inverse(trapdoors.delta)
        assert g1_to_points(key.u_g1) == multiples_g1([oracle.u[i] for i in key.a_wires])
        assert g1_to_points(key.v_g1) == multiples_g1([oracle.v[i] for i in key.b_wires])
        assert g2_to_points(key.v_g2) == [G2Point() * scalar(oracle.v[i]) for i in key.b_wires]
        for s in COMMITTED:
            expected = [value * inverse(trapdoors.gamma[s]) for value in oracle.k[segments.span(s)]]
            assert g1_to_points(key.committed_g1(s)) == multiples_g1(expected)
        private = [value * per_delta for value in oracle.k[segments.span("priv")]]
        assert g1_to_points(key.private_g1) == multiples_g1(private)
        quotient = [
            pow(trapdoors.tau, j, SCALAR_MODULUS) * oracle.vanishing * per_delta
            for j in range(domain_size(system.constraints) - 1)
        ]
        assert g1_to_points(key.quotient_g1) == multiples_g1(quotient)
        assert g1_to_points(key.beta_g1) == multiples_g1([trapdoors.beta])
        assert g1_to_points(key.delta_g1) == multiples_g1([trapdoors.delta])
        over_gamma = [trapdoors.eta[s] * inverse(trapdoors.gamma[s]) for s in COMMITTED]
        assert g1_to_points(key.blinding_gamma_g1) == multiples_g1(over_gamma)
        over_delta = [trapdoors.eta[s] * per_delta for s in COMMITTED]
        assert g1_to_points(key.blinding_delta_g1) == multiples_g1(over_delta)
        public = [value * inverse(trapdoors.gamma["pub"]) for value in oracle.k[segments.span("pub")]]
        circuit_key = key.circuit_key
        assert list(circuit_key.public_g1) == multiples_g1(public)
        assert circuit_key.alpha_g1 == G1Point() * scalar(trapdoors.alpha)
        assert circuit_key.beta_g2 == G2Point() * scalar(trapdoors.beta)
        assert circuit_key.delta_g2 == G2Point() * scalar(trapdoors.delta)
        gamma = [G2Point() * scalar(trapdoors.gamma[s]) for s in ("pub", *COMMITTED)]
        assert list(circuit_key.gamma_g2.by_segment().values()) == gamma
        assert (circuit_key.program_digest, circuit_key.frames) == (PROGRAM_DIGEST, 2)

    def test_wires_without_a_column_have_no_point(
        self, made: tuple[DotProduct, Trapdoors, ProvingKey]
    ) -> None:
        circuit, _, key = made
        for matrix, wires in ((circuit.system.a, key.a_wires), (circuit.system.b, key.b_wires)):
            assert sorted(wires) == sorted(set(matrix.columns.tolist()))

    def test_gamma_is_never_published_in_g1(self, made: tuple[DotProduct, Trapdoors, ProvingKey]) -> None:
        """With [gamma_s]1 a D_s need be no opening: docs/security-argument.md, Proposition 2."""
        _, trapdoors, key = made
        published = {encode_g1(p) for p in (*key.circuit_key.public_g1, key.circuit_key.alpha_g1)}
        for name, column in LAYOUT.columns.items():
            if column.width == 12:
                published |= {encode_g1(p) for p in g1_to_points(getattr(key, name))}
        assert encode_g1(G1Point() * scalar(trapdoors.delta)) in published
        for gamma in trapdoors.gamma.values():
            for multiple in (gamma, -gamma):
                assert encode_g1(G1Point() * scalar(multiple)) not in published
        assert {name for name, column in LAYOUT.columns.items() if column.width == 12} == {
            field.name for field in fields(ProvingKey) if field.name.endswith("_g1")
        }

    def test_no_secret_is_in_the_artefacts(self, made: tuple[DotProduct, Trapdoors, ProvingKey]) -> None:
        _, trapdoors, key = made
        data = key.to_bytes()
        secrets = [trapdoors.alpha, trapdoors.beta, trapdoors.delta, trapdoors.tau]
        for secret in [*secrets, *trapdoors.gamma.values(), *trapdoors.eta.values()]:
            montgomery = secret * 2**256 % SCALAR_MODULUS
            for value in (secret, montgomery):
                assert value.to_bytes(32, "little") not in data
                assert value.to_bytes(32, "big") not in data

    def test_secrets_are_overwritten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        trapdoors = known_trapdoors()
        vectors: list[Any] = []
        made = setup._keys

        def spy(*arguments: Any) -> Any:
            result = made(*arguments)
            vectors.extend(arguments[-1])
            assert all(vector.any() for vector in vectors)
            return result

        monkeypatch.setattr(Trapdoors, "draw", classmethod(lambda cls, committed: trapdoors))
        monkeypatch.setattr(setup, "_keys", spy)
        generate(DotProduct().system, PROGRAM_DIGEST, 1)
        assert len(vectors) > 10
        assert not any(vector.any() for vector in vectors)
        assert (trapdoors.alpha, trapdoors.beta, trapdoors.delta, trapdoors.tau) == (0, 0, 0, 0)
        assert not trapdoors.gamma
        assert not trapdoors.eta

    def test_trapdoors_do_not_show_in_a_log(self) -> None:
        trapdoors = known_trapdoors()
        assert str(trapdoors.tau) not in repr(trapdoors)

    def test_two_setups_differ(self, proved: Proved) -> None:
        other, _ = generate(proved.circuit.system, PROGRAM_DIGEST, 1)
        assert other.digest() != proved.proving_key.digest()
        assert other.circuit_key.alpha_g1 != proved.proving_key.circuit_key.alpha_g1

    @pytest.mark.parametrize(
        ("constraints", "size"), [(1, 2), (2, 2), (3, 4), (4, 4), (5, 8), (1 << 17, 1 << 17)]
    )
    def test_domain(self, constraints: int, size: int) -> None:
        assert domain_size(constraints) == size


class TestDependentColumns:
    """Commitments bind only if columns are independent; setup refuses the rest."""

    def test_unused_wire(self) -> None:
        system = DotProduct().system
        segments = Segments(5, 2, 2, 3, 4)
        with pytest.raises(ValueError, match="row of its own"):
            generate(ConstraintSystem(segments, system.a, system.b, system.c), PROGRAM_DIGEST, 1)

    def test_unbound_challenge(self) -> None:
        system = DotProduct().system
        unbound = [{wire: 1 for wire in row if wire != 3} for row in rows_of(system.a)]
        with pytest.raises(ValueError, match="wire 3"):
            generate(replace(system, a=sparse(unbound)), PROGRAM_DIGEST, 1)

    def test_two_wires_that_only_occur_together(self) -> None:
        system = DotProduct().system
        together = rows_of(system.a)
        together[0] = together[1] = {5: 1, 6: 1}
        with pytest.raises(ValueError, match="wire 5"):
            generate(replace(system, a=sparse(together)), PROGRAM_DIGEST, 1)

    def test_coefficient_of_zero(self) -> None:
        system = DotProduct().system
        rows = rows_of(system.a)
        rows[0] = {**rows[0], 6: 0}
        with pytest.raises(ValueError, match="zero"):
            generate(replace(system, a=sparse(rows)), PROGRAM_DIGEST, 1)


def rows_of(matrix: SparseMatrix) -> list[dict[int, int]]:
    spans = zip(matrix.starts[:-1], matrix.starts[1:], strict=True)
    return [
        dict(zip(matrix.columns[a:b].tolist(), matrix.coefficients[a:b].tolist(), strict=True))
        for a, b in spans
    ]


class TestProvingKeyFile:
    def proves(self, proved: Proved, key: ProvingKey) -> None:
        proof = prove_witness(key, proved.circuit, proved.stage_one, CONTEXT, WEIGHTS_BLINDING)
        verify(proved.key, proof.statement, proof)

    def test_bytes_round_trip(self, proved: Proved) -> None:
        data = proved.proving_key.to_bytes()
        again = ProvingKey.from_bytes(data)
        assert again.to_bytes() == data
        assert again.digest() == proved.proving_key.digest()
        self.proves(proved, again)

    def test_mapped_file(self, proved: Proved, tmp_path: Path) -> None:
        path = tmp_path / "proving-key.safetensors"
        proved.proving_key.save(path)
        mapped = ProvingKey.load(path)
        assert mapped.digest() == proved.proving_key.digest()
        assert not mapped.u_g1.flags.writeable
        assert mapped.u_g1.ctypes.data % 32 == 0
        with pytest.raises(ValueError, match="read-only"):
            mapped.u_g1[0, 0] = 1
        self.proves(proved, mapped)
        assert [item.name for item in tmp_path.iterdir()] == [path.name]

    def test_other_readers_understand_the_file(self, proved: Proved) -> None:
        data = proved.proving_key.to_bytes()
        arrays = safetensors.numpy.load(data)
        assert arrays.keys() == LAYOUT.columns.keys()
        assert np.array_equal(arrays["u_g1"], proved.proving_key.u_g1)
        assert (8 + int.from_bytes(data[:8], "little")) % ALIGNMENT == 0

    def test_pickles_without_copying(self, proved: Proved) -> None:
        """What an object store does to share a key between processes."""
        buffers: list[pickle.PickleBuffer] = []
        data = pickle.dumps(proved.proving_key, protocol=5, buffer_callback=buffers.append)
        assert len(data) < 8192
        self.proves(proved, pickle.loads(data, buffers=buffers))

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(CampaignError, match="run setup"):
            ProvingKey.load(tmp_path / "none")
        with pytest.raises(CampaignError):
            ProvingKey.load(tmp_path)

    def test_hostile_files(self, proved: Proved, tmp_path: Path) -> None:
        path = tmp_path / "hostile"
        for data in never_well_formed(proved.proving_key.to_bytes()):
            path.write_bytes(data)
            assert refuses(lambda _: ProvingKey.load(path), data)

    def test_hostile_bytes(self, proved: Proved) -> None:
        for data in never_well_formed(proved.proving_key.to_bytes()):
            assert refuses(ProvingKey.from_bytes, data)
        for value in (None, "text", bytearray(proved.proving_key.to_bytes())):
            assert refuses(ProvingKey.from_bytes, value)

    def test_flipped_bits_are_refused_or_found_before_a_proof_leaves(self, proved: Proved) -> None:
        data = proved.proving_key.to_bytes()
        accepted = 0
        for damaged in bit_flips(data, 300):
            if refuses(ProvingKey.from_bytes, damaged):
                continue
            with pytest.raises((VerificationError, ValueError)):
                self.proves(proved, ProvingKey.from_bytes(damaged))
            accepted += 1
        assert accepted > 100

    def hostile_headers(self, data: bytes) -> Iterator[bytes]:
        length = int.from_bytes(data[:8], "little")
        honest, body = json.loads(data[8 : 8 + length]), data[8 + length :]

        def with_header(text: bytes) -> bytes:
            return len(text).to_bytes(8, "little") + text + body

        for name in ("u_g1", "circuit_key"):
            for field, value in (
                ("dtype", "F64"),
                ("shape", [1]),
                ("shape", [-1, 12]),
                ("shape", [1 << 40, 12]),
                ("shape", [1.0, 12]),
                ("shape", [True, 12]),
                ("shape", []),
                ("shape", "text"),
                ("data_offsets", [0, 1]),
                ("data_offsets", [0, 1 << 62]),
            ):
                changed = {**honest, name: {**honest[name], field: value}}
                yield with_header(json.dumps(changed, separators=(",", ":")).encode())
        yield with_header(json.dumps({**honest, "more": honest["u_g1"]}).encode())
        yield with_header(json.dumps({k: v for k, v in honest.items() if k != "u_g1"}).encode())
        yield with_header(json.dumps({**honest, "__metadata__": {}}).encode())
        yield with_header(json.dumps(honest).encode())
        yield with_header(data[8 : 8 + length] + b" " * 64)
        yield with_header(b" " + data[8 : 8 + length - 1])
        yield with_header(b"[" * (MAX_HEADER_BYTES - 8))
        yield with_header(b'{"u_g1":{"shape":[' + b"9" * 10_000 + b"]}}")
        yield with_header(b"{}")
        yield with_header(b"null")
        yield (1 << 63).to_bytes(8, "little") + data[8:]
        yield data[:8]

    def test_hostile_headers(self, proved: Proved) -> None:
        for data in self.hostile_headers(proved.proving_key.to_bytes()):
            assert refuses(ProvingKey.from_bytes, data)

    def test_nested_header_under_a_high_recursion_limit(self, proved: Proved) -> None:
        """Some libraries raise the limit; the JSON reader would then overflow the C stack."""
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(1 << 20)
        try:
            for damaged in self.hostile_headers(proved.proving_key.to_bytes()):
                assert refuses(ProvingKey.from_bytes, damaged)
        finally:
            sys.setrecursionlimit(limit)

    def test_arrays_that_contradict_each_other(self, proved: Proved) -> None:
        key = proved.proving_key
        changes: list[dict[str, Any]] = [
            {"quotient_g1": key.quotient_g1[:-1]},
            {"quotient_g1": key.quotient_g1[:0]},
            {"u_g1": key.u_g1[:-1]},
            {"v_g1": key.v_g1[:-1]},
            {"v_g2": key.v_g2[:-1]},
            {"beta_g1": np.concatenate([key.beta_g1, key.beta_g1])},
            {"delta_g1": key.delta_g1[:0]},
            {"blinding_gamma_g1": key.blinding_gamma_g1[:2]},
            {"blinding_delta_g1": key.blinding_delta_g1[:2]},
            {"a_wires": key.a_wires[::-1].copy()},
            {"a_wires": key.a_wires + key.segments.total},
            {"a_wires": key.a_wires - 100},
            {"b_wires": np.full_like(key.b_wires, key.b_wires[0])},
            {"private_g1": key.private_g1[:0]},
        ]
        for change in changes:
            with pytest.raises(ValueError, match=r"wire|domain|point"):
                replace(key, **change)
            arrays = key._arrays() | change
            assert refuses(ProvingKey.from_bytes, b"".join(LAYOUT.chunks(arrays)))

    def test_arrays_of_another_type(self, proved: Proved) -> None:
        for change in (
            {"a_wires": proved.proving_key.a_wires.astype(np.int64)},
            {"u_g1": proved.proving_key.v_g2},
        ):
            with pytest.raises(ValueError, match="wrong type or shape"):
                b"".join(LAYOUT.chunks(proved.proving_key._arrays() | change))

    def test_hostile_circuit_key_inside(self, proved: Proved) -> None:
        arrays = proved.proving_key._arrays()
        for data in (b"", proved.key.to_bytes(), arrays["circuit_key"].tobytes()[:-1]):
            arrays["circuit_key"] = np.frombuffer(data, np.uint8)
            assert refuses(ProvingKey.from_bytes, b"".join(LAYOUT.chunks(arrays)))


def test_wire_order_puts_small_integers_first() -> None:
    segments = Segments(pub=6, in_=2, w=1, aux=2, priv=3)
    assert wire_order(segments, np.ones(14, np.bool_)).tolist() == [*range(4, 11), 0, 1, 2, 3, 11, 12, 13]
    present = np.zeros(14, np.bool_)
    present[[2, 5, 8, 13]] = True
    assert wire_order(segments, present).tolist() == [5, 8, 2, 13]


class TestKeyCheck:
    """Eq. (12): what a malicious setup could do to hiding."""

    def refused(self, key: ProvingKey, match: str) -> None:
        with pytest.raises(VerificationError, match=match):
            check_proving_key(key)

    def test_honest_key(self, proved: Proved) -> None:
        check_proving_key(proved.proving_key)

    @pytest.mark.parametrize("row", range(3))
    def test_identity_for_eta(self, proved: Proved, row: int) -> None:
        key = proved.proving_key
        over_gamma, over_delta = key.blinding_gamma_g1.copy(), key.blinding_delta_g1.copy()
        over_gamma[row] = 0
        self.refused(replace(key, blinding_gamma_g1=over_gamma), "eta/gamma does not generate")
        over_delta[row] = 0
        self.refused(replace(key, blinding_delta_g1=over_delta), "eta/delta does not generate")
        self.refused(
            replace(key, blinding_gamma_g1=over_gamma, blinding_delta_g1=over_delta), "does not generate"
        )

    def test_setup_with_eta_zero(self) -> None:
        for segment in COMMITTED:
            trapdoors = known_trapdoors()
            trapdoors.eta[segment] = 0
            key, _ = keys_of_trapdoors(DotProduct().system, PROGRAM_DIGEST, 1, trapdoors)
            self.refused(key, "does not generate")

    @pytest.mark.parametrize("row", range(3))
    def test_inconsistent_eta(self, proved: Proved, row: int) -> None:
        key = proved.proving_key
        for name in ("blinding_gamma_g1", "blinding_delta_g1"):
            points = g1_to_points(getattr(key, name))
            points[row] += G1Point()
            changed: dict[str, Any] = {name: g1_from_points(points)}
            self.refused(replace(key, **changed), f"segment '{COMMITTED[row]}' disagree")

    def test_stray_points(self, proved: Proved) -> None:
        key = proved.proving_key
        stray = g1_from_points([stray_g1()])
        for name in ("beta_g1", "delta_g1"):
            changed: dict[str, Any] = {name: stray}
            self.refused(replace(key, **changed), "does not generate G1")
        for name in ("blinding_gamma_g1", "blinding_delta_g1"):
            changed = {name: np.concatenate([getattr(key, name)[:2], stray])}
            self.refused(replace(key, **changed), "does not generate G1")

    @pytest.mark.parametrize(
        "name", ["u_g1", "v_g1", "v_g2", "in_g1", "w_g1", "aux_g1", "private_g1", "quotient_g1"]
    )
    def test_one_stray_point_among_many(self, proved: Proved, name: str) -> None:
        """On the curve, and an honest point but for a component outside of the subgroup."""
        array = getattr(proved.proving_key, name).copy()
        for position in (0, len(array) - 1):
            changed = array.copy()
            row = changed[position : position + 1]
            if name == "v_g2":
                row[:] = g2_from_points([g2_to_points(row)[0] + stray_g2()])
            else:
                row[:] = g1_from_points([g1_to_points(row)[0] + stray_g1()])
            fields: dict[str, Any] = {name: changed}
            group = "G2" if name == "v_g2" else "G1"
            self.refused(replace(proved.proving_key, **fields), f"{name} holds points outside of {group}")

    def test_beta_and_delta_that_differ_between_the_groups(self, proved: Proved) -> None:
        key = proved.proving_key
        for name in ("beta_g1", "delta_g1"):
            changed: dict[str, Any] = {name: g1_from_points([G1Point()])}
            self.refused(replace(key, **changed), "differs between G1 and G2")

    @pytest.mark.parametrize(
        "name",
        [name for name, column in LAYOUT.columns.items() if column.dtype == "U64" and name != "lab_g1"],
    )
    def test_what_is_not_a_point(self, proved: Proved, name: str) -> None:
        honest = getattr(proved.proving_key, name)
        for value in (1, 1 << 63):
            array = honest.copy()
            array[-1, 0] ^= np.uint64(value)
            changed: dict[str, Any] = {name: array}
            self.refused(replace(proved.proving_key, **changed), f"{name} holds something")
        limbs = (BASE_MODULUS + 1).to_bytes(48, "little")
        array = honest.copy()
        array[-1, :6] = np.frombuffer(limbs, np.uint64)
        changed = {name: array}
        self.refused(replace(proved.proving_key, **changed), f"{name} holds something")

    def test_prover_checks_the_key(self, proved: Proved) -> None:
        key = replace(proved.proving_key, beta_g1=g1_from_points([G1Point()]))
        for check in (True, False):
            with pytest.raises(VerificationError, match="differs between"):
                prove_witness(key, proved.circuit, proved.stage_one, CONTEXT, WEIGHTS_BLINDING, check=check)


class TestKeysThatLieElsewhere:
    """A key that passes eq. (12) but is wrong elsewhere: no proof made with it leaves the prover."""

    @pytest.mark.parametrize("name", ["u_g1", "v_g1", "v_g2", "private_g1", "quotient_g1"])
    def test_is_found_by_the_self_check(self, proved: Proved, name: str) -> None:
        array = getattr(proved.proving_key, name).copy()
        if name == "v_g2":
            array[0] = g2_from_points([G2Point()])[0]
        else:
            array[0] = g1_from_points([G1Point()])[0]
        changed: dict[str, Any] = {name: array}
        key = replace(proved.proving_key, **changed)
        check_proving_key(key)
        with pytest.raises(VerificationError, match="pairing equation"):
            prove_witness(key, proved.circuit, proved.stage_one, CONTEXT, WEIGHTS_BLINDING)

    @pytest.mark.parametrize("name", ["in_g1", "w_g1", "aux_g1"])
    def test_stray_points_in_a_commitment(self, proved: Proved, name: str) -> None:
        """A component of small order would show z_i modulo that order, however large nu_s is."""
        array = getattr(proved.proving_key, name).copy()
        array[0] = g1_from_points([stray_g1()])[0]
        changed: dict[str, Any] = {name: array}
        key = replace(proved.proving_key, **changed)
        with pytest.raises(VerificationError, match=f"{name} holds points outside of G1"):
            prove_witness(key, proved.circuit, proved.stage_one, CONTEXT, WEIGHTS_BLINDING)
        values = {"in_g1": proved.stage_one.in_, "w_g1": WEIGHTS, "aux_g1": proved.stage_one.aux}[name]
        with pytest.raises(VerificationError, match="outside of G1"):
            commit(key, name.removesuffix("_g1"), values, WEIGHTS_BLINDING)
