"""Aggregates over several verification keys: eq. (17) as a product over groups, bound key by key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

import pvcnn
from pvcnn.aggregate import verifier
from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.aggregator import aggregate_groups
from pvcnn.aggregate.challenges import AggregateTranscript
from pvcnn.aggregate.folded_keys import v_polynomial, w_polynomial
from pvcnn.aggregate.inner_product import InitialClaim, Vectors
from pvcnn.aggregate.merged_equations import MergedEquations
from pvcnn.aggregate.packed import PackedAggregate
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.aggregate.schemes import AnyAggregate, decode_aggregate, scheme_of, sizes
from pvcnn.aggregate.statement_groups import MAX_GROUPS, statement_groups
from pvcnn.aggregate.verifier import verify_aggregate_groups
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, scalar
from pvcnn.errors import VerificationError
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from tests.aggregate.standalone import exit_code, load, of_groups
from tests.aggregate.synthetic import Trapdoor, fold_groups, g1

Proofs = Sequence[tuple[VerificationKey, Sequence[Proof]]]
Statements = list[tuple[VerificationKey, list[Statement]]]


@pytest.fixture(scope="module")
def circuits() -> list[Trapdoor]:
    """Two that look alike, and one with labels."""
    return [Trapdoor(1), Trapdoor(2), Trapdoor(3, ("in", "w", "lab", "aux"))]


@pytest.fixture(scope="module")
def groups(circuits: list[Trapdoor]) -> list[tuple[VerificationKey, list[Proof]]]:
    """Two, two and one proofs."""
    return [
        (circuit.vk, circuit.prove_many(count)) for circuit, count in zip(circuits, (2, 2, 1), strict=True)
    ]


@pytest.fixture(scope="module", params=["snarkpack", "packed"])
def made(request: pytest.FixtureRequest, key: AggregationKey, groups: Proofs) -> AnyAggregate:
    made: AnyAggregate = pvcnn.aggregate_groups(key, groups, scheme=request.param)
    return decode_aggregate(made.to_bytes())


def statements_of(groups: Proofs) -> Statements:
    return [(vk, [proof.statement for proof in proofs]) for vk, proofs in groups]


def test_groups_verify(key: AggregationKey, groups: Proofs, made: AnyAggregate) -> None:
    assert made.groups == (2, 2, 1)
    assert made.proofs == 5
    assert len(made.to_bytes()) == sizes([2, 2, 1])[scheme_of(made)]
    pvcnn.verify_aggregate_groups(key.verifier, statements_of(groups), made)


def test_another_point_for_each_group_and_no_more(key: AggregationKey, groups: Proofs) -> None:
    """48 bytes for its Z_C, and one for its size."""
    alone, several = sizes([5])["snarkpack"], sizes([2, 2, 1])["snarkpack"]
    assert several - alone == 2 * (48 + 1)
    assert several == len(fold_groups(key, groups).to_bytes())


@pytest.mark.parametrize("taken", [[0], [1, 0], [2, 0], [0, 2, 1], [2]], ids=str)
def test_groups_in_any_order(taken: list[int], key: AggregationKey, groups: Proofs) -> None:
    """A last group with padding among them."""
    chosen = [groups[i] for i in taken]
    made = fold_groups(key, chosen)
    verify_aggregate_groups(key.verifier, statements_of(chosen), made)


def test_the_second_verifier_follows(
    key: AggregationKey, groups: Proofs, made: AnyAggregate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load(), "progress", lambda text: None)
    data, honest = made.to_bytes(), statements_of(groups)
    of_groups(key, honest, data).verify()
    swapped = [(honest[1][0], honest[0][1]), (honest[0][0], honest[1][1]), honest[2]]
    moved = [(honest[0][0], [*honest[0][1], honest[1][1][0]]), (honest[1][0], honest[1][1][1:]), honest[2]]
    for others in (swapped, moved, honest[:2], [honest[1], honest[0], honest[2]]):
        assert exit_code(of_groups(key, others, data).verify) == 1


def changes(honest: Statements) -> dict[str, Statements]:
    (a, of_a), (b, of_b), (c, of_c) = honest
    return {
        "groups exchanged": [honest[1], honest[0], honest[2]],
        "keys exchanged": [(b, of_a), (a, of_b), honest[2]],
        "a statement of each exchanged": [(a, [of_b[0], of_a[1]]), (b, [of_a[0], of_b[1]]), honest[2]],
        "a statement of the second under the first key": [(a, [*of_a, of_b[0]]), (b, of_b[1:]), honest[2]],
        "a statement moved back": [(a, of_a[:1]), (b, [of_a[1], *of_b]), honest[2]],
        "all under one key": [(a, [*of_a, *of_b]), honest[2]],
        "a group dropped": honest[:2],
        "the first group dropped": honest[1:],
        "a group in the middle dropped": [honest[0], honest[2]],
        "a statement dropped": [(a, of_a[:1]), honest[1], honest[2]],
        "the padded statement twice": [honest[0], honest[1], (c, [*of_c, *of_c])],
        "the same group twice": [honest[0], honest[0], honest[2]],
        "one key for two groups": [honest[0], (a, of_b), honest[2]],
        "an empty group": [*honest, (replace(a, program_digest=bytes(32)), [])],
        "no groups": [],
        "other weights in the second": [
            honest[0],
            (replace(b, weights_commitment=g1(3)), of_b),
            honest[2],
        ],
        "another circuit in the second": [honest[0], (Trapdoor(9).vk, of_b), honest[2]],
        "another label": [honest[0], honest[1], (c, [replace(of_c[0], labels_commitment=g1(3))])],
        "order within a group": [(a, of_a[::-1]), honest[1], honest[2]],
    }


@pytest.mark.parametrize(
    "change", sorted(changes([(Trapdoor(i).vk, [Trapdoor(i).prove().statement] * 2) for i in (1, 2, 3)]))
)
def test_other_groups_are_refused(
    change: str, key: AggregationKey, groups: Proofs, made: AnyAggregate
) -> None:
    changed = changes(statements_of(groups))[change]
    with pytest.raises(VerificationError):
        verify_aggregate_groups(key.verifier, changed, made)


def test_groups_of_other_sizes_in_the_aggregate(key: AggregationKey, groups: Proofs) -> None:
    """The aggregate says what its reader wants to hear: eq. (17) and the challenges refuse it."""
    honest = statements_of(groups)
    made = fold_groups(key, groups)
    (a, of_a), (b, of_b), rest = honest
    moved = [(a, [*of_a, of_b[0]]), (b, of_b[1:]), rest]
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate_groups(key.verifier, moved, replace(made, groups=(3, 1, 1)))
    listed = PackedAggregate((2, 2, 1), tuple(proof for _, proofs in groups for proof in proofs))
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate_groups(key.verifier, moved, replace(listed, groups=(3, 1, 1)))


def test_a_proof_under_another_groups_key(
    key: AggregationKey, circuits: list[Trapdoor], groups: Proofs
) -> None:
    """An aggregator that claims a proof of the second circuit under the key of the first."""
    (a, of_a), (b, of_b), rest = groups
    given = [(a, [of_a[0], of_b[0]]), (b, [of_b[1]]), rest]
    with pytest.raises(VerificationError, match="proof 1"):
        aggregate_groups(key, given)
    for scheme in ("snarkpack", "packed"):
        forced = aggregate_groups(key, given, scheme=scheme, check=False)
        with pytest.raises(VerificationError, match="pairing"):
            verify_aggregate_groups(key.verifier, statements_of(given), forced)


def test_what_the_aggregator_refuses(key: AggregationKey, groups: Proofs) -> None:
    (a, of_a), (_, of_b), _ = groups
    for given, message in (
        ([(a, of_a), (a, of_a)], "same verification key"),
        ([(a, of_a), (groups[1][0], [])], "0 proofs"),
        ([], "0 proofs"),
        ([(a, [*of_a, *of_b] * 5)], "more than 16"),
    ):
        with pytest.raises(ValueError, match=message):
            fold_groups(key, given, check=False)
    with pytest.raises(TypeError):
        aggregate_groups(key, [(b"key", of_a)])  # type: ignore[list-item]


def test_numbers_of_groups(key: AggregationKey, trapdoor: Trapdoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of one circuit for many models."""
    proof = trapdoor.prove()
    many: list[tuple[VerificationKey, list[Proof]]] = [
        (replace(trapdoor.vk, weights_commitment=g1(2 + i)), [proof]) for i in range(MAX_GROUPS + 1)
    ]
    with pytest.raises(ValueError, match="at most 64 groups"):
        aggregate_groups(key, many, check=False)
    made = aggregate_groups(key, many[:-1], check=False)
    assert len(made.groups) == MAX_GROUPS
    assert decode_aggregate(made.to_bytes()) == made
    with pytest.raises(VerificationError, match="at most 64 groups"):
        verify_aggregate_groups(key.verifier, statements_of(many), made)


