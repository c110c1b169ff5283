"""The verifier of an aggregate: docs/protocol.md, eqs. (14) to (18), as one product of pairings: fourteen for
one verification key, or fifteen with labels, and up to seven or eight for each further one.

With the challenges recomputed, each of the six values of the claim is folded, Z becomes
Z prod_j Z_left,j^(x_j) Z_right,j^(1/x_j), and must be what the final vectors say:

    T_AB = e(A, v_a) e(w_a, B)    U_AB = e(A, v_b) e(w_b, B)    Z_AB = e(A, B)
    T_C  = e(C, v_a)              U_C  = e(C, v_b)              Z_C  = e C

where e is the folded vector of the public scalars, and Z_C = sum_g y^g Z_C,g. The final keys must be the
folded reference string, eq. (18), and the unfolded Z_AB and Z_C,g must satisfy all n verification equations
at once, eq. (17), with IC_i = sum_pub x_k [K_k/gamma_pub]1 of statement i and the points of its group's key:

    Z_AB = prod_g e(alpha, beta)^(sum r^i) e(sum r^i IC_i, gamma_pub)
                  prod_s e(sum r^i D_s,i, gamma_s) e(Z_C,g, delta)

Sums run to N: the verifier itself repeats the last statement and its D_aux, so padding proves nothing new.
A false statement makes (17) false for all but N values of r, which is drawn after everything in it; given
binding commitments, no aggregator can then supply Z_AB and Z_C,g that satisfy both (17) and the folding
(docs/security-argument.md, Theorem 6).

All eleven equations are merged by weights that the verifier draws from `secrets`: since every value is in a
group of prime order r, a wrong equation survives with probability 2^-128.

Of a packed aggregate every equation (11) is checked, merged in the same way (`pvcnn.aggregate.batch`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.batch import equations_hold
from pvcnn.aggregate.challenges import AggregateTranscript
from pvcnn.aggregate.folded_keys import KeyPolynomial, v_polynomial, w_polynomial
from pvcnn.aggregate.inner_product import folded_scalars, padded_groups, powers_of, public_scalars
from pvcnn.aggregate.merged_equations import MergedEquations
from pvcnn.aggregate.packed import PackedAggregate
from pvcnn.aggregate.reference_string import AggregationVerifierKey, padded_size
from pvcnn.aggregate.schemes import AnyAggregate, named_sizes
from pvcnn.aggregate.statement_groups import StatementGroup, statement_groups
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, G2Point, encode_g1
from pvcnn.errors import VerificationError
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.statement import Statement


def verify_aggregate(
    key: AggregationVerifierKey,
    vk: VerificationKey,
    statements: Iterable[Statement],
    aggregate: AnyAggregate,
) -> None:
    """Returns if `aggregate`, of either kind, proves all `statements`, in this order, under `vk`.

    Raises VerificationError otherwise, TypeError if an argument is of another type.
    """
    verify_aggregate_groups(key, [(vk, statements)], aggregate)


def verify_aggregate_groups(
    key: AggregationVerifierKey,
    groups: Iterable[tuple[VerificationKey, Iterable[Statement]]],
    aggregate: AnyAggregate,
) -> None:
    """As `verify_aggregate`, for statements under several verification keys: all of them, in this order."""
    if not isinstance(key, AggregationVerifierKey):
        raise TypeError("key must be an AggregationVerifierKey")
    if not isinstance(aggregate, Aggregate | PackedAggregate):
        raise TypeError("aggregate must be an Aggregate or a PackedAggregate")
    claimed = statement_groups(groups)
    sizes = tuple(len(group.statements) for group in claimed)
    if sizes != aggregate.groups:
        raise VerificationError(
            f"{named_sizes(sizes)} statements, but an aggregate of {named_sizes(aggregate.groups)} proofs"
        )
    if isinstance(aggregate, PackedAggregate):
        if not equations_hold(claimed, aggregate.contents):
            raise VerificationError("the packed aggregate does not satisfy the pairing equation")
        return
    if padded_size(aggregate.proofs) > key.max_proofs:
        raise VerificationError(f"the reference string serves {key.max_proofs} proofs at most")
    _verify_folded(key, claimed, aggregate)


def _verify_folded(
    key: AggregationVerifierKey, groups: Sequence[StatementGroup], aggregate: Aggregate
) -> None:
    r, y, challenges, z = _challenges(key, groups, aggregate)
    merged = MergedEquations()
    _add_statements(merged, groups, aggregate, r)
    _add_folding(merged, aggregate, y, challenges)
    _add_openings(merged, key, aggregate, v_polynomial(r, challenges), w_polynomial(challenges), z)
    if not merged.hold():
        raise VerificationError("the aggregate does not satisfy the pairing equations")


def _challenges(
    key: AggregationVerifierKey, groups: Sequence[StatementGroup], aggregate: Aggregate
) -> tuple[int, int, list[int], int]:
    """r, y, the rounds' challenges and z."""
    transcript = AggregateTranscript(
        key.digest(),
        [(group.key.digest(), len(group.statements)) for group in groups],
        [statement.to_bytes() for group in groups for statement in group.statements],
        [encode_g1(point) for point in aggregate.auxiliary_commitments],
    )
    claim = aggregate.claim
    r = transcript.scaling_challenge(claim.commitments.to_bytes())
    y = transcript.combining_challenge(claim.product.encoded, claim.encoded_totals())
    challenges = [
        transcript.round_challenge(fold.left.to_bytes(), fold.right.to_bytes()) for fold in aggregate.rounds
    ]
    return r, y, challenges, transcript.opening_challenge(aggregate.final.to_bytes())


