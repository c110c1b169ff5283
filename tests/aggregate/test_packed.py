"""Packed aggregates and batches of single proofs: one random combination of all equations (11)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cbor2
import pytest

import pvcnn
from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.aggregator import aggregate
from pvcnn.aggregate.batch import equations_hold, verify_batch
from pvcnn.aggregate.packed import PackedAggregate
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.aggregate.schemes import decode_aggregate, scheme_of, sizes, smallest
from pvcnn.aggregate.statement_groups import statement_groups
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.algebra.points import G1Point, G2Point, encode_g1, encode_g2
from pvcnn.errors import DecodeError, VerificationError
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from tests.aggregate.synthetic import Trapdoor, fold, g1, g2
from tests.aggregate.test_aggregate_bytes import G1_IDENTITY, G1_OUTSIDE, G2_IDENTITY, mangled
from tests.aggregate.test_aggregate_refuses import statement_changes


@pytest.fixture(scope="module")
def packed(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> PackedAggregate:
    made = aggregate(key, trapdoor.vk, proofs[:3], scheme="packed")
    assert isinstance(made, PackedAggregate)
    return made


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_packed_proofs_verify(
    count: int, key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]
) -> None:
    made = pvcnn.aggregate(key, trapdoor.vk, iter(proofs[:count]), scheme="packed")
    decoded = pvcnn.decode_aggregate(made.to_bytes())
    assert decoded == made
    assert decoded.proofs == count
    verify_aggregate(key.verifier, trapdoor.vk, [proof.statement for proof in proofs[:count]], decoded)
    verify_batch(trapdoor.vk, [proof.statement for proof in proofs[:count]], proofs[:count])


def test_proofs_with_labels_verify() -> None:
    labelled = Trapdoor(seed=8, segments=("in", "w", "lab", "aux"))
    proofs = labelled.prove_many(2)
    pvcnn.verify_batch(labelled.vk, [proof.statement for proof in proofs], proofs)
    other = replace(proofs[1].statement, labels_commitment=g1(5))
    with pytest.raises(VerificationError, match="proof 1"):
        verify_batch(labelled.vk, [proofs[0].statement, other], proofs)


@pytest.mark.parametrize(
    "change", sorted(statement_changes([Trapdoor().prove()] * 6, [Trapdoor().prove().statement] * 3))
)
def test_other_statements(
    change: str,
    key: AggregationKey,
    trapdoor: Trapdoor,
    proofs: list[Proof],
    statements: list[Statement],
    packed: PackedAggregate,
) -> None:
    changed = statement_changes(proofs, statements)[change]
    with pytest.raises(VerificationError):
        verify_aggregate(key.verifier, trapdoor.vk, changed, packed)
    with pytest.raises(VerificationError):
        verify_batch(trapdoor.vk, changed, proofs[:3])


def test_other_verification_keys(
    key: AggregationKey, trapdoor: Trapdoor, statements: list[Statement], packed: PackedAggregate
) -> None:
    other_model = replace(trapdoor.vk, weights_commitment=g1(5))
    other_program = replace(trapdoor.vk, program_digest=bytes(32))
    for vk in (Trapdoor(seed=1).vk, other_model, other_program):
        with pytest.raises(VerificationError, match="pairing"):
            verify_aggregate(key.verifier, vk, statements, packed)


@pytest.mark.parametrize("field", ["a", "b", "c", "auxiliary_commitment"])
@pytest.mark.parametrize("index", [0, 2])
def test_every_point(
    field: str,
    index: int,
    key: AggregationKey,
    trapdoor: Trapdoor,
    proofs: list[Proof],
    statements: list[Statement],
) -> None:
    """Each changed value generates its group."""
    point = getattr(proofs[index], field)
    changed = replace(
        proofs[index], **{field: point + (G2Point() if field == "b" else G1Point())}, attached=None
    )
    given = [changed if i == index else proof for i, proof in enumerate(proofs[:3])]
    with pytest.raises(VerificationError, match=f"proof {index}"):
        verify_batch(trapdoor.vk, statements, given)
    forged = PackedAggregate.from_bytes(PackedAggregate((3,), tuple(given)).to_bytes())
    with pytest.raises(VerificationError, match="pairing"):
        verify_aggregate(key.verifier, trapdoor.vk, statements, forged)


def test_errors_that_cancel_at_equal_weights(
    trapdoor: Trapdoor, proofs: list[Proof], statements: list[Statement], monkeypatch: pytest.MonkeyPatch
) -> None:
    """C of one proof is off by what C of another lacks: only weights that nobody foresaw tell."""
    first, second, third = proofs[:3]
    given = [replace(first, c=first.c + G1Point()), replace(second, c=second.c - G1Point()), third]
    groups = statement_groups([(trapdoor.vk, statements)])
    assert not equations_hold(groups, given)
    with pytest.raises(VerificationError, match="proof 0"):
        verify_batch(trapdoor.vk, statements, given)
    monkeypatch.setattr("secrets.randbits", lambda bits: 6)
    assert equations_hold(groups, given)


def test_weights_of_128_bits_are_drawn_for_each_proof(
    trapdoor: Trapdoor, proofs: list[Proof], statements: list[Statement], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def draw(bits: int) -> int:
        drawn.append(bits)
        return len(drawn)

    monkeypatch.setattr("secrets.randbits", draw)
    assert equations_hold(statement_groups([(trapdoor.vk, statements)]), proofs[:3])
    assert drawn == [128] * 3


def test_a_proof_of_small_order_added(trapdoor: Trapdoor, statements: list[Statement]) -> None:
    """A point of order 3 would vanish under every third weight: it never gets as far as the equations."""
    outside = G1Point.from_compressed_bytes_unchecked(G1_OUTSIDE)
    proof = trapdoor.prove()
    for field in ("a", "c", "auxiliary_commitment"):
        hostile = replace(proof, **{field: getattr(proof, field) + outside})
        with pytest.raises(VerificationError, match="proof 0"):
            verify_batch(trapdoor.vk, [proof.statement], [hostile])
        with pytest.raises(ValueError, match="generate"):
            PackedAggregate((1,), (hostile,))


def test_flipped_bits_never_verify(
    key: AggregationKey, trapdoor: Trapdoor, statements: list[Statement], packed: PackedAggregate
) -> None:
    rng, data = random.Random(4), packed.to_bytes()
    for _ in range(150):
        at = rng.randrange(8 * len(data))
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << (at % 8)
        with pytest.raises((DecodeError, VerificationError)):
            verify_aggregate(key.verifier, trapdoor.vk, statements, decode_aggregate(bytes(flipped)))


def test_hostile_bytes(packed: PackedAggregate) -> None:
    data, rng = packed.to_bytes(), random.Random(5)
    for hostile in mangled(data, rng):
        with pytest.raises(DecodeError):
            decode_aggregate(hostile)
    fields = cbor2.loads(data)
    proofs = fields["proofs"]
    changes: list[dict[str, Any]] = [
        {"version": 2},
        {"format": "pvcnn-aggregate"},
        {"format": "pvcnn-proof"},
        {"format": ["pvcnn-packed-aggregate"]},
        {"surplus": 1},
        {"groups": []},
        {"groups": [0, 3]},
        {"groups": [4]},
        {"groups": [2]},
        {"groups": [1] * 65},
        {"proofs": b""},
        {"proofs": proofs[:-1]},
        {"proofs": [proofs]},
        {"proofs": G1_IDENTITY + proofs[48:]},
        {"proofs": G1_OUTSIDE + proofs[48:]},
        {"proofs": proofs[:48] + G2_IDENTITY + proofs[144:]},
        {"proofs": proofs[:-48] + G1_OUTSIDE},
    ]
    for change in changes:
        with pytest.raises(DecodeError):
            decode_aggregate(cbor2.dumps(fields | change, canonical=True))


def test_no_point_is_decoded_of_an_aggregate_of_other_numbers(
    packed: PackedAggregate, three: Aggregate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16384 proofs for a single statement would take a verifier seven seconds, only to be counted."""
    for made in (packed, three):
        assert decode_aggregate(made.to_bytes(), [3]) == made

    def decode(*_: object) -> None:
        raise AssertionError("a point is decoded")

    for module in ("packed.curve_points_g1", "packed.curve_points_g2", "aggregate.decode_g1_list"):
        monkeypatch.setattr(f"pvcnn.aggregate.{module}", decode)
    monkeypatch.setattr("pvcnn.aggregate.aggregate.decode_targets", decode)
    for made in (packed, three):
        for groups in ([1], [4], [2, 1], [], [0]):
            with pytest.raises(VerificationError, match="not one of"):
                decode_aggregate(made.to_bytes(), groups)
        with pytest.raises(AssertionError, match="decoded"):
            decode_aggregate(made.to_bytes())
    with pytest.raises(DecodeError, match="not an aggregate"):
        decode_aggregate(cbor2.dumps({"format": "pvcnn-proof"}), [3])


