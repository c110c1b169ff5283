"""What the verifier of an aggregate must refuse, beside what it accepts on the same path."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pvcnn.aggregate import aggregator, verifier
from pvcnn.aggregate.aggregate import Aggregate, FinalVectors
from pvcnn.aggregate.folded_keys import v_polynomial, w_polynomial
from pvcnn.aggregate.inner_product import InitialClaim, Round, Vectors
from pvcnn.aggregate.merged_equations import MergedEquations
from pvcnn.aggregate.reference_string import AggregationKey, aggregation_setup
from pvcnn.aggregate.statement_groups import statement_groups
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, G2Point
from pvcnn.algebra.target import TargetElement, pairing_product, product_of_powers
from pvcnn.errors import VerificationError
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from tests.aggregate.synthetic import Trapdoor, fold, g1, g2


def test_the_untouched_aggregate_is_accepted(
    key: AggregationKey, trapdoor: Trapdoor, statements: list[Statement], three: Aggregate
) -> None:
    verify_aggregate(key.verifier, trapdoor.vk, statements, three)


# Statements


def statement_changes(proofs: list[Proof], s: list[Statement]) -> dict[str, list[Statement]]:
    foreign = proofs[5].statement
    return {
        "swapped for another's": [s[0], foreign, s[2]],
        "last one swapped": [s[0], s[1], foreign],
        "dropped": s[:2],
        "first dropped": s[1:],
        "all dropped": [],
        "one more": [*s, foreign],
        "last one repeated, as the padding does": [*s, s[2]],
        "duplicated": [s[0], s[0], s[2]],
        "permuted": [s[1], s[0], s[2]],
        "rotated": [s[1], s[2], s[0]],
        "another decision": [replace(s[0], outputs=(1, 0)), s[1], s[2]],
        "another context": [s[0], replace(s[1], context=b"another registry"), s[2]],
        "another D_in": [s[0], s[1], replace(s[2], features_commitment=foreign.features_commitment)],
        "too few outputs": [replace(s[0], outputs=(0,)), s[1], s[2]],
        "too many outputs": [replace(s[0], outputs=(0, 0, 0)), s[1], s[2]],
    }


@pytest.mark.parametrize(
    "change", sorted(statement_changes([Trapdoor().prove()] * 6, [Trapdoor().prove().statement] * 3))
)
def test_other_statements(
    change: str,
    key: AggregationKey,
    trapdoor: Trapdoor,
    proofs: list[Proof],
    statements: list[Statement],
    three: Aggregate,
) -> None:
    changed = statement_changes(proofs, statements)[change]
    assert changed != statements
    with pytest.raises(VerificationError):
        verify_aggregate(key.verifier, trapdoor.vk, changed, three)


def test_padding_is_not_another_proof(
    key: AggregationKey,
    trapdoor: Trapdoor,
    proofs: list[Proof],
    statements: list[Statement],
    three: Aggregate,
) -> None:
    """Three proofs, and those three with the last one again, make the same vectors: n tells them apart."""
    four = fold(key, trapdoor.vk, [*proofs[:3], proofs[2]])
    verify_aggregate(key.verifier, trapdoor.vk, [*statements, statements[2]], four)
    shorter = replace(four, groups=(3,), auxiliary_commitments=four.auxiliary_commitments[:3])
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate(key.verifier, trapdoor.vk, statements, shorter)
    longer = replace(
        three,
        groups=(4,),
        auxiliary_commitments=(*three.auxiliary_commitments, three.auxiliary_commitments[2]),
    )
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate(key.verifier, trapdoor.vk, [*statements, statements[2]], longer)


# Keys


def test_other_verification_keys(
    key: AggregationKey, trapdoor: Trapdoor, statements: list[Statement], three: Aggregate
) -> None:
    other_model = replace(trapdoor.vk, weights_commitment=g1(5))
    other_program = replace(trapdoor.vk, program_digest=bytes(32))
    for vk in (Trapdoor(seed=1).vk, other_model, other_program):
        with pytest.raises(VerificationError, match="pairing"):
            verify_aggregate(key.verifier, vk, statements, three)


def test_other_reference_strings(
    key: AggregationKey, trapdoor: Trapdoor, statements: list[Statement], three: Aggregate
) -> None:
    right = key.verifier
    exchanged = replace(right, a_g1=right.b_g1, a_g2=right.b_g2, b_g1=right.a_g1, b_g2=right.a_g2)
    for other in (aggregation_setup(16).verifier, exchanged, replace(right, max_proofs=8)):
        with pytest.raises(VerificationError, match="pairing"):
            verify_aggregate(other, trapdoor.vk, statements, three)
    with pytest.raises(VerificationError, match="at most"):
        verify_aggregate(replace(right, max_proofs=2), trapdoor.vk, statements, three)


def test_one_reference_string_used_twice(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof], statements: list[Statement]
) -> None:
    """U computed with the string of a, as T is: the key refuses it, and the equations do too."""
    with pytest.raises(ValueError, match="independent"):
        AggregationKey(key.a, key.a)
    twice = AggregationKey(key.a, key.b)
    assert twice.verifier  # made before the powers of b are lost
    object.__setattr__(twice, "b", key.a)
    forged = fold(twice, trapdoor.vk, proofs[:3])
    assert forged.claim.commitments.t_c == forged.claim.commitments.u_c
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate(key.verifier, trapdoor.vk, statements, forged)


# Fields of the aggregate

Change = Callable[[Aggregate], Aggregate]
_TARGET = pairing_product([(G1Point(), G2Point())])


def change_claim(name: str) -> Callable[[Any], Any]:
    """For a claim or the initial one."""

    def change(claim: Any) -> Any:
        if name == "total" and isinstance(claim, InitialClaim):
            return replace(claim, totals=(*claim.totals[:-1], claim.totals[-1] + G1Point()))
        if name == "total":
            return replace(claim, total=claim.total + G1Point())
        if name == "product":
            return replace(claim, product=product_of_powers([claim.product, _TARGET], [1, 1]))
        changed: TargetElement = product_of_powers([getattr(claim.commitments, name), _TARGET], [1, 1])
        return replace(claim, commitments=replace(claim.commitments, **{name: changed}))

    return change


def change_total(name: str) -> Change:
    return lambda given: replace(given, claim=change_claim(name)(given.claim))


def change_round(index: int, side: str, name: str) -> Change:
    def change(given: Aggregate) -> Aggregate:
        rounds = list(given.rounds)
        changed = change_claim(name)(getattr(rounds[index], side))
        rounds[index] = replace(rounds[index], **{side: changed})
        return replace(given, rounds=tuple(rounds))

    return change


def change_point(part: str, name: str) -> Change:
    def change(given: Aggregate) -> Aggregate:
        old = getattr(given, part)
        point = getattr(old, name)
        changed = point + (G1Point() if isinstance(point, G1Point) else G2Point())
        return replace(given, **{part: replace(old, **{name: changed})})

    return change


def change_auxiliary(index: int) -> Change:
    def change(given: Aggregate) -> Aggregate:
        points = list(given.auxiliary_commitments)
        points[index] = points[index] + G1Point()
        return replace(given, auxiliary_commitments=tuple(points))

    return change


def exchange_sides(given: Aggregate) -> Aggregate:
    first, *rest = given.rounds
    return replace(given, rounds=(Round(first.right, first.left), *rest))


_VALUES = ("t_ab", "u_ab", "t_c", "u_c", "product", "total")
FIELD_CHANGES: dict[str, Change] = {
    **{f"claim {v}": change_total(v) for v in _VALUES},
    **{
        f"round {i} {side} {v}": change_round(i, side, v)
        for i in (0, 1)
        for side in ("left", "right")
        for v in _VALUES
    },
    **{f"final {n}": change_point("final", n) for n in ("a", "b", "c", "v_a", "v_b", "w_a", "w_b")},
    **{f"opening {n}": change_point("openings", n) for n in ("v_a", "v_b", "w_a", "w_b")},
    **{f"D_aux {i}": change_auxiliary(i) for i in range(3)},
    "sides exchanged": exchange_sides,
    "rounds exchanged": lambda g: replace(g, rounds=g.rounds[::-1]),
}


@pytest.mark.parametrize("change", sorted(FIELD_CHANGES))
def test_every_field(
    change: str, key: AggregationKey, trapdoor: Trapdoor, statements: list[Statement], three: Aggregate
) -> None:
    """Each changed value is a well-formed member of its group."""
    changed = Aggregate.from_bytes(FIELD_CHANGES[change](three).to_bytes())
    assert changed != three
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate(key.verifier, trapdoor.vk, statements, changed)


def test_identities_are_refused(three: Aggregate) -> None:
    for name in ("a", "b", "c", "v_a", "v_b", "w_a", "w_b"):
        point = getattr(three.final, name)
        identity = G1Point.identity() if isinstance(point, G1Point) else G2Point.identity()
        with pytest.raises(ValueError, match="identity"):
            replace(three.final, **{name: identity})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="identity"):
        replace(three, auxiliary_commitments=(G1Point.identity(), *three.auxiliary_commitments[1:]))


# Forgers


def test_an_invalid_proof(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    """The aggregator names it; forced through, it is refused by the pairing equation."""
    for field in ("a", "c", "auxiliary_commitment"):
        bad = replace(proofs[1], **{field: getattr(proofs[1], field) + G1Point()})
        given = [proofs[0], bad, proofs[2]]
        with pytest.raises(VerificationError, match="proof 1"):
            fold(key, trapdoor.vk, given)
        forced = fold(key, trapdoor.vk, given, check=False)
        with pytest.raises(VerificationError, match="pairing"):
            verify_aggregate(key.verifier, trapdoor.vk, [p.statement for p in given], forced)


def holding_parts(
    key: AggregationKey, trapdoor: Trapdoor, statements: Sequence[Statement], made: Aggregate
) -> tuple[bool, bool, bool]:
    """Which of eq. (17), the folding and eq. (18) hold, each by itself."""
    groups = statement_groups([(trapdoor.vk, statements)])
    r, y, challenges, z = verifier._challenges(key.verifier, groups, made)
    parts = [MergedEquations() for _ in range(3)]
    verifier._add_statements(parts[0], groups, made, r)
    verifier._add_folding(parts[1], made, y, challenges)
    f_v, f_w = v_polynomial(r, challenges), w_polynomial(challenges)
    verifier._add_openings(parts[2], key.verifier, made, f_v, f_w, z)
    return parts[0].hold(), parts[1].hold(), parts[2].hold()


class Forger:
    """An aggregator that claims another Z_AB or Z_C than its vectors have, so that eq. (17) holds for a proof
    whose C is off by the generator."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, trapdoor: Trapdoor, lie_about: str) -> None:
        self.trapdoor, self.lie_about = trapdoor, lie_about
        self.r = 0
        honest_scaled, honest_claim = Vectors.scaled, Vectors.initial_claim

        def scaled(vectors: Vectors, r: int) -> Vectors:
            self.r = r
            return honest_scaled(vectors, r)

        def claim(vectors: Vectors, *arguments: Any) -> InitialClaim:
            return self.forge(honest_claim(vectors, *arguments))

        monkeypatch.setattr(Vectors, "scaled", scaled)
        monkeypatch.setattr(Vectors, "initial_claim", claim)

    @property
    def excess(self) -> G1Point:
        """By how much Z_C is wrong when C of proof 1 is."""
        return g1(self.r)

    def forge(self, claim: InitialClaim) -> InitialClaim:
        if self.lie_about == "total":
            return replace(claim, totals=(claim.totals[0] - self.excess,))
        correction = pairing_product([(self.excess, self.trapdoor.vk.delta_g2)])
        return replace(claim, product=product_of_powers([claim.product, correction], [1, 1]))


