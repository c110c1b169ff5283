"""The aggregator's input: any iterable of proofs, read once and checked in batches; and progress."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pvcnn.aggregate import intake
from pvcnn.aggregate.aggregator import aggregate
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.algebra.points import G1Point
from pvcnn.errors import VerificationError
from pvcnn.qmp.proof import Proof
from tests.aggregate.synthetic import Trapdoor, fold


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_BATCH", 2)


def test_proofs_are_read_one_by_one(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    """No more of them than a batch before the first is checked."""
    read: list[int] = []

    def one_by_one() -> Iterator[Proof]:
        for i, proof in enumerate(proofs[:5]):
            read.append(i)
            yield replace(proof, c=proof.c + G1Point()) if i == 0 else proof

    with pytest.raises(VerificationError, match="proof 0"):
        aggregate(key, trapdoor.vk, one_by_one())
    assert read == [0, 1]


def test_bad_proofs_are_named_across_batches(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]
) -> None:
    given = [*proofs[:3], replace(proofs[3], c=proofs[3].c + G1Point()), proofs[4]]
    with pytest.raises(VerificationError, match="proof 3"):
        aggregate(key, trapdoor.vk, given)


def test_reading_stops_when_there_are_too_many(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]
) -> None:
    read: list[int] = []

    def endless() -> Iterator[Proof]:
        while True:
            read.append(len(read))
            yield proofs[0]

    with pytest.raises(ValueError, match="more than 16 proofs"):
        aggregate(key, trapdoor.vk, endless(), scheme="snarkpack", check=False)
    assert len(read) == 18


def test_progress(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    told: list[tuple[str, int, int]] = []

    def progress(what: str, done: int, total: int) -> None:
        told.append((what, done, total))

    aggregate(key, trapdoor.vk, proofs[:5], scheme="snarkpack", progress=progress)
    checking = [(done, total) for what, done, total in told if what == "checking"]
    folding = [(done, total) for what, done, total in told if what == "folding"]
    assert checking == [(2, 5), (4, 5), (5, 5)]
    assert folding == sorted(folding)
    assert len(folding) > 10
    assert folding[-1][0] <= folding[-1][1] < 1.3 * folding[-1][0]
    told.clear()
    aggregate(key, trapdoor.vk, iter(proofs[:3]), scheme="packed", progress=progress)
    assert told == [("checking", 2, 0), ("checking", 3, 0)]


def test_threads_change_nothing(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for count in ("1", "3"):
        monkeypatch.setenv("PVCNN_THREADS", count)
        made.append(fold(key, trapdoor.vk, proofs[:9]).to_bytes())
    assert made[0] == made[1]


def test_unchecked_proofs_still_need_statements_that_verify(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]
) -> None:
    given = [proofs[0], replace(proofs[1], attached=proofs[2].statement)]
    made = aggregate(key, trapdoor.vk, given, check=False)
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate(key.verifier, trapdoor.vk, [proof.statement for proof in given], made)
