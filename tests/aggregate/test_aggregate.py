"""Aggregates of 1, 2, 3, 5 and 10 proofs verify, and survive encoding."""

from __future__ import annotations

import pytest
from synthetic import Trapdoor

from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.aggregator import aggregate
from pvcnn.aggregate.reference_string import AggregationKey, aggregation_setup
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.verifier import verify


@pytest.fixture(scope="module")
def key() -> AggregationKey:
    return aggregation_setup(16)


@pytest.fixture(scope="module")
def trapdoor() -> Trapdoor:
    return Trapdoor()


@pytest.fixture(scope="module")
def proofs(trapdoor: Trapdoor) -> list[Proof]:
    return trapdoor.prove_many(10)


def test_synthetic_proofs_are_valid(trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    for proof in proofs:
        verify(trapdoor.vk, proof.statement, proof)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10])
def test_aggregate_verifies(count: int, key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    made = aggregate(key, trapdoor.vk, proofs[:count])
    statements = [proof.statement for proof in proofs[:count]]
    verify_aggregate(key.verifier, trapdoor.vk, statements, made)
    decoded = Aggregate.from_bytes(made.to_bytes())
    assert decoded == made
    verify_aggregate(key.verifier, trapdoor.vk, statements, decoded)
