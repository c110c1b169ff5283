"""One reference string, one trapdoor and an aggregate of three proofs (N = 4) for all tests."""

from __future__ import annotations

import pytest

from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.reference_string import AggregationKey, aggregation_setup
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from tests.aggregate.synthetic import Trapdoor, fold


@pytest.fixture(scope="session")
def key() -> AggregationKey:
    return aggregation_setup(16)


@pytest.fixture(scope="session")
def trapdoor() -> Trapdoor:
    return Trapdoor()


@pytest.fixture(scope="session")
def proofs(trapdoor: Trapdoor) -> list[Proof]:
    return trapdoor.prove_many(10)


@pytest.fixture(scope="session")
def statements(proofs: list[Proof]) -> list[Statement]:
    """Those of the aggregate `three`."""
    return [proof.statement for proof in proofs[:3]]


@pytest.fixture(scope="session")
def three(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> Aggregate:
    return fold(key, trapdoor.vk, proofs[:3])
