"""The verifier of an aggregate: docs/protocol.md, eqs. (14) to (18), as one product of fourteen pairings,
or fifteen with labels.

With the challenges recomputed, each of the six values of the claim is folded, Z becomes
Z prod_j Z_left,j^(x_j) Z_right,j^(1/x_j), and must be what the final vectors say:

    T_AB = e(A, v_a) e(w_a, B)    U_AB = e(A, v_b) e(w_b, B)    Z_AB = e(A, B)
    T_C  = e(C, v_a)              U_C  = e(C, v_b)              Z_C  = s C,  s = prod_j (1 + 1/x_j)

the final keys must be the folded reference string, eq. (18), and the unfolded Z_AB and Z_C must satisfy all n
verification equations at once, eq. (17), with IC_i = sum_pub x_k [K_k/gamma_pub]1 of statement i:

    Z_AB = e(alpha, beta)^(sum r^i) e(sum r^i IC_i, gamma_pub) prod_s e(sum r^i D_s,i, gamma_s) e(Z_C, delta)

Sums run to N: the verifier itself repeats the last statement and its D_aux, so padding proves nothing new.
A false statement makes (17) false for all but N values of r, which is drawn after everything in it; given
binding commitments, no aggregator can then supply Z_AB and Z_C that satisfy both (17) and the folding.

All eleven equations are merged by weights that the verifier draws from `secrets`: since every value is in a
group of prime order r, a wrong equation survives with probability 2^-128.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.challenges import AggregateTranscript
from pvcnn.aggregate.folded_keys import KeyPolynomial, v_polynomial, w_polynomial
from pvcnn.aggregate.inner_product import powers_of
from pvcnn.aggregate.reference_string import AggregationVerifierKey, padded_size
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, G2Point, encode_g1, encode_g2, linear_combination_g1
from pvcnn.algebra.target import TargetElement, pairing_product, product_of_powers
from pvcnn.errors import VerificationError
from pvcnn.qmp.challenges import derive_challenges
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.verifier import check_statement, public_values

_WEIGHT_BITS = 128


def verify_aggregate(
    key: AggregationVerifierKey,
    vk: VerificationKey,
    statements: Sequence[Statement],
    aggregate: Aggregate,
) -> None:
    """Returns if `aggregate` proves all `statements`, in this order, under `vk`.

    Raises VerificationError otherwise, TypeError if an argument is of another type.
    """
    _check_shape(key, vk, statements, aggregate)
    r, challenges, z = _challenges(key, vk, statements, aggregate)
    merged = MergedEquations()
    _add_statements(merged, vk, statements, aggregate, r)
    _add_folding(merged, aggregate, challenges)
    _add_openings(merged, key, aggregate, v_polynomial(r, challenges), w_polynomial(challenges), z)
    if not merged.hold():
        raise VerificationError("the aggregate does not satisfy the pairing equations")


class MergedEquations:
    """Equations prod_i e(c_i P_i, Q_i) = prod_k f_k^(e_k), each raised to a random weight and multiplied."""

    def __init__(self) -> None:
        self._left: dict[bytes, tuple[G2Point, list[G1Point], list[int]]] = {}
        self._right: dict[TargetElement, int] = {}

    def add(
        self, left: Sequence[tuple[int, G1Point, G2Point]], right: Sequence[tuple[int, TargetElement]] = ()
    ) -> None:
        """One equation: triples c_i, P_i, Q_i and pairs e_k, f_k. Terms that share Q_i share a pairing."""
        weight = 1 + secrets.randbits(_WEIGHT_BITS)
        for factor, point, partner in left:
            _, points, factors = self._left.setdefault(encode_g2(partner), (partner, [], []))
            points.append(point)
            factors.append(factor * weight % SCALAR_MODULUS)
        for exponent, element in right:
            self._right[element] = (self._right.get(element, 0) + exponent * weight) % SCALAR_MODULUS

    def hold(self) -> bool:
        """Whether the merged equation holds."""
        pairs = [
            (linear_combination_g1(points, factors), partner)
            for partner, points, factors in self._left.values()
        ]
        return pairing_product(pairs) == product_of_powers(list(self._right), list(self._right.values()))


def _check_shape(
    key: AggregationVerifierKey, vk: VerificationKey, statements: Sequence[Statement], aggregate: Aggregate
) -> None:
    if not isinstance(key, AggregationVerifierKey):
        raise TypeError("key must be an AggregationVerifierKey")
    if not isinstance(vk, VerificationKey):
        raise TypeError("vk must be a VerificationKey")
    if not isinstance(aggregate, Aggregate):
        raise TypeError("aggregate must be an Aggregate")
    if any(not isinstance(statement, Statement) for statement in statements):
        raise TypeError("statements must be Statements")
    if len(statements) != aggregate.proofs:
        raise VerificationError(
            f"{len(statements)} statements, but an aggregate of {aggregate.proofs} proofs"
        )
    if padded_size(len(statements)) > key.max_proofs:
        raise VerificationError(f"the reference string serves {key.max_proofs} proofs at most")
    for i, statement in enumerate(statements):
        try:
            check_statement(vk, statement)
        except VerificationError as error:
            raise VerificationError(f"statement {i}: {error}") from error


def _challenges(
    key: AggregationVerifierKey, vk: VerificationKey, statements: Sequence[Statement], aggregate: Aggregate
) -> tuple[int, list[int], int]:
    """r, the rounds' challenges and z."""
    transcript = AggregateTranscript(
        key.digest(),
        vk.digest(),
        [statement.to_bytes() for statement in statements],
        [encode_g1(point) for point in aggregate.auxiliary_commitments],
    )
    r = transcript.scaling_challenge(aggregate.claim.commitments.to_bytes())
    transcript.absorb_totals(aggregate.claim.product.encoded, encode_g1(aggregate.claim.total))
    challenges = [
        transcript.round_challenge(fold.left.to_bytes(), fold.right.to_bytes()) for fold in aggregate.rounds
    ]
    return r, challenges, transcript.opening_challenge(aggregate.final.to_bytes())


