"""Attacks on folded aggregates by an aggregator written for them: docs/attacks.md.

Each would succeed against a verifier that lacks one thing, which is shown with such a verifier, and fails
against those that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from pvcnn.aggregate import verifier
from pvcnn.aggregate.aggregate import Aggregate, FinalVectors, Openings
from pvcnn.aggregate.aggregator import _vectors
from pvcnn.aggregate.folded_keys import v_polynomial, w_polynomial
from pvcnn.aggregate.inner_product import Claim, InitialClaim, Round, Vectors
from pvcnn.aggregate.packed import PackedAggregate
from pvcnn.aggregate.reference_string import AggregationKey, aggregation_setup
from pvcnn.aggregate.schemes import AnyAggregate
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, scalar
from pvcnn.algebra.target import TargetElement, pairing_product, product_of_powers
from pvcnn.errors import VerificationError
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.verifier import verify
from tests.aggregate import standalone
from tests.aggregate.dishonest import DishonestAggregator, forgetful
from tests.aggregate.standalone import exit_code, of_groups
from tests.aggregate.synthetic import Trapdoor, g1

KNOWN = 0x0DD5EED


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone.load(), "progress", lambda text: None)


@pytest.fixture
def careless() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def inverse(value: int) -> int:
    return pow(value, -1, SCALAR_MODULUS)


def shifted(points: Sequence[G1Point], *by: tuple[int, int]) -> list[G1Point]:
    """Points with [s]1 added to entry i, for each (i, s)."""
    out = list(points)
    for i, s in by:
        out[i] = out[i] + g1(s)
    return out


def with_false_c(proofs: Sequence[Proof], *by: tuple[int, int]) -> list[Proof]:
    """Proofs, none of which then verifies, with C off by [s]1."""
    points = shifted([proof.c for proof in proofs], *by)
    return [replace(proof, c=point) for proof, point in zip(proofs, points, strict=True)]


class Stand:
    """Both verifiers, and what they are told."""

    def __init__(self, key: AggregationKey, trapdoor: Trapdoor, statements: Sequence[Statement]) -> None:
        self.key, self.trapdoor, self.statements = key, trapdoor, list(statements)

    def verify(self, made: AnyAggregate) -> None:
        verify_aggregate(self.key.verifier, self.trapdoor.vk, self.statements, made)

    def second(self, made: AnyAggregate) -> int:
        """The exit code of the second verifier."""
        return exit_code(of_groups(self.key, [(self.trapdoor.vk, self.statements)], made.to_bytes()).verify)

    def accepts_carelessly(self, made: Aggregate, careless: pytest.MonkeyPatch, second: bool = False) -> None:
        """The package's verifier with what was patched, and the second one; then the patches are undone."""
        self.verify(Aggregate.from_bytes(made.to_bytes()))
        assert not second or self.second(made) == 0
        careless.undo()

    def refuses(self, made: Aggregate, second: bool = True) -> None:
        with pytest.raises(VerificationError, match="pairing"):
            self.verify(Aggregate.from_bytes(made.to_bytes()))
        assert not second or self.second(made) == 1


@pytest.fixture
def two(key: AggregationKey, trapdoor: Trapdoor, statements: list[Statement]) -> Stand:
    """The second verifier takes seconds for more."""
    return Stand(key, trapdoor, statements[:2])