def _add_statements(
    merged: MergedEquations, groups: Sequence[StatementGroup], aggregate: Aggregate, r: int
) -> None:
    """Eq. (17)."""
    powers = powers_of(r, padded_size(aggregate.proofs))
    last = aggregate.proofs - 1
    weights = [*powers[:last], sum(powers[last:]) % SCALAR_MODULUS]
    terms, first = [], 0
    for group, total in zip(groups, aggregate.claim.totals, strict=True):
        members = slice(first, first + len(group.statements))
        terms += group.terms(aggregate.auxiliary_commitments[members], weights[members])
        terms.append(([1], [total], group.key.delta_g2))
        first = members.stop
    merged.add(terms, [(1, aggregate.claim.product)])


def _add_folding(merged: MergedEquations, aggregate: Aggregate, y: int, challenges: Sequence[int]) -> None:
    """The six values of the claim, folded, against the final vectors."""
    inverses = [pow(x, -1, SCALAR_MODULUS) for x in challenges]
    claims = [aggregate.claim.combined(y)]
    factors = [1]
    e = public_scalars(padded_groups(aggregate.groups, padded_size(aggregate.proofs)), y)
    for fold, x, inverse in zip(aggregate.rounds, challenges, inverses, strict=True):
        claims += [fold.left, fold.right]
        factors += [x, inverse]
        e = folded_scalars(e, inverse)

    final = aggregate.final
    expected = (
        [([1], [final.a], final.v_a), ([1], [final.w_a], final.b)],
        [([1], [final.a], final.v_b), ([1], [final.w_b], final.b)],
        [([1], [final.c], final.v_a)],
        [([1], [final.c], final.v_b)],
        [([1], [final.a], final.b)],
    )
    for value, left in enumerate(expected):
        merged.add(left, [(f, claim.targets[value]) for f, claim in zip(factors, claims, strict=True)])
    # Z_C is a point of G1: pairing both sides with [1]2 lets it join the product.
    totals = [claim.total for claim in claims]
    merged.add([([*factors, -e[0]], [*totals, final.c], G2Point())])


def _add_openings(
    merged: MergedEquations,
    key: AggregationVerifierKey,
    aggregate: Aggregate,
    f_v: KeyPolynomial,
    f_w: KeyPolynomial,
    z: int,
) -> None:
    """Eq. (18) for both reference strings."""
    final, openings = aggregate.final, aggregate.openings
    one_g1, one_g2 = G1Point(), G2Point()
    v_at_z, w_at_z = f_v.at(z), f_w.at(z)
    for secret_g1, v, opening in (
        (key.a_g1, final.v_a, openings.v_a),
        (key.b_g1, final.v_b, openings.v_b),
    ):
        merged.add(
            [
                ([1], [one_g1], v),
                ([-v_at_z], [one_g1], one_g2),
                ([-1, z], [secret_g1, one_g1], opening),
            ]
        )
    for secret_g2, w, witness in (
        (key.a_g2, final.w_a, openings.w_a),
        (key.b_g2, final.w_b, openings.w_b),
    ):
        merged.add([([1, -w_at_z, z], [w, one_g1, witness], one_g2), ([-1], [witness], secret_g2)])
