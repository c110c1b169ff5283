"""Openings as bytes, what they expand from, and that the seeds of other submissions stay where they are."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.campaign.audit.opening import AuditOpening, ClusterOpening, OwnerOpening
from pvcnn.campaign.audit.software import Software
from pvcnn.campaign.roles.audit_secret import AuditSecret, frame_seed
from pvcnn.errors import DecodeError
from tests.campaign.hostile import damaged, flipped

SOFTWARE = Software("1", "0.3.17", "2.3", "x86_64", "glibc 2.36")
SHARED = {
    "manifest_digest": b"m" * 32,
    "record_digest": b"r" * 32,
    "beacon": b"b" * 20,
    "software": SOFTWARE,
    "sealing_key": b"s" * 32,
    "values": {2: b"x" * 32, 7: b"y" * 31 + b"\0"},
}
OPENINGS: list[AuditOpening] = [
    OwnerOpening(**SHARED, salt=b"t" * 32, private_part=b"private part"),  # type: ignore[arg-type]
    ClusterOpening(**SHARED | {"values": {3: bytes(32)}}, decryption_key=b"key"),  # type: ignore[arg-type]
]
kinds = pytest.mark.parametrize("opening", OPENINGS, ids=lambda each: each.ROLE)


@kinds
def test_openings_survive_encoding(opening: AuditOpening) -> None:
    assert type(opening).from_bytes(opening.to_bytes()) == opening


@kinds
def test_hostile_bytes(opening: AuditOpening) -> None:
    """A flipped bit of a digest or a secret is another opening, which the audit refuses; never a crash."""
    for bad in damaged(opening.to_bytes()):
        try:
            found = type(opening).from_bytes(bad)
        except DecodeError:
            continue
        assert found != opening


@kinds
@pytest.mark.parametrize(
    "changes",
    [
        {"values": {}},
        {"values": {7: bytes(32), 2: bytes(32)}},
        {"values": {2: bytes(31)}},
        {"values": {-1: bytes(32)}},
        {"values": {1 << 14: bytes(32)}},
        {"beacon": bytes(65)},
        {"sealing_key": bytes(31)},
        {"software": replace(SOFTWARE, pvcnn="\x1b[2J")},
        {"software": replace(SOFTWARE, pvcnn="x" * 65)},
    ],
)
def test_openings_that_cannot_be(opening: AuditOpening, changes: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        type(opening).from_bytes(replace(opening, **changes).to_bytes())  # type: ignore[arg-type]


def test_one_kind_is_not_the_other() -> None:
    owner, cluster = OPENINGS
    with pytest.raises(DecodeError):
        type(owner).from_bytes(cluster.to_bytes())
    high = SCALAR_MODULUS.to_bytes(32, "little")
    with pytest.raises(DecodeError, match="group's order"):
        ClusterOpening.from_bytes(replace(cluster, values={1: high}).to_bytes())


@kinds
def test_openings_are_not_shown(opening: AuditOpening) -> None:
    for field in fields(opening):
        assert repr(getattr(opening, field.name)) not in repr(opening)


def test_every_item_changes_what_is_derived() -> None:
    secret, digest, upload, context = AuditSecret(b"a" * 32), b"r" * 32, b"u" * 32, b"c" * 32
    other = AuditSecret(flipped(secret.value, 31))
    seeds = [
        secret.answer_seed(digest, 1, upload),
        other.answer_seed(digest, 1, upload),
        secret.answer_seed(flipped(digest, 0), 1, upload),
        secret.answer_seed(digest, 2, upload),
        secret.answer_seed(digest, 1, flipped(upload, 9)),
    ]
    frames = [
        frame_seed(seeds[0], digest, 1, 0),
        frame_seed(seeds[1], digest, 1, 0),
        frame_seed(seeds[0], flipped(digest, 0), 1, 0),
        frame_seed(seeds[0], digest, 2, 0),
        frame_seed(seeds[0], digest, 1, 1),
    ]
    assert len({*seeds, *frames}) == 10
    blindings = {
        secret.features_blinding(context),
        other.features_blinding(context),
        secret.features_blinding(flipped(context, 5)),
    }
    assert len(blindings) == 3
    assert all(0 < blinding < SCALAR_MODULUS for blinding in blindings)
    assert secret.value.hex() not in repr(secret)
