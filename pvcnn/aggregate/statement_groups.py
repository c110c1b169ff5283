"""Statements by verification key, and their side of the verification equation: docs/protocol.md, eq. (17).

With a weight w_i for each proof of group g, eq. (11) of all of them adds up to

    prod_i e(w_i A_i, B_i) = e(alpha, beta)^(sum w_i) e(sum w_i IC_i, gamma_pub)
                             prod_s e(sum w_i D_s,i, gamma_s) e(sum w_i C_i, delta)

where IC_i = sum_pub x_k [K_k/gamma_pub]1, and D_w,i is the key's own. The right side of several groups is the
product over them. What the weights are is up to the caller: powers of the challenge r in an aggregate, random
numbers where single proofs are verified together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pvcnn.aggregate.merged_equations import Term
from pvcnn.algebra.points import G1Point
from pvcnn.errors import VerificationError
from pvcnn.qmp.challenges import derive_challenges
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.verifier import check_statement, public_values

#: The most verification keys that one aggregate may be for.
MAX_GROUPS = 64


@dataclass(frozen=True)
class StatementGroup:
    """Statements under one verification key, at least one; `checked` makes sure that they fit it."""

    key: VerificationKey
    statements: tuple[Statement, ...]

    @classmethod
    def checked(cls, key: VerificationKey, statements: Sequence[Statement], first: int) -> StatementGroup:
        """Raises VerificationError naming the statement, counted from `first` on, that does not fit the key,
        or if there is none; TypeError for other types."""
        if not isinstance(key, VerificationKey):
            raise TypeError("vk must be a VerificationKey")
        if any(not isinstance(statement, Statement) for statement in statements):
            raise TypeError("statements must be Statements")
        if not statements:
            raise VerificationError("0 statements: a group has at least one")
        for i, statement in enumerate(statements, start=first):
            try:
                check_statement(key, statement)
            except VerificationError as error:
                raise VerificationError(f"statement {i}: {error}") from error
        return cls(key, tuple(statements))

    def terms(self, auxiliary_commitments: Sequence[G1Point], weights: Sequence[int]) -> list[Term]:
        """The right side without its last factor, for D_aux and w_i of each statement."""
        public = [0] * len(self.key.public_g1)
        for weight, statement, auxiliary in zip(weights, self.statements, auxiliary_commitments, strict=True):
            values = public_values(derive_challenges(self.key, statement, auxiliary), statement)
            for k, value in enumerate(values):
                public[k] += weight * value
        total = [sum(weights)]
        labels = [s.labels_commitment for s in self.statements if s.labels_commitment is not None]
        sums: dict[str, tuple[Sequence[int], Sequence[G1Point]]] = {
            "pub": (public, self.key.public_g1),
            "in": (weights, [statement.features_commitment for statement in self.statements]),
            "w": (total, [self.key.weights_commitment]),
            "lab": (weights, labels),
            "aux": (weights, auxiliary_commitments),
        }
        return [
            (total, [self.key.alpha_g1], self.key.beta_g2),
            *((*sums[segment], gamma_s) for segment, gamma_s in self.key.gamma_g2.by_segment().items()),
        ]


def statement_groups(
    groups: Iterable[tuple[VerificationKey, Iterable[Statement]]],
) -> tuple[StatementGroup, ...]:
    """Groups in the order given, their statements checked against their keys.

    Raises VerificationError for a statement that does not fit its key, for a group without one, for two
    groups with one key (their proofs belong into one) and for more groups than MAX_GROUPS; TypeError for
    other types.
    """
    made: list[StatementGroup] = []
    keys: set[bytes] = set()
    count = 0
    for key, statements in groups:
        made.append(StatementGroup.checked(key, tuple(statements), count))
        count += len(made[-1].statements)
        if key.digest() in keys:
            raise VerificationError("two groups have the same verification key")
        keys.add(key.digest())
        if len(made) > MAX_GROUPS:
            raise VerificationError(f"an aggregate has at most {MAX_GROUPS} groups")
    return tuple(made)
