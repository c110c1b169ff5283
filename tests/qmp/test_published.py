"""Circuits with published weights: true witnesses are proved, false ones refused, and nothing is stored."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvcnn.errors import RangeError, VerificationError
from pvcnn.program.inference import trace
from pvcnn.program.layers import Convolution, Flatten, Linear, Logits, Requantise
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import Weights
from pvcnn.program.windows import Windows
from pvcnn.qmp.api import prove, setup, verify
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.commitments import commit_nothing
from pvcnn.qmp.keys import CircuitKey, VerificationKey
from pvcnn.qmp.peeling import wires_without_position
from pvcnn.qmp.prepared_key import open_proving_key
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.published import check_published_weights
from pvcnn.qmp.setup import generate
from pvcnn.qmp.system import StageOne
from tests.program.test_linear_maps import GEOMETRIES
from tests.qmp.graphs import GRAPHS, graph_case
from tests.qmp.oracle import objections
from tests.qmp.programs import Case, leaky_table, random_features, random_weights, small_case
from tests.qmp.published_moves import PUBLISHED_GRAPH_MOVES, PUBLISHED_MOVES
from tests.qmp.test_graph_circuits import graphs

UNITS = 1


def circuit_of(case: Case) -> ProgramCircuit:
    return compile_program(case.program, case.frames, published=case.weights)


def part_of(case: Case) -> PublicPart:
    return PublicPart(case.program, case.weights, published=True)


def changed(weights: Weights, name: str) -> Weights:
    """One weight of a layer is another."""
    arrays = {key: array.copy() for key, array in weights.weight.items()}
    arrays[name].flat[0] += 1 if arrays[name].flat[0] < 1 else -1
    return Weights(weights.program, arrays, weights.bias, weights.blinding)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("name", GRAPHS)
def test_true_witness_satisfies_every_row(name: str, frames: int) -> None:
    case = graph_case(name, frames)
    circuit = circuit_of(case)
    stage_one = circuit.stage_one(case.weights, case.features)
    assert objections(circuit, stage_one) == set()
    assert len(wires_without_position(circuit.system)) == 0
    expected = trace(case.program, case.weights, case.features).outputs
    assert (stage_one.outputs == expected.reshape(-1)).all()
    assert circuit.system.segments.w == 0


@settings(max_examples=25, deadline=None, derandomize=True)
@given(graphs(), st.integers(0, 1 << 20))
def test_random_graphs_are_provable(program: Program, seed: int) -> None:
    case = Case(program, random_weights(program, seed, 2, 4), random_features(program, 1, seed, 2))
    circuit = circuit_of(case)
    assert objections(circuit, circuit.stage_one(case.weights, case.features)) == set()


@pytest.mark.parametrize(("windows", "groups"), GEOMETRIES)
def test_convolutions_of_every_geometry(windows: Windows, groups: int) -> None:
    size = int(np.prod(windows.outputs(6, 7)))
    layers = (
        Convolution("conv", 4, 8, windows, 3, 4, groups),
        Requantise("act", 3, leaky_table(8, 2)),
        Flatten("flatten"),
        Linear("head", 8 * size, 2, 3, 4),
        Logits("logits"),
    )
    program = Program.chain((4, 6, 7), -8, 7, layers)
    case = Case(program, random_weights(program, 3, 4, 8), random_features(program, 2, 4))
    circuit = circuit_of(case)
    stage_one = circuit.stage_one(case.weights, case.features)
    assert objections(circuit, stage_one) == set()
    stage_one.outputs[1] += 1
    assert objections(circuit, stage_one) == {"logits: revealed"}


@pytest.mark.parametrize(
    ("name", "frames"), [("branches", 1), ("separable", 1), ("gated", 1), ("classes", 2), ("logits", 2)]
)
def test_proofs_verify(name: str, frames: int) -> None:
    case = graph_case(name, frames)
    key, verification_key = setup(part_of(case), frames)
    proof = prove(key, part_of(case), case.features)
    verify(verification_key, proof.statement, proof)
    assert proof.statement.outputs == tuple(part_of(case)(case.features).reshape(-1).tolist())


def test_linear_layers_cost_nothing_and_are_not_stored() -> None:
    """No row, and no coefficient for a product: a thousand weights more add none."""

    def sizes(channels: int) -> tuple[int, int, int]:
        layers = (
            Convolution("wide", 2, channels, Windows.square(3, 1, 1), 4, 0),
            Convolution("conv", channels, 3, Windows.square(3, 1, 1), 4, 6),
            Requantise("act", 4, leaky_table(9, 1)),
            Flatten("flatten"),
            Linear("head", 75, 2, 4, 0),
            Logits("logits"),
        )
        program = Program.chain((2, 5, 5), -4, 3, layers)
        system = compile_program(program, 1, published=random_weights(program, 1, 2, 2)).system
        stored = sum(len(matrix.columns) for matrix in (system.a, system.b, system.c))
        return system.constraints, stored, system.segments.total

    assert sizes(2) == sizes(40)


def test_no_committed_wire_is_free() -> None:
    """Whichever wire of stage one changes, some row objects."""
    for name in ("branches", "gated", "logits"):
        case = graph_case(name)
        circuit = circuit_of(case)
        honest = circuit.stage_one(case.weights, case.features)
        for part in ("outputs", "in_", "aux"):
            values = getattr(honest, part)
            for index in range(len(values)):
                values[index] += 1
                assert objections(circuit, honest), f"{name}: {part}[{index}] is free"
                values[index] -= 1


class Attack:
    """A prover that may commit to any stage one of a program with published weights."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.circuit = circuit_of(case)
        digest = self.circuit.weights_digest
        self.key: ProvingKey = generate(self.circuit.system, case.program.digest(), case.frames, digest)[0]
        self.honest = self.circuit.stage_one(case.weights, case.features)

    def refuses(self, stage_one: StageOne) -> bool:
        proof = prove_witness(self.key, self.circuit, stage_one, b"", UNITS, check=False)
        try:
            verify(self.key.circuit_key.commit(commit_nothing(self.key)), proof.statement, proof)
        except VerificationError as error:
            return "pairing equation" in str(error)
        return False


