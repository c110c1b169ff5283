"""A verification key whose trapdoor is known, and proofs made with it: also the tool of a forger who ran the
setup.
"""

from __future__ import annotations

from collections.abc import Sequence

from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.aggregator import aggregate_groups
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.bench.simulated_proofs import SimulatedCircuit, g1, g2
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof

__all__ = ["Trapdoor", "fold", "fold_groups", "g1", "g2"]


class Trapdoor(SimulatedCircuit):
    """With two outputs."""

    def prove_many(self, count: int) -> list[Proof]:
        return [self.prove(b"submission %d" % i, (i & 1, 0)) for i in range(count)]


def fold(
    key: AggregationKey, vk: VerificationKey, proofs: Sequence[Proof], *, check: bool = True
) -> Aggregate:
    """The folded aggregate of proofs under one key."""
    return fold_groups(key, [(vk, proofs)], check=check)


def fold_groups(
    key: AggregationKey, groups: Sequence[tuple[VerificationKey, Sequence[Proof]]], *, check: bool = True
) -> Aggregate:
    """The folded aggregate of proofs under several keys."""
    made = aggregate_groups(key, groups, scheme="snarkpack", check=check)
    assert isinstance(made, Aggregate)
    return made
