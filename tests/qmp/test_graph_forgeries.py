"""Every move against the gadgets of graphs breaks the rows that it should, and no proof of it verifies."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from pvcnn.errors import VerificationError
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.commitments import commit_weights
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.setup import generate
from pvcnn.qmp.system import StageOne
from pvcnn.qmp.verifier import verify
from tests.qmp.graph_moves import GRAPH_MOVES, GraphForgery
from tests.qmp.graphs import GRAPHS, graph_case
from tests.qmp.oracle import objections

BLINDING = 0xB11D


def honest_and_forged(forgery: GraphForgery) -> tuple[ProgramCircuit, StageOne, StageOne]:
    case = graph_case(forgery.graph)
    circuit = compile_program(case.program)
    features = case.features
    if forgery.features is not None:
        features = np.array([forgery.features])
    honest = circuit.stage_one(case.weights, features)
    return circuit, honest, forgery.move(circuit, honest)


@cache
def key_of(graph: str) -> ProvingKey:
    program = GRAPHS[graph]()
    return generate(compile_program(program).system, program.digest(), 1)[0]


@pytest.mark.parametrize("name", GRAPH_MOVES)
def test_forged_witness_is_caught_by_the_attacked_gadget(name: str) -> None:
    forgery = GRAPH_MOVES[name]
    circuit, honest, forged = honest_and_forged(forgery)
    assert objections(circuit, honest) == set()
    objecting = objections(circuit, forged)
    assert objecting, "the forgery passes"
    # A lookup fails in the sums of its table, which name everything that shares it.
    for purpose in objecting:
        assert any(expected in purpose for expected in forgery.caught_by), objecting


@pytest.mark.parametrize("name", GRAPH_MOVES)
def test_forged_witness_is_rejected(name: str) -> None:
    forgery = GRAPH_MOVES[name]
    circuit, honest, forged = honest_and_forged(forgery)
    key = key_of(forgery.graph)
    for stage_one, is_true in ((honest, True), (forged, False)):
        proof = prove_witness(key, circuit, stage_one, b"", BLINDING, check=False)
        verification_key = key.circuit_key.commit(commit_weights(key, stage_one.w, BLINDING))
        if is_true:
            verify(verification_key, proof.statement, proof)
            continue
        with pytest.raises(VerificationError, match="pairing equation"):
            verify(verification_key, proof.statement, proof)