def test_numbers_of_statements_and_types(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof], statements: list[Statement]
) -> None:
    with pytest.raises(VerificationError, match="2 statements, but 3 proofs"):
        verify_batch(trapdoor.vk, statements[:2], proofs[:3])
    with pytest.raises(VerificationError, match="at least one"):
        verify_batch(trapdoor.vk, [], [])
    wrong: list[Callable[[], Any]] = [
        lambda: verify_batch(b"", statements, proofs[:3]),  # type: ignore[arg-type]
        lambda: verify_batch(trapdoor.vk, [b""] * 3, proofs[:3]),  # type: ignore[list-item]
        lambda: verify_batch(trapdoor.vk, statements, [b""] * 3),  # type: ignore[list-item]
    ]
    for call in wrong:
        with pytest.raises(TypeError):
            call()


# Which scheme


def test_auto_takes_the_smaller_one() -> None:
    for count in (1, 2, 64, 120, 121, 128, 129, 136, 137, 1024):
        by_scheme = sizes([count])
        expected = "packed" if by_scheme["packed"] <= by_scheme["snarkpack"] else "snarkpack"
        assert smallest([count], 4096) == expected
    assert [smallest([n], 4096) for n in (120, 121, 128, 129, 136, 137)] == [
        "packed",
        "snarkpack",
        "snarkpack",
        "packed",
        "packed",
        "snarkpack",
    ]
    assert smallest([128], 64) == "packed", "what the reference string does not serve is packed"