# Lies about the totals of groups


def holding_parts(key: AggregationKey, groups: Statements, made: Aggregate) -> tuple[bool, bool, bool]:
    """Which of eq. (17), the folding and eq. (18) hold, each by itself."""
    claimed = statement_groups(groups)
    r, y, challenges, z = verifier._challenges(key.verifier, claimed, made)
    parts = [MergedEquations() for _ in range(3)]
    verifier._add_statements(parts[0], claimed, made, r)
    verifier._add_folding(parts[1], made, y, challenges)
    f_v, f_w = v_polynomial(r, challenges), w_polynomial(challenges)
    verifier._add_openings(parts[2], key.verifier, made, f_v, f_w, z)
    return parts[0].hold(), parts[1].hold(), parts[2].hold()


class Forger:
    """Has a proof in the first group whose C is off by the generator, and another total for that group, so
    that eq. (17) holds; of the second group's total it takes away what its sum with the first then has too
    much."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, share: int) -> None:
        honest_scaled, honest_claim = Vectors.scaled, Vectors.initial_claim

        def scaled(vectors: Vectors, r: int) -> Vectors:
            self.excess = g1(r)
            return honest_scaled(vectors, r)

        def claim(vectors: Vectors, *arguments: Any) -> InitialClaim:
            made = honest_claim(vectors, *arguments)
            first, second, *rest = made.totals
            return replace(made, totals=(first - self.excess, second + self.excess * scalar(share), *rest))

        monkeypatch.setattr(Vectors, "scaled", scaled)
        monkeypatch.setattr(Vectors, "initial_claim", claim)


@pytest.fixture
def with_bad_proof(groups: Proofs) -> Proofs:
    (a, (first, second)), *rest = groups
    return [(a, [first, replace(second, c=second.c + G1Point())]), *rest]


def test_a_false_total_shows_in_the_folding(
    key: AggregationKey, with_bad_proof: Proofs, monkeypatch: pytest.MonkeyPatch
) -> None:
    Forger(monkeypatch, 0)
    forged = fold_groups(key, with_bad_proof, check=False)
    assert holding_parts(key, statements_of(with_bad_proof), forged) == (True, False, True)
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate_groups(key.verifier, statements_of(with_bad_proof), forged)


def test_totals_that_are_right_in_sum_only(
    key: AggregationKey, with_bad_proof: Proofs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With y = 1 the folding would not notice what was moved from one group to another; y is drawn after
    them.
    """
    Forger(monkeypatch, 1)
    with monkeypatch.context() as careless:
        careless.setattr(AggregateTranscript, "combining_challenge", lambda *_: 1)
        forged = fold_groups(key, with_bad_proof, check=False)
        assert holding_parts(key, statements_of(with_bad_proof), forged)[1:] == (True, True)
    forged = fold_groups(key, with_bad_proof, check=False)
    assert not any(holding_parts(key, statements_of(with_bad_proof), forged)[:2])


def test_a_y_that_is_known_beforehand(
    key: AggregationKey, with_bad_proof: Proofs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second total takes up just what y makes of it: only a y that depends on the totals stops that."""
    y = 0x1234567
    Forger(monkeypatch, pow(y, -1, SCALAR_MODULUS))
    with monkeypatch.context() as careless:
        careless.setattr(AggregateTranscript, "combining_challenge", lambda *_: y)
        forged = fold_groups(key, with_bad_proof, check=False)
        assert holding_parts(key, statements_of(with_bad_proof), forged)[1:] == (True, True)
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate_groups(key.verifier, statements_of(with_bad_proof), forged)


def test_streams_of_streams(key: AggregationKey, groups: Proofs) -> None:
    """Groups and proofs may be read as they come."""

    def lazily() -> Iterable[tuple[VerificationKey, Iterable[Proof]]]:
        for vk, proofs in groups:
            yield vk, iter(proofs)

    made = aggregate_groups(key, lazily(), scheme="snarkpack")
    assert made == fold_groups(key, groups)
