"""Verification of many single proofs at once: docs/protocol.md, eq. (24), which is eq. (11) of all of them.

Each equation is raised to a weight of 128 bits that the verifier draws here from the operating system's
generator: if one is false, the product is true with probability 2^-128 at most, since every value lies in a
group of prime order. Weights of a verifier's own need no argument about what an adversary may have tried:
with weights hashed from the proofs it could try proofs until errors cancel. Nobody else has to repeat the
coins, as the verdict does not depend on them.

n proofs under one key take n + 6 pairings instead of 7 n, on all threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pvcnn.aggregate.merged_equations import PairingSum, random_weight
from pvcnn.aggregate.statement_groups import StatementGroup
from pvcnn.algebra.point_lists import generate_g1, generate_g2
from pvcnn.algebra.target import pairing_product
from pvcnn.errors import VerificationError
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.verifier import verify

ONE = pairing_product([])


def verify_batch(key: VerificationKey, statements: Iterable[Statement], proofs: Iterable[Proof]) -> None:
    """Returns if each of the proofs proves the statement in its place under `key`, as `verify` for each.

    Raises VerificationError naming the first that fails otherwise, or if there are not as many statements as
    proofs or none; TypeError if an argument is of another type.
    """
    verify_numbered(key, tuple(statements), tuple(proofs), 0)


def verify_numbered(
    key: VerificationKey, statements: Sequence[Statement], proofs: Sequence[Proof], first: int
) -> None:
    """As `verify_batch`, for proofs that errors count from `first` on."""
    if any(not isinstance(proof, Proof) for proof in proofs):
        raise TypeError("proofs must be Proofs")
    if len(statements) != len(proofs):
        raise VerificationError(f"{len(statements)} statements, but {len(proofs)} proofs")
    group = StatementGroup.checked(key, statements, first)
    in_g1 = [point for proof in proofs for point in (proof.a, proof.c, proof.auxiliary_commitment)]
    in_groups = generate_g1(in_g1) and generate_g2([proof.b for proof in proofs])
    if in_groups and equations_hold([group], proofs):
        return
    for i, (statement, proof) in enumerate(zip(statements, proofs, strict=True), start=first):
        try:
            verify(key, statement, proof)
        except VerificationError as error:
            raise VerificationError(f"proof {i}: {error}") from error
    raise VerificationError("the proofs do not satisfy the merged pairing equation")


def equations_hold(groups: Sequence[StatementGroup], proofs: Sequence[Proof]) -> bool:
    """Whether eq. (11) holds for all proofs, which are those of the groups' statements, in order.

    Their points must generate their groups (not checked).
    """
    product, first = PairingSum(), 0
    for group in groups:
        members = proofs[first : first + len(group.statements)]
        first += len(members)
        weights = [random_weight() for _ in members]
        for weight, proof in zip(weights, members, strict=True):
            product.add(([-weight], [proof.a], proof.b))
        for term in group.terms([proof.auxiliary_commitment for proof in members], weights):
            product.add(term)
        product.add((weights, [proof.c for proof in members], group.key.delta_g2))
    return pairing_product(product.pairs()) == ONE