@cache
def attack_on(graph: str) -> Attack:
    return Attack(graph_case(graph) if graph in GRAPHS else small_case(2))


@pytest.mark.parametrize("name", PUBLISHED_MOVES)
def test_forged_witness_is_rejected(name: str) -> None:
    attack = attack_on("small")
    move, caught_by = PUBLISHED_MOVES[name]
    forged = move(attack.circuit, attack.honest)
    objecting = objections(attack.circuit, forged)
    assert objecting, "the forgery passes"
    for purpose in objecting:
        assert any(expected in purpose for expected in caught_by), objecting
    assert not attack.refuses(attack.honest)
    assert attack.refuses(forged)
    with pytest.raises(ValueError, match="breaks constraint"):
        prove_witness(attack.key, attack.circuit, forged, b"", UNITS)


@pytest.mark.parametrize("name", PUBLISHED_GRAPH_MOVES)
def test_forged_witness_of_a_graph_is_rejected(name: str) -> None:
    forgery = PUBLISHED_GRAPH_MOVES[name]
    attack = attack_on(forgery.graph)
    case = attack.case
    features = case.features if forgery.features is None else np.array([forgery.features])
    forged = forgery.move(attack.circuit, attack.circuit.stage_one(case.weights, features))
    objecting = objections(attack.circuit, forged)
    assert objecting, "the forgery passes"
    for purpose in objecting:
        assert any(expected in purpose for expected in forgery.caught_by), objecting
    assert attack.refuses(forged)


@pytest.fixture(scope="module")
def case() -> Case:
    return small_case()


@pytest.fixture(scope="module")
def keys(case: Case) -> tuple[ProvingKey, VerificationKey]:
    return setup(part_of(case))


class TestOtherWeights:
    def test_proofs_with_other_weights_are_refused(
        self, case: Case, keys: tuple[ProvingKey, VerificationKey]
    ) -> None:
        """Every value is honest for another network."""
        for name in case.weights.weight:
            other = replace(case, weights=changed(case.weights, name))
            circuit = circuit_of(other)
            stage_one = circuit.stage_one(other.weights, case.features)
            for other_circuit in (circuit, circuit_of(case)):
                proof = prove_witness(keys[0], other_circuit, stage_one, b"", UNITS, check=False)
                with pytest.raises(VerificationError, match="pairing equation"):
                    verify(keys[1], proof.statement, proof)

    def test_the_prover_refuses_keys_of_other_weights(
        self, case: Case, keys: tuple[ProvingKey, VerificationKey]
    ) -> None:
        other = PublicPart(case.program, changed(case.weights, "hidden"), published=True)
        for part in (other, PublicPart(case.program, case.weights)):
            with pytest.raises(ValueError, match="other published weights"):
                prove(keys[0], part, case.features)
        committed, _ = setup(PublicPart(case.program, case.weights))
        with pytest.raises(ValueError, match="or for committed ones"):
            prove(committed, part_of(case), case.features)
        with pytest.raises(ValueError, match="compiled with other"):
            circuit_of(case).stage_one(other.weights, case.features)

    def test_the_key_names_its_weights(self, case: Case, keys: tuple[ProvingKey, VerificationKey]) -> None:
        for key in (keys[1], keys[0].circuit_key, VerificationKey.from_bytes(keys[1].to_bytes())):
            assert key.weights_digest == case.weights.published_digest()
            check_published_weights(key, case.weights)
            for name in case.weights.weight:
                with pytest.raises(VerificationError, match="not those that the key names"):
                    check_published_weights(key, changed(case.weights, name))
        assert CircuitKey.from_bytes(keys[0].circuit_key.to_bytes()) == keys[0].circuit_key
        _, committed = setup(PublicPart(case.program, case.weights))
        assert committed.weights_digest == b""
        with pytest.raises(VerificationError, match="committed"):
            check_published_weights(committed, case.weights)

    def test_circuits_are_cached_by_the_digest(self, case: Case) -> None:
        again = Weights(case.program, case.weights.weight, case.weights.bias, 99)
        assert circuit_of(replace(case, weights=again)) is circuit_of(case)
        assert circuit_of(replace(case, weights=changed(again, "conv"))) is not circuit_of(case)
        assert compile_program(case.program) is not circuit_of(case)
        with pytest.raises(ValueError, match="another program"):
            compile_program(graph_case("logits").program, published=case.weights)

    def test_the_first_key_of_a_file(self, keys: tuple[ProvingKey, VerificationKey], tmp_path: Path) -> None:
        """Without points of segment w, a key is saved, checked and prepared like others."""
        keys[0].save(tmp_path / "key.safetensors")
        loaded = ProvingKey.load(tmp_path / "key.safetensors")
        prepared = open_proving_key(tmp_path / "key.safetensors", loaded.digest(), None)
        for key in (loaded, prepared):
            proof = prove(key, part_of(small_case()), small_case().features)
            verify(keys[1], proof.statement, proof)

    def test_features_beyond_the_calibration_are_an_error(self, case: Case) -> None:
        circuit = circuit_of(case)
        with pytest.raises(RangeError, match="features"):
            circuit.stage_one(case.weights, np.full_like(case.features, 99))
