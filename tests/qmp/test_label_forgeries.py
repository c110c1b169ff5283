"""Correct counts what agrees, and no move of a cheating prover against eq. (23) passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from pvcnn.errors import VerificationError
from pvcnn.program.inference import trace
from pvcnn.program.layers import Correct
from pvcnn.program.program import FEATURES, Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import PUBLISHED_BLINDING
from pvcnn.qmp.api import prove, setup, verify
from pvcnn.qmp.circuit import ProgramCircuit, compile_program
from pvcnn.qmp.commitments import commit_weights
from pvcnn.qmp.hints import Chosen, FromLargest, FromPlace, Hint, Positive
from pvcnn.qmp.peeling import wires_without_position
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.setup import generate
from pvcnn.qmp.system import StageOne
from tests.qmp.forging import HALF, Integers, Move, continued, placed, within_aux
from tests.qmp.graphs import Network
from tests.qmp.oracle import objections
from tests.qmp.programs import random_features, random_weights

BLINDING = 0xB11D


def largest() -> Program:
    """Four logits, which are the features."""
    return Program.chain((4,), -8, 7, (Correct("correct"),))


def positive() -> Program:
    """One logit, which is the feature."""
    return Program.chain((1,), -8, 7, (Correct("correct"),))


def network() -> Program:
    """A convolution and a linear layer before three logits."""
    built = Network((1, 3, 3), -8, 7)
    built.add(Correct("correct"), built.classified(built.convolved("stem", FEATURES, 2), 3))
    return built.finish()


PROGRAMS = {made.__name__: made for made in (largest, positive, network)}
#: Two frames each: logits, and labels of which the first is right and the second wrong.
GIVEN = {
    "largest": (((5, 6, 2, 4), (6, 6, 1, 0)), (1, 2)),
    "positive": (((3,), (0,)), (1, 1)),
}


def circuit_and_witness(name: str) -> tuple[ProgramCircuit, StageOne]:
    program = PROGRAMS[name]()
    circuit = compile_program(program, 2)
    features, labels = GIVEN[name]
    return circuit, circuit.stage_one(random_weights(program, 1), np.array(features), np.array(labels))


class TestHonest:
    @pytest.mark.parametrize("frames", [1, 2, 5])
    @pytest.mark.parametrize("name", PROGRAMS)
    def test_true_witness_satisfies_every_row(self, name: str, frames: int) -> None:
        program = PROGRAMS[name]()
        circuit = compile_program(program, frames)
        weights, features = random_weights(program, 5, 4, 8), random_features(program, frames, 5)
        classes = program.label_classes
        assert classes is not None
        for seed in range(4):
            labels = np.random.default_rng(seed).integers(0, classes, frames)
            stage_one = circuit.stage_one(weights, features, labels)
            assert objections(circuit, stage_one) == set()
            assert np.array_equal(stage_one.lab, labels)
            assert stage_one.outputs.tolist() == trace(program, weights, features, labels).outputs[0].tolist()
        assert len(wires_without_position(circuit.system)) == 0

    @pytest.mark.parametrize(
        ("labels", "published"),
        [((0, 0, 0), False), ((2, 1, 0), False), ((1, 1, 2), False), ((0, 1, 2), True)],
    )
    def test_proofs_verify(self, labels: tuple[int, ...], published: bool) -> None:
        program = network()
        part = PublicPart(program, random_weights(program, 5, 4, 8), published)
        features = random_features(program, 3, 5)
        key, verification_key = setup(part, 3)
        proof = prove(key, part, features, labels=np.array(labels), labels_blinding=BLINDING)
        verify(verification_key, proof.statement, proof)
        assert proof.statement.outputs == tuple(part(features, np.array(labels)).tolist())
        assert verification_key.outputs == 1

    def test_what_it_costs(self) -> None:
        """With k classes a label costs k + 1 rows, and comparing it k; the sum over all frames two."""
        groups = compile_program(largest(), 2).lowered.groups
        rows = {group.purpose: group.count for group in groups if group.purpose.startswith("correct")}
        assert rows["correct: one place"] == rows["correct: one class a label"] == 2 * 4
        assert rows["correct: labels"] == 2
        assert sum(count for purpose, count in rows.items() if "count" in purpose) <= 2 * 4 + 2

    def test_no_committed_wire_is_free(self) -> None:
        for name in GIVEN:
            circuit, honest = circuit_and_witness(name)
            for part in ("outputs", "in_", "aux", "lab"):
                values = getattr(honest, part)
                for index in range(len(values)):
                    values[index] += 1
                    assert objections(circuit, honest), f"{name}: {part}[{index}] is free"
                    values[index] -= 1


@dataclass(frozen=True)
class Forgery:
    """A move on a program of GIVEN, and which rows object."""

    program: str
    move: Move
    caught_by: frozenset[str]


def claimed(count: int) -> Move:
    """Another count, everything else as it is."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        return continued(circuit, honest, outputs=np.array([count]))

    return move


