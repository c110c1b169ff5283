"""Hostile bytes for the decoders of aggregates and reference strings: DecodeError and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cbor2
import pytest

from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.inner_product import CLAIM_BYTES
from pvcnn.aggregate.reference_string import (
    MAX_PROOFS,
    AggregationKey,
    AggregationVerifierKey,
    aggregation_setup,
)
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.algebra.constants import BASE_MODULUS, G1_BYTES
from pvcnn.algebra.target import TARGET_BYTES
from pvcnn.errors import DecodeError, VerificationError
from pvcnn.qmp.statement import Statement
from tests.aggregate.synthetic import Trapdoor, g1, g2

#: On the torus, as everything of this length, and outside the target group.
OUTSIDE = (2).to_bytes(48, "little") + bytes(TARGET_BYTES - 48)
NOT_CANONICAL = BASE_MODULUS.to_bytes(48, "little") + bytes(TARGET_BYTES - 48)
G1_IDENTITY = b"\xc0" + bytes(47)
G2_IDENTITY = b"\xc0" + bytes(95)
#: x = 4: on the curve, outside the subgroup.
G1_OUTSIDE = b"\x80" + bytes(46) + b"\x04"


def mangled(data: bytes, rng: random.Random) -> list[bytes]:
    cuts = [data[:at] for at in (0, 1, 7, len(data) // 2, len(data) - 1)]
    noise = [rng.randbytes(length) for length in (1, 100, len(data))]
    return [*cuts, data + b"\0", b"\0" + data, data + data, *noise]


def recode(data: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    fields = cbor2.loads(data)
    change(fields)
    return cbor2.dumps(fields, canonical=True)


def test_mangled_bytes(key: AggregationKey, three: Aggregate) -> None:
    rng = random.Random(3)
    decoders: list[tuple[bytes, Callable[[bytes], object]]] = [
        (three.to_bytes(), Aggregate.from_bytes),
        (key.verifier.to_bytes(), AggregationVerifierKey.from_bytes),
        (key.to_bytes(), AggregationKey.from_bytes),
    ]
    for data, decode in decoders:
        decode(data)
        for hostile in mangled(data, rng):
            with pytest.raises(DecodeError):
                decode(hostile)


def test_flipped_bits_never_verify(
    key: AggregationKey, trapdoor: Trapdoor, statements: list[Statement], three: Aggregate
) -> None:
    rng, data = random.Random(4), three.to_bytes()
    for _ in range(150):
        at = rng.randrange(8 * len(data))
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << (at % 8)
        with pytest.raises((DecodeError, VerificationError)):
            verify_aggregate(key.verifier, trapdoor.vk, statements, Aggregate.from_bytes(bytes(flipped)))


def test_flipped_bits_of_the_verifier_key(
    key: AggregationKey, trapdoor: Trapdoor, statements: list[Statement], three: Aggregate
) -> None:
    rng, data = random.Random(5), key.verifier.to_bytes()
    for _ in range(60):
        at = rng.randrange(8 * len(data))
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << (at % 8)
        with pytest.raises((DecodeError, VerificationError)):
            verify_aggregate(
                AggregationVerifierKey.from_bytes(bytes(flipped)), trapdoor.vk, statements, three
            )


def splice(data: bytes, at: int, part: bytes) -> bytes:
    return data[:at] + part + data[at + len(part) :]


@pytest.mark.parametrize("outside", [OUTSIDE, NOT_CANONICAL], ids=["outside", "not canonical"])
@pytest.mark.parametrize("value", range(5))
def test_target_values_outside_the_group(value: int, outside: bytes, three: Aggregate) -> None:
    at = value * TARGET_BYTES

    def in_claim(fields: dict[str, Any]) -> None:
        fields["claim"] = splice(fields["claim"], at, outside)

    def in_last_round(fields: dict[str, Any]) -> None:
        fields["rounds"][-1] = splice(fields["rounds"][-1], CLAIM_BYTES + at, outside)

    for change in (in_claim, in_last_round):
        with pytest.raises(DecodeError, match=r"target.group"):
            Aggregate.from_bytes(recode(three.to_bytes(), change))


@pytest.mark.parametrize("bad", [G1_IDENTITY, G1_OUTSIDE], ids=["identity", "outside"])
def test_points_outside_g1(bad: bytes, three: Aggregate) -> None:
    def set_field(name: str, at: int) -> Callable[[dict[str, Any]], None]:
        def change(fields: dict[str, Any]) -> None:
            fields[name] = splice(fields[name], at, bad)

        return change

    changes = [
        set_field("claim", CLAIM_BYTES - G1_BYTES),
        set_field("auxiliary_commitments", G1_BYTES),
        *[set_field("final", at) for at in (192, 240, 288, 432)],
        *[set_field("openings", at) for at in (192, 240)],
    ]
    for change in changes:
        with pytest.raises(DecodeError, match="G1"):
            Aggregate.from_bytes(recode(three.to_bytes(), change))


def test_identities_of_g2(three: Aggregate) -> None:
    for name, offsets in (("final", (0, 96, 336)), ("openings", (0, 96))):
        for at in offsets:

            def change(fields: dict[str, Any], name: str = name, at: int = at) -> None:
                fields[name] = splice(fields[name], at, G2_IDENTITY)

            with pytest.raises(DecodeError, match="identity of G2"):
                Aggregate.from_bytes(recode(three.to_bytes(), change))


def test_wrong_shapes(three: Aggregate) -> None:
    changes: list[Callable[[dict[str, Any]], Any]] = [
        lambda f: f.update(version=1),
        lambda f: f.update(format="pvcnn-proof"),
        lambda f: f.update(format="pvcnn-packed-aggregate"),
        lambda f: f.update(surplus=1),
        lambda f: f.pop("openings"),
        lambda f: f.update(auxiliary_commitments=b""),
        lambda f: f.update(
            auxiliary_commitments=f["auxiliary_commitments"] + f["auxiliary_commitments"][:48]
        ),
        lambda f: f.update(auxiliary_commitments=[f["auxiliary_commitments"]]),
        lambda f: f.update(auxiliary_commitments=f["auxiliary_commitments"][:-48], groups=[2]),
        lambda f: f.update(groups=[]),
        lambda f: f.update(groups=[3, 0]),
        lambda f: f.update(groups=[2, 1]),
        lambda f: f.update(groups=[4]),
        lambda f: f.update(groups=[-3]),
        lambda f: f.update(groups=[True, 2]),
        lambda f: f.update(groups=[1 << 63]),
        lambda f: f.update(groups=3),
        lambda f: f["rounds"].pop(),
        lambda f: f["rounds"].append(f["rounds"][0]),
        lambda f: f.update(rounds=[]),
        lambda f: f.update(rounds=f["rounds"] * 10),
        lambda f: f.update(claim=f["claim"][:-1]),
        lambda f: f.update(final=f["final"] + b"\0"),
        lambda f: f.update(openings=b""),
        lambda f: f.update(claim=[f["claim"]]),
        lambda f: f.update(rounds={"0": f["rounds"][0]}),
    ]
    for change in changes:
        with pytest.raises(DecodeError):
            Aggregate.from_bytes(recode(three.to_bytes(), change))
    with pytest.raises(ValueError, match="rounds"):
        replace(three, rounds=three.rounds[:1])


# Reference strings


def test_reference_strings_survive_encoding(key: AggregationKey) -> None:
    assert AggregationKey.from_bytes(key.to_bytes()) == key
    assert AggregationVerifierKey.from_bytes(key.verifier.to_bytes()) == key.verifier
    assert AggregationKey.from_bytes(key.to_bytes()).verifier.digest() == key.verifier.digest()


def test_reference_string_sizes() -> None:
    assert [aggregation_setup(n).max_proofs for n in (1, 2, 3, 5)] == [2, 2, 4, 8]
    for count in (0, -1, MAX_PROOFS + 1):
        with pytest.raises(ValueError, match="max_proofs"):
            aggregation_setup(count)


def test_reference_strings_are_powers_of_two_different_secrets(key: AggregationKey) -> None:
    other = aggregation_setup(2)
    assert len({point.to_compressed_bytes() for s in (key, other) for point in (s.a.g1[1], s.b.g1[1])}) == 4


def test_degenerate_reference_strings(key: AggregationKey) -> None:
    right = key.verifier
    for fields, message in [
        ({"b_g1": right.a_g1, "b_g2": right.a_g2}, "independent"),
        ({"a_g1": g1(1), "a_g2": g2(1)}, "degenerate"),
        ({"a_g1": g1(0), "a_g2": g2(0)}, "degenerate"),
        ({"a_g2": right.b_g2}, "same secret"),
        ({"b_g1": g1(5)}, "same secret"),
        ({"max_proofs": 12}, "power of two"),
        ({"max_proofs": 1}, "power of two"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(right, **fields)  # type: ignore[arg-type]

    def same_string_twice(fields: dict[str, Any]) -> None:
        fields.update(b_g1=fields["a_g1"], b_g2=fields["a_g2"])

    for data, decode in (
        (right.to_bytes(), AggregationVerifierKey.from_bytes),
        (key.to_bytes(), AggregationKey.from_bytes),
    ):
        with pytest.raises(DecodeError, match="independent"):
            decode(recode(data, same_string_twice))


def test_surplus_and_missing_powers(key: AggregationKey) -> None:
    def drop(fields: dict[str, Any]) -> None:
        fields["a_g1"].pop()

    def repeat(fields: dict[str, Any]) -> None:
        fields["b_g2"].append(fields["b_g2"][0])

    def halve(fields: dict[str, Any]) -> None:
        fields["max_proofs"] = 8

    def another_size(fields: dict[str, Any]) -> None:
        fields["max_proofs"] = MAX_PROOFS + 1

    for change in (drop, repeat, halve, another_size):
        with pytest.raises(DecodeError):
            AggregationKey.from_bytes(recode(key.to_bytes(), change))
    with pytest.raises(ValueError, match="powers"):
        replace(key, a=replace(key.a, g1=key.a.g1[:-1]))