@pytest.fixture
def with_bad_proof(proofs: list[Proof]) -> list[Proof]:
    return [proofs[0], replace(proofs[1], c=proofs[1].c + G1Point()), proofs[2]]


@pytest.mark.parametrize("lie_about", ["total", "product"])
def test_totals_that_are_not_those_of_the_vectors(
    lie_about: str,
    key: AggregationKey,
    trapdoor: Trapdoor,
    with_bad_proof: list[Proof],
    statements: list[Statement],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The statements' equation is satisfied; the folding gives the forger away."""
    Forger(monkeypatch, trapdoor, lie_about)
    forged = fold(key, trapdoor.vk, with_bad_proof, check=False)
    assert holding_parts(key, trapdoor, statements, forged) == (True, False, True)
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate(key.verifier, trapdoor.vk, statements, forged)


def test_keys_made_up_for_the_purpose(
    key: AggregationKey,
    trapdoor: Trapdoor,
    proofs: list[Proof],
    statements: list[Statement],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keys of the forger's own fold perfectly; only the openings bind them to the reference string."""
    honest = aggregator._vectors
    for name in ("v_a", "v_b", "w_a", "w_b"):

        def own_keys(key: AggregationKey, proofs: Sequence[Proof], name: str = name) -> Vectors:
            vectors = honest(key, proofs)
            make: Callable[[int], Any] = g1 if name.startswith("w") else g2
            own: Any = {name: [make(7 + i) for i in range(len(vectors))]}
            return replace(vectors, **own)

        monkeypatch.setattr(aggregator, "_vectors", own_keys)
        forged = fold(key, trapdoor.vk, proofs[:3])
        assert holding_parts(key, trapdoor, statements, forged) == (True, True, False)
        with pytest.raises(VerificationError, match="pairing"):
            verify_aggregate(key.verifier, trapdoor.vk, statements, forged)


# Encodings that are hashed


@pytest.mark.parametrize("part", ["t_ab", "u_ab", "t_c", "u_c"])
def test_commitments_are_absorbed_whole(part: str, three: Aggregate) -> None:
    """Each of them reaches the bytes that are hashed."""
    changed = change_claim(part)(three.claim)
    assert changed.commitments.to_bytes() != three.claim.commitments.to_bytes()


def test_cross_terms_and_final_vectors_are_absorbed_whole(three: Aggregate) -> None:
    fold = three.rounds[0]
    for value in _VALUES:
        assert change_claim(value)(fold.left).to_bytes() != fold.left.to_bytes()
    for name in ("a", "b", "c", "v_a", "v_b", "w_a", "w_b"):
        changed: FinalVectors = change_point("final", name)(three).final
        assert changed.to_bytes() != three.final.to_bytes()


# Usage


def test_numbers_of_proofs(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    with pytest.raises(ValueError, match="0 proofs"):
        fold(key, trapdoor.vk, [])
    with pytest.raises(ValueError, match="more than 16 proofs"):
        fold(key, trapdoor.vk, [proofs[0]] * 17)
    without_statement = Proof.from_bytes(proofs[0].to_bytes())
    with pytest.raises(ValueError, match="statement"):
        fold(key, trapdoor.vk, [without_statement])


def test_types(
    key: AggregationKey, trapdoor: Trapdoor, statements: list[Statement], three: Aggregate
) -> None:
    right: list[Any] = [key.verifier, trapdoor.vk, statements, three]
    for i in range(4):
        wrong = list(right)
        wrong[i] = [b"bytes"] * 3
        with pytest.raises(TypeError):
            verify_aggregate(*wrong)


def test_random_weights_differ_from_call_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two false equations whose errors cancel at equal weights do not cancel under random ones."""
    rng = random.Random(1)
    error = rng.randrange(1, SCALAR_MODULUS)
    merged = MergedEquations()
    merged.add([([error], [G1Point()], G2Point())])
    merged.add([([-error], [G1Point()], G2Point())])
    assert not merged.hold()
    monkeypatch.setattr("secrets.randbits", lambda bits: 0)
    unweighted = MergedEquations()
    unweighted.add([([error], [G1Point()], G2Point())])
    unweighted.add([([-error], [G1Point()], G2Point())])
    assert unweighted.hold()