@pytest.fixture
def four(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> Stand:
    """Two rounds, and no padding."""
    return Stand(key, trapdoor, [proof.statement for proof in proofs[:4]])


def test_an_aggregator_that_does_not_cheat(two: Stand, proofs: list[Proof]) -> None:
    two.verify(DishonestAggregator(two.key, two.trapdoor.vk, proofs[:2]).aggregate())


# Vectors chosen after r.


class ErrorsThatCancel(DishonestAggregator):
    """Knows r before it commits: -r times an error of C in proof 0 makes up for it in proof 1."""

    def __init__(self, stand: Stand, proofs: Sequence[Proof], r: int | None = None) -> None:
        vk, honest = stand.trapdoor.vk, list(proofs)
        if r is None:
            foreseen = DishonestAggregator(stand.key, vk, honest)
            foreseen.aggregate()
            r = foreseen.r
        self.error = 77
        super().__init__(stand.key, vk, with_false_c(honest, (0, -r * self.error), (1, self.error)))


def test_commitments_made_after_r(two: Stand, proofs: list[Proof], careless: pytest.MonkeyPatch) -> None:
    """T_AB, U_AB, T_C, U_C stop it, which r depends on. Both verifiers believe it without them."""
    forgetful(careless, "commitments")
    cheat = ErrorsThatCancel(two, proofs[:2])
    forged = cheat.aggregate()
    for proof in cheat.proofs:
        with pytest.raises(VerificationError):
            verify(two.trapdoor.vk, proof.statement, proof)
    two.accepts_carelessly(forged, careless, second=True)
    two.refuses(forged)


@pytest.mark.parametrize("r", [1, KNOWN])
def test_an_r_that_is_1_or_known(
    r: int, two: Stand, proofs: list[Proof], careless: pytest.MonkeyPatch
) -> None:
    """With r = 1 errors need only add up to 0."""
    forgetful(careless, r=r)
    forged = ErrorsThatCancel(two, proofs[:2], r).aggregate()
    two.accepts_carelessly(forged, careless)
    two.refuses(forged, second=r == 1)


class OtherFeatures(ErrorsThatCancel):
    """Claims other D_in than was proved, whose errors cancel at r."""

    def __init__(self, stand: Stand, proofs: Sequence[Proof]) -> None:
        super().__init__(stand, proofs)
        foreseen = DishonestAggregator(stand.key, stand.trapdoor.vk, proofs)
        foreseen.aggregate()
        points = shifted([proof.statement.features_commitment for proof in proofs], (0, -foreseen.r), (1, 1))
        self.proofs = [
            replace(proof, attached=replace(proof.statement, features_commitment=point))
            for proof, point in zip(proofs, points, strict=True)
        ]


@pytest.mark.parametrize(
    ("omitted", "believed"), [(("statement",), False), (("D_in",), False), (("statement", "D_in"), True)]
)
def test_statements_chosen_after_r(
    omitted: tuple[str, ...],
    believed: bool,
    two: Stand,
    proofs: list[Proof],
    careless: pytest.MonkeyPatch,
) -> None:
    """An aggregate bound to other statements: r depends on them, and so do the challenges of each proof.
    Either is enough."""
    forgetful(careless, *omitted)
    given = [
        two.trapdoor.prove(proof.statement.context, proof.statement.outputs) for proof in proofs[:2]
    ]  # with the challenges that the forgetful draw
    cheat = OtherFeatures(two, given)
    two.statements = [proof.statement for proof in cheat.proofs]
    forged = cheat.aggregate()
    if believed:
        two.accepts_carelessly(forged, careless)
    two.refuses(forged, second=False)
    careless.undo()
    two.refuses(forged, second=believed)


# Lies about Z_AB and Z_C, made good later.


class Repaired(DishonestAggregator):
    """Has a proof with a false C. `about` says which of Z_AB and Z_C it lies about, so that eq. (17) holds;
    `round` and `side` in which cross term it makes good for that; `x` the challenge that it foresaw."""

    def __init__(self, stand: Stand, proofs: Sequence[Proof], about: str, place: tuple[int, str]) -> None:
        super().__init__(stand.key, stand.trapdoor.vk, with_false_c(proofs, (1, 1)))
        self.about, (self.round, self.side), self.foreseen = about, place, 0

    def lie(self, claim: InitialClaim) -> InitialClaim:
        if self.about == "total":
            return replace(claim, totals=(claim.totals[0] + g1(-self.r),))
        return replace(claim, product=product_of_powers([claim.product, self.excess], [1, 1]))

    @property
    def excess(self) -> TargetElement:
        """What the product has too much."""
        return pairing_product([(g1(self.r), self.vk.delta_g2)])

    def cross_terms(self, terms: Round) -> Round:
        if len(self.x) != self.round or not self.foreseen:
            return terms
        term: Claim = getattr(terms, self.side)
        factor = inverse(self.foreseen) if self.side == "left" else self.foreseen
        if self.about == "total":
            term = replace(term, total=term.total + g1(self.r * factor))
        else:
            term = replace(term, product=product_of_powers([term.product, self.excess], [1, -factor]))
        return replace(terms, **{self.side: term})


@pytest.mark.parametrize("about", ["product", "total"])
@pytest.mark.parametrize("place", [(0, "left"), (0, "right"), (1, "left"), (1, "right")], ids=str)
def test_cross_terms_solved_for_after_their_challenge(
    about: str, place: tuple[int, str], four: Stand, proofs: list[Proof], careless: pytest.MonkeyPatch
) -> None:
    """Those of every round, the first one included, which implementations have left out."""
    forgetful(careless, f"{place[1]} cross terms")
    cheat = Repaired(four, proofs[:4], about, place)
    cheat.aggregate()
    cheat.foreseen = cheat.x[place[0]]
    forged = cheat.aggregate()
    four.accepts_carelessly(forged, careless)
    four.refuses(forged, second=False)


def test_the_second_verifier_hashes_the_first_rounds_cross_terms(
    two: Stand, proofs: list[Proof], careless: pytest.MonkeyPatch
) -> None:
    forgetful(careless, "left cross terms")
    cheat = Repaired(two, proofs[:2], "product", (0, "left"))
    cheat.aggregate()
    cheat.foreseen = cheat.x[0]
    forged = cheat.aggregate()
    two.accepts_carelessly(forged, careless, second=True)
    two.refuses(forged)


@pytest.mark.parametrize("x", [1, KNOWN])
def test_an_x_that_is_1_or_known(
    x: int, two: Stand, proofs: list[Proof], careless: pytest.MonkeyPatch
) -> None:
    forgetful(careless, x=x)
    cheat = Repaired(two, proofs[:2], "total", (0, "right"))
    cheat.foreseen = x
    forged = cheat.aggregate()
    two.accepts_carelessly(forged, careless)
    two.refuses(forged, second=x == 1)


# Commitment keys.


class FalseFinalKeys(DishonestAggregator):
    """Proves one statement twice, the second time with twice its C, and lies about Z_C, so that eq. (17)
    holds. What Z_C folds to is then a known multiple t of e times the final C: t A, B/t, t C and keys v/t and
    t w fold perfectly."""

    def __init__(self, stand: Stand, proof: Proof) -> None:
        double = replace(proof, c=proof.c + proof.c)
        super().__init__(stand.key, stand.trapdoor.vk, [proof, double])

    def lie(self, claim: InitialClaim) -> InitialClaim:
        return replace(claim, totals=(claim.totals[0] - self.proofs[0].c * scalar(self.r),))

    def final(self, final: FinalVectors) -> FinalVectors:
        (x,) = self.x
        actual, e = 1 + 2 * self.r * x, 1 + inverse(x)
        t = scalar((actual * e - self.r) * inverse(actual * e) % SCALAR_MODULUS)
        back = scalar(inverse(int.from_bytes(bytes(t.to_le_bytes()), "little")))
        return FinalVectors(
            final.a * t,
            final.b * back,
            final.c * t,
            final.v_a * back,
            final.v_b * back,
            final.w_a * t,
            final.w_b * t,
        )


def test_false_final_keys(two: Stand, proofs: list[Proof], careless: pytest.MonkeyPatch) -> None:
    """Only their openings, eq. (18), stop it."""
    two.statements = [proofs[0].statement] * 2
    forged = FalseFinalKeys(two, proofs[0]).aggregate()
    careless.setattr(verifier, "_add_openings", lambda *_: None)
    two.accepts_carelessly(forged, careless)
    two.refuses(forged)


class KeysForKnownZ(DishonestAggregator):
    """Knows z, and so commits with keys that are not the string's but open like them: v_i = z^(i-1) [a]2 and
    w_i = z^(N+i-1) [a]1, polynomials z^(i-1) X. Nothing is bound by them: z in C_0 is 1 in C_1."""

    def __init__(self, stand: Stand, proofs: Sequence[Proof]) -> None:
        super().__init__(stand.key, stand.trapdoor.vk, with_false_c(proofs, (1, 1)))

    def vectors(self) -> Vectors:
        honest, size = _vectors(self.key, self.proofs), len(self.proofs)
        v = [scalar(pow(KNOWN, i - 1, SCALAR_MODULUS)) for i in range(size)]
        w = [scalar(pow(KNOWN, size + i - 1, SCALAR_MODULUS)) for i in range(size)]
        return replace(
            honest,
            v_a=[self.key.a.g2[1] * power for power in v],
            v_b=[self.key.b.g2[1] * power for power in v],
            w_a=[self.key.a.g1[1] * power for power in w],
            w_b=[self.key.b.g1[1] * power for power in w],
        )

    def after_r(self, vectors: Vectors) -> Vectors:
        s = self.r * inverse(self.r - KNOWN)
        return replace(vectors, c=shifted(vectors.c, (0, KNOWN * s), (1, -s)))

    def openings(self) -> Openings:
        """f(z)/z, as (f(z) X/z - f(z)) / (X - z) is a constant."""
        in_a, in_b = self.key.a, self.key.b
        f_v, f_w = v_polynomial(self.r, self.x), w_polynomial(self.x)
        v, w = (scalar(f.at(KNOWN) * inverse(KNOWN) % SCALAR_MODULUS) for f in (f_v, f_w))
        return Openings(in_a.g2[0] * v, in_b.g2[0] * v, in_a.g1[0] * w, in_b.g1[0] * w)


def test_keys_made_for_a_z_that_is_known(
    two: Stand, proofs: list[Proof], careless: pytest.MonkeyPatch
) -> None:
    """z = 0 and z = 1 would be such values; z depends on everything that was committed to."""
    forgetful(careless, z=KNOWN)
    cheat = KeysForKnownZ(two, proofs[:2])
    forged = cheat.aggregate()
    with pytest.raises(VerificationError):
        verify(two.trapdoor.vk, cheat.proofs[1].statement, cheat.proofs[1])
    two.accepts_carelessly(forged, careless, second=True)
    two.refuses(forged)


def test_one_string_does_not_bind(trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    """[a]1 in C_0 is -1 in C_1, for whoever has the string: T_C of false proofs is that of the true ones.
    Only the string of b shows them."""
    key = aggregation_setup(2)
    honest = _vectors(key, proofs[:2])
    false = replace(honest, c=[honest.c[0] + key.a.g1[1], honest.c[1] - G1Point()])
    true_commitments, false_commitments = honest.commitments(), false.commitments()
    assert false_commitments.t_c == true_commitments.t_c
    assert false_commitments.u_c != true_commitments.u_c
    twice = replace(false, v_b=false.v_a)
    assert twice.commitments().u_c == replace(honest, v_b=honest.v_a).commitments().u_c


def test_errors_that_cancel_in_a_packed_aggregate(
    two: Stand, proofs: list[Proof], careless: pytest.MonkeyPatch
) -> None:
    """For the weights of both verifiers, if they were known or all alike."""
    forged = PackedAggregate((2,), tuple(with_false_c(proofs[:2], (0, -1), (1, 1))))
    careless.setattr("secrets.randbits", lambda bits: KNOWN)
    two.verify(forged)
    assert two.second(forged) == 0
    careless.undo()
    with pytest.raises(VerificationError, match="pairing"):
        two.verify(forged)
    assert two.second(forged) == 1


# Padding.


class OwnPadding(DishonestAggregator):
    """Pads with something else than the last proof."""

    def __init__(self, stand: Stand, proofs: Sequence[Proof], padding: Proof) -> None:
        super().__init__(stand.key, stand.trapdoor.vk, proofs)
        self.padding = padding

    def vectors(self) -> Vectors:
        return _vectors(self.key, [*self.proofs, self.padding])


def test_padding_with_another_proof(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof], statements: list[Statement]
) -> None:
    """A valid proof of another statement proves nothing in the place of padding."""
    three = Stand(key, trapdoor, statements)
    three.refuses(OwnPadding(three, proofs[:3], proofs[5]).aggregate(), second=False)
    three.verify(OwnPadding(three, proofs[:3], proofs[2]).aggregate())


def test_padding_that_makes_up_for_a_false_proof(
    key: AggregationKey,
    trapdoor: Trapdoor,
    proofs: list[Proof],
    statements: list[Statement],
    careless: pytest.MonkeyPatch,
) -> None:
    """The last entry belongs to nobody, so errors that cancel there need only one false proof."""
    three = Stand(key, trapdoor, statements)
    forgetful(careless, r=KNOWN)
    false = with_false_c(proofs[:3], (0, -pow(KNOWN, 3, SCALAR_MODULUS)))
    (padding,) = with_false_c([proofs[2]], (0, 1))
    forged = OwnPadding(three, false, padding).aggregate()
    three.accepts_carelessly(forged, careless)
    three.refuses(forged, second=False)


# Proofs that pass as others.


def rerandomised(trapdoor: Trapdoor, proof: Proof) -> Proof:
    """Another proof of the same statement, made by whoever has one."""
    k = scalar(KNOWN)
    return replace(proof, b=proof.b + trapdoor.vk.delta_g2 * k, c=proof.c + proof.a * k)


def test_a_proof_rerandomised_to_pass_as_a_second_one(two: Stand, proofs: list[Proof]) -> None:
    """It is one of the same statement still: under another one, with its own context, it is worth nothing."""
    again = rerandomised(two.trapdoor, proofs[0])
    assert again != proofs[0]
    verify(two.trapdoor.vk, proofs[0].statement, again)
    second = replace(again, attached=proofs[1].statement)
    two.refuses(DishonestAggregator(two.key, two.trapdoor.vk, [proofs[0], second]).aggregate())


#: How a campaign's statement may be for something else: docs/protocol.md, eq. (20).
OTHERS: dict[str, Callable[[Statement], Statement]] = {
    "another context": lambda s: replace(s, context=b"another manifest"),
    "the same tester's next submission": lambda s: replace(s, context=s.context + b"+"),
    "another decision": lambda s: replace(s, outputs=(1 - s.outputs[0], *s.outputs[1:])),
}


@pytest.mark.parametrize("other", sorted(OTHERS))
def test_a_statement_that_was_not_proved(other: str, two: Stand, proofs: list[Proof]) -> None:
    """The aggregator claims it from the beginning, and everything it hashes is about it."""
    claimed = replace(proofs[0], attached=OTHERS[other](proofs[0].statement))
    two.statements[0] = claimed.statement
    forged = DishonestAggregator(two.key, two.trapdoor.vk, [claimed, proofs[1]]).aggregate()
    two.refuses(forged, second=other == "another context")
