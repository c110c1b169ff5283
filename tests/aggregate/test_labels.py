"""Aggregates of proofs with committed labels, and outputs that are no bits: eq. (17) with D_lab."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cbor2
import pytest

from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.algebra.points import G1Point, encode_g1
from pvcnn.errors import VerificationError
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.verifier import verify
from tests.aggregate import standalone
from tests.aggregate.standalone import exit_code, loaded
from tests.aggregate.synthetic import Trapdoor, fold, g1

script = standalone.load()

#: Counts, classes, and logits as large as they may be.
OUTPUTS = ((3, 1000), (-(1 << 63), (1 << 63) - 1), (-1, 0))


@pytest.fixture(scope="module")
def labelled() -> Trapdoor:
    return Trapdoor(seed=8, segments=("in", "w", "lab", "aux"))


@pytest.fixture(scope="module")
def labelled_proofs(labelled: Trapdoor) -> list[Proof]:
    return [labelled.prove(b"%d" % i, outputs) for i, outputs in enumerate(OUTPUTS)]


@pytest.fixture(scope="module")
def made(key: AggregationKey, labelled: Trapdoor, labelled_proofs: list[Proof]) -> Aggregate:
    return fold(key, labelled.vk, labelled_proofs)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "progress", lambda text: None)


def statements_of(proofs: list[Proof]) -> list[Statement]:
    return [proof.statement for proof in proofs]


def test_verifies(
    key: AggregationKey, labelled: Trapdoor, labelled_proofs: list[Proof], made: Aggregate
) -> None:
    for proof in labelled_proofs:
        verify(labelled.vk, proof.statement, proof)
    again = Aggregate.from_bytes(made.to_bytes())
    verify_aggregate(key.verifier, labelled.vk, statements_of(labelled_proofs), again)


def test_standalone_verifies(
    key: AggregationKey, labelled: Trapdoor, labelled_proofs: list[Proof], made: Aggregate
) -> None:
    loaded(key, labelled, labelled_proofs, made.to_bytes()).verify()


def test_standalone_verifies_outputs_of_64_bits_without_labels(
    key: AggregationKey, trapdoor: Trapdoor
) -> None:
    proof = trapdoor.prove(b"", OUTPUTS[1])
    loaded(key, trapdoor, [proof]).verify()
    one_less = replace(proof, attached=replace(proof.statement, outputs=(OUTPUTS[1][0] + 1, OUTPUTS[1][1])))
    data = fold(key, trapdoor.vk, [proof]).to_bytes()
    assert exit_code(loaded(key, trapdoor, [one_less], data).verify) == 1


def changes(statements: list[Statement]) -> dict[str, list[Statement]]:
    first, second, third = statements
    exchanged = (
        replace(first, labels_commitment=second.labels_commitment),
        replace(second, labels_commitment=first.labels_commitment),
        third,
    )
    swapped = replace(
        first,
        features_commitment=first.labels_commitment,  # type: ignore[arg-type]
        labels_commitment=first.features_commitment,
    )
    return {
        "other labels": [first, replace(second, labels_commitment=g1(5)), third],
        "other labels for the last, which is padded": [
            first,
            second,
            replace(third, labels_commitment=g1(5)),
        ],
        "labels exchanged": [*exchanged],
        "labels and features exchanged": [swapped, second, third],
        "no labels": [replace(first, labels_commitment=None), second, third],
        "one more correct": [replace(first, outputs=(first.outputs[0] + 1, first.outputs[1])), second, third],
        "another negative output": [first, replace(second, outputs=(-(1 << 63), -1)), third],
    }


@pytest.mark.parametrize(
    "change", sorted(changes([Trapdoor(8, ("in", "w", "lab", "aux")).prove().statement] * 3))
)
def test_other_statements_are_refused(
    change: str, key: AggregationKey, labelled: Trapdoor, labelled_proofs: list[Proof], made: Aggregate
) -> None:
    """By both verifiers."""
    honest = statements_of(labelled_proofs)
    changed = changes(honest)[change]
    assert changed != honest
    with pytest.raises(VerificationError):
        verify_aggregate(key.verifier, labelled.vk, changed, made)
    others = [replace(proof, attached=s) for proof, s in zip(labelled_proofs, changed, strict=True)]
    assert exit_code(lambda: loaded(key, labelled, others, made.to_bytes()).verify()) == 1


def test_statements_that_do_not_fit_the_key_are_named(
    key: AggregationKey, labelled: Trapdoor, labelled_proofs: list[Proof], made: Aggregate
) -> None:
    first, second, third = statements_of(labelled_proofs)
    without = [first, second, replace(third, labels_commitment=None)]
    with pytest.raises(VerificationError, match="statement 2: the statement has no commitment to labels"):
        verify_aggregate(key.verifier, labelled.vk, without, made)


def test_labels_where_the_key_takes_none_are_refused(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof], three: Aggregate
) -> None:
    with_labels = [replace(p.statement, labels_commitment=G1Point()) for p in proofs[:3]]
    with pytest.raises(VerificationError, match="no place"):
        verify_aggregate(key.verifier, trapdoor.vk, with_labels, three)
    others = [replace(proof, attached=s) for proof, s in zip(proofs, with_labels, strict=False)]
    assert exit_code(lambda: loaded(key, trapdoor, others, three.to_bytes())) == 1


def test_labels_enter_the_first_challenge(
    key: AggregationKey, labelled: Trapdoor, labelled_proofs: list[Proof], made: Aggregate
) -> None:
    """Eq. (14): r, and with it everything, changes with each D_lab; and so does eq. (9)."""
    honest = loaded(key, labelled, labelled_proofs, made.to_bytes())
    drawn = honest.draw_challenges()
    for index, proof in enumerate(labelled_proofs):
        changed = replace(proof.statement, labels_commitment=g1(6))
        others = [*labelled_proofs]
        others[index] = replace(proof, attached=changed)
        view = loaded(key, labelled, others, made.to_bytes())
        redrawn = view.draw_challenges()
        assert not {redrawn.r, redrawn.y, redrawn.z, *redrawn.x} & {drawn.r, drawn.y, drawn.z, *drawn.x}
        auxiliary = encode_g1(proof.auxiliary_commitment)
        own, other = (
            each.groups[0].challenges(each.groups[0].statements[index], auxiliary) for each in (honest, view)
        )
        assert not set(own) & set(other)


@pytest.mark.parametrize("output", [1 << 63, -(1 << 63) - 1, True, b"\0", [0]])
def test_standalone_outputs_have_64_bits(output: Any, proofs: list[Proof]) -> None:
    """Otherwise n and n + 2^64 would mean the same challenge."""
    fields = cbor2.loads(proofs[0].statement.to_bytes())
    data = cbor2.dumps(fields | {"outputs": [output, 0]}, canonical=True)
    assert exit_code(lambda: script.read_statement(data)) == 2
    assert exit_code(lambda: script.read_statement(proofs[0].statement.to_bytes())) == 0


def test_standalone_reads_statements_with_and_without_labels(
    labelled_proofs: list[Proof], proofs: list[Proof]
) -> None:
    context = bytes(32)
    for proof, present in ((labelled_proofs[0], True), (proofs[0], False)):
        statement = replace(proof.statement, context=context)
        fields = script.decode(statement.to_bytes(), "pvcnn-statement")
        assert ("labels_commitment" in fields) == present
        for labels in (b"", bytes(47), bytes(49), 1):
            body = cbor2.loads(statement.to_bytes()) | {"labels_commitment": labels}
            data = cbor2.dumps(body, canonical=True)
            assert exit_code(lambda data=data: script.decode(data, "pvcnn-statement")) == 2  # type: ignore[misc]