def _add_statements(
    merged: MergedEquations,
    vk: VerificationKey,
    statements: Sequence[Statement],
    aggregate: Aggregate,
    r: int,
) -> None:
    """Eq. (17)."""
    powers = powers_of(r, padded_size(len(statements)))
    last = len(statements) - 1
    weights = [*powers[:last], sum(powers[last:]) % SCALAR_MODULUS]
    public = [0] * len(vk.public_g1)
    for weight, statement, auxiliary in zip(
        weights, statements, aggregate.auxiliary_commitments, strict=True
    ):
        values = public_values(derive_challenges(vk, statement, auxiliary), statement)
        public = [
            (total + weight * value) % SCALAR_MODULUS for total, value in zip(public, values, strict=True)
        ]
    total_weight = sum(powers) % SCALAR_MODULUS
    features = [statement.features_commitment for statement in statements]
    labels = [s.labels_commitment for s in statements if s.labels_commitment is not None]
    sums = {
        "pub": (1, linear_combination_g1(vk.public_g1, public)),
        "in": (1, linear_combination_g1(features, weights)),
        "w": (total_weight, vk.weights_commitment),
        "aux": (1, linear_combination_g1(aggregate.auxiliary_commitments, weights)),
    }
    if vk.takes_labels:
        sums["lab"] = (1, linear_combination_g1(labels, weights))
    merged.add(
        [
            (total_weight, vk.alpha_g1, vk.beta_g2),
            *((*sums[segment], gamma_s) for segment, gamma_s in vk.gamma_g2.by_segment().items()),
            (1, aggregate.claim.total, vk.delta_g2),
        ],
        [(1, aggregate.claim.product)],
    )


def _add_folding(merged: MergedEquations, aggregate: Aggregate, challenges: Sequence[int]) -> None:
    """The six values of the claim, folded, against the final vectors."""
    inverses = [pow(x, -1, SCALAR_MODULUS) for x in challenges]
    claims = [aggregate.claim]
    factors = [1]
    s = 1
    for fold, x, inverse in zip(aggregate.rounds, challenges, inverses, strict=True):
        claims += [fold.left, fold.right]
        factors += [x, inverse]
        s = s * (1 + inverse) % SCALAR_MODULUS

    final = aggregate.final
    expected = (
        [(1, final.a, final.v_a), (1, final.w_a, final.b)],
        [(1, final.a, final.v_b), (1, final.w_b, final.b)],
        [(1, final.c, final.v_a)],
        [(1, final.c, final.v_b)],
        [(1, final.a, final.b)],
    )
    for value, left in enumerate(expected):
        merged.add(left, [(f, claim.targets[value]) for f, claim in zip(factors, claims, strict=True)])
    # Z_C is a point of G1: pairing both sides with [1]2 lets it join the product.
    total = linear_combination_g1([claim.total for claim in claims], factors)
    merged.add([(1, total, G2Point()), (-s, final.c, G2Point())])


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
            [(1, one_g1, v), (-v_at_z, one_g1, one_g2), (-1, secret_g1, opening), (z, one_g1, opening)]
        )
    for secret_g2, w, witness in (
        (key.a_g2, final.w_a, openings.w_a),
        (key.b_g2, final.w_b, openings.w_b),
    ):
        merged.add(
            [(1, w, one_g2), (-w_at_z, one_g1, one_g2), (-1, witness, secret_g2), (z, witness, one_g2)]
        )