def labelled(labels: tuple[int, ...], count: int) -> Move:
    """Other labels in the commitment, classes or not, with bits to match, and the count as given."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        return continued(circuit, honest, labels=np.array(labels), outputs=np.array([count]))

    return move


def advised(
    kind: type[Hint], values: tuple[int, ...], count: int, labels: tuple[int, ...] | None = None
) -> Move:
    """Any integers as the bits of decisions (FromLargest, Positive) or labels (FromPlace), and the count."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        def advise(hint: Hint, made: Integers) -> Integers:
            return np.array(values) if isinstance(hint, kind) else made

        others = None if labels is None else np.array(labels)
        return continued(circuit, honest, outputs=np.array([count]), advise=advise, labels=others)

    return move


def element_for_label(element: int) -> Move:
    """Any field element as the first label of an otherwise honest witness."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        return replace(honest, lab=placed(honest.lab, 0, element))

    return move


def halves(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """Both labels 1/2 and both bits too: each frame is half correct, which makes one in all."""
    hint = next(hint for hint in circuit.compiled.hints if isinstance(hint, FromPlace))
    lab, aux = honest.lab, honest.aux
    for frame in range(2):
        lab = placed(lab, frame, HALF)
        aux = placed(aux, int(within_aux(circuit, hint)[frame]), HALF)
    return replace(honest, lab=lab, aux=aux, outputs=np.array([1]))


def _caught(*purposes: str) -> frozenset[str]:
    return frozenset(f"correct: {purpose}" for purpose in purposes)


PLACES, LABELS = "one place", "one class a label"
MOVES: dict[str, Forgery] = {
    "one more": Forgery("largest", claimed(2), _caught("count")),
    "one less": Forgery("largest", claimed(0), _caught("count")),
    "a negative count": Forgery("positive", claimed(-1), _caught("count")),
    "more than there are frames": Forgery("positive", claimed(3), _caught("count")),
    "the class after the last": Forgery("largest", labelled((1, 4), 1), _caught("labels", "count")),
    "a label of two where there are two classes": Forgery(
        "positive", labelled((1, 2), 1), _caught("labels", "count")
    ),
    "a negative label": Forgery("largest", labelled((1, -1), 2), _caught("labels", "count")),
    "a negative label and bits that sum to it": Forgery(
        "largest", advised(FromPlace, (0, 1, 1, 2, 1, 1), 1, (1, -1)), _caught(LABELS, "count")
    ),
    "a label of r - 1": Forgery("largest", element_for_label(-1), _caught("labels")),
    "half a label": Forgery("largest", element_for_label(HALF), _caught("labels")),
    "half labels with half bits": Forgery("positive", halves, _caught(LABELS)),
    "a label for two classes, both of which count": Forgery(
        "largest", advised(FromPlace, (0, 1, 1, 1, 0, 1), 2, (1, 1)), _caught(LABELS)
    ),
    "a label's bit of two": Forgery(
        "largest", advised(FromPlace, (0, 2, 1, 0, 0, 1), 2), _caught(LABELS, "labels")
    ),
    "bits of another label": Forgery("largest", advised(FromPlace, (0, 1, 1, 1, 1, 1), 2), _caught("labels")),
    "decisions of two classes": Forgery(
        "largest", advised(FromLargest, (0, 1, 1, 1, 0, 1), 2), _caught(PLACES, "largest", "margins")
    ),
    "a decision that is not the largest": Forgery(
        "largest", advised(FromLargest, (0, 1, 1, 0, 0, 1), 2), _caught("margins")
    ),
    "the later of two equal logits": Forgery(
        "largest", advised(FromLargest, (0, 1, 1, 0, 1, 1), 1), _caught("margins")
    ),
    "the other sign": Forgery("positive", advised(Positive, (1, 1), 2), _caught("margin")),
    "a sign of two": Forgery(
        "positive", advised(Positive, (2, 0), 2), _caught("decision is a bit", "margin", "count")
    ),
    "a largest logit that there is not": Forgery(
        "largest", advised(Chosen, (7, 6), 1), _caught("largest", "margins")
    ),
}


@cache
def key_of(name: str) -> ProvingKey:
    program = PROGRAMS[name]()
    return generate(compile_program(program, 2).system, program.digest(), 2)[0]


@pytest.mark.parametrize("name", MOVES)
def test_forged_witness_is_caught_by_the_attacked_gadget(name: str) -> None:
    forgery = MOVES[name]
    circuit, honest = circuit_and_witness(forgery.program)
    assert objections(circuit, honest) == set()
    objecting = objections(circuit, forgery.move(circuit, honest))
    assert objecting, "the forgery passes"
    for purpose in objecting:
        assert any(expected in purpose for expected in forgery.caught_by), objecting


@pytest.mark.parametrize("name", MOVES)
def test_forged_witness_is_rejected(name: str) -> None:
    """Forced through the prover, checks off."""
    forgery = MOVES[name]
    circuit, honest = circuit_and_witness(forgery.program)
    key = key_of(forgery.program)
    verification_key = key.circuit_key.commit(commit_weights(key, honest.w, BLINDING))

    def proof_of(stage_one: StageOne) -> None:
        proof = prove_witness(key, circuit, stage_one, b"", BLINDING, labels_blinding=BLINDING, check=False)
        verify(verification_key, proof.statement, proof)

    proof_of(honest)
    with pytest.raises(VerificationError, match="pairing equation"):
        proof_of(forgery.move(circuit, honest))


def test_a_label_within_its_range_that_was_not_registered_changes_the_commitment() -> None:
    """The witness is true: what refuses it is that its D_lab is another one."""
    circuit, honest = circuit_and_witness("largest")
    key = key_of("largest")
    verification_key = key.circuit_key.commit(commit_weights(key, honest.w, BLINDING))
    made = [
        prove_witness(key, circuit, stage_one, b"", BLINDING, labels_blinding=BLINDING)
        for stage_one in (honest, labelled((1, 0), 2)(circuit, honest))
    ]
    for proof in made:
        verify(verification_key, proof.statement, proof)
    registered, other = (proof.statement.labels_commitment for proof in made)
    assert [proof.statement.outputs for proof in made] == [(1,), (2,)]
    assert registered != other
    with pytest.raises(VerificationError, match="pairing equation"):
        verify(verification_key, replace(made[1].statement, labels_commitment=registered), made[1])


def test_wrong_count_and_wrong_label_under_published_weights() -> None:
    """Logits are derived values then, and no wires; the same rows object."""
    program = network()
    weights, features = random_weights(program, 5, 4, 8), random_features(program, 2, 5)
    part = PublicPart(program, weights, True)
    key, verification_key = setup(part, 2)
    circuit = compile_program(program, 2, published=weights)
    labels = np.array([0, 0])
    honest = circuit.stage_one(weights, features, labels)
    assert objections(circuit, honest) == set()
    one_more = replace(honest, outputs=honest.outputs + 1)
    other_label = replace(honest, lab=honest.lab + np.array([1, 0]))
    for forged, row in ((one_more, "count"), (other_label, "labels")):
        assert all(purpose.startswith(f"correct: {row}") for purpose in objections(circuit, forged))
        assert objections(circuit, forged)
    for stage_one, is_true in ((honest, True), (one_more, False), (other_label, False)):
        proof = prove_witness(
            key, circuit, stage_one, b"", PUBLISHED_BLINDING, labels_blinding=1, check=False
        )
        if is_true:
            verify(verification_key, proof.statement, proof)
            continue
        with pytest.raises(VerificationError, match="pairing equation"):
            verify(verification_key, proof.statement, proof)