def test_sizes_are_those_of_aggregates(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    for count in (1, 3, 10):
        made = {
            "packed": aggregate(key, trapdoor.vk, proofs[:count], scheme="packed"),
            "snarkpack": fold(key, trapdoor.vk, proofs[:count]),
        }
        assert sizes([count]) == {name: len(each.to_bytes()) for name, each in made.items()}


def test_half_the_size_for_1024_proofs() -> None:
    """With statements counted in both: D_in, and an output of one or two bytes."""
    by_scheme, statements = sizes([1024]), 1024 * 50
    assert 2 * (by_scheme["snarkpack"] + statements) < by_scheme["packed"] + statements


def test_schemes_of_the_aggregator(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    assert scheme_of(aggregate(key, trapdoor.vk, proofs)) == "packed"
    assert scheme_of(fold(key, trapdoor.vk, proofs[:1])) == "snarkpack"
    assert isinstance(decode_aggregate(fold(key, trapdoor.vk, proofs[:1]).to_bytes()), Aggregate)
    with pytest.raises(ValueError, match="no scheme"):
        aggregate(key, trapdoor.vk, proofs, scheme="best")  # type: ignore[arg-type]
    assert scheme_of(aggregate(key, trapdoor.vk, proofs * 2, check=False)) == "packed"


def test_points_of_both_kinds_are_in_their_places(packed: PackedAggregate, proofs: list[Proof]) -> None:
    fields = cbor2.loads(packed.to_bytes())
    expected = b"".join(
        encode_g1(p.a) + encode_g2(p.b) + encode_g1(p.c) + encode_g1(p.auxiliary_commitment)
        for p in proofs[:3]
    )
    assert fields["proofs"] == expected
    assert fields["groups"] == [3]
    assert packed.contents[0].b != g2(1)
