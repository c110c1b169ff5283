"""The registry: closed, ordered, without duplicates, of one campaign, signed by testers and owner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pvcnn.campaign.artefacts.commitments import label_commitment, private_commitment
from pvcnn.campaign.artefacts.label_opening import LabelOpening
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.errors import DecodeError, VerificationError
from tests.campaign.artefacts import OWNER, SALT, TESTERS, registration, registry, some_digest
from tests.campaign.hostile import refuses


def resigned(changed: Registry) -> bytes:
    """What a dishonest owner could write: any content under its own good signature."""
    return changed.signed(OWNER).to_bytes()


def test_the_order_is_that_of_upload_digests() -> None:
    closed = registry()
    assert [each.upload_digest[0] for each in closed.registrations] == [0, 1, 2]
    assert closed.digest() == registry().digest()


def test_an_upload_cannot_be_registered_twice() -> None:
    first, copy = registration(0), registration(1, upload_digest=registration(0).upload_digest)
    for pair in ([first, first], [first, copy]):
        with pytest.raises(VerificationError, match="twice"):
            Registry.close(OWNER, some_digest("m"), pair)
    with pytest.raises(VerificationError, match="twice"):
        Registry.from_bytes(resigned(replace(registry(), registrations=(first, copy))))


def test_an_owner_cannot_choose_another_order() -> None:
    swapped = tuple(reversed(registry().registrations))
    with pytest.raises(VerificationError, match="order"):
        Registry.from_bytes(resigned(replace(registry(), registrations=swapped)))


def test_registrations_of_another_campaign_are_refused() -> None:
    foreign = registration(0, manifest_digest=some_digest("z"))
    with pytest.raises(VerificationError, match="another campaign"):
        Registry.close(OWNER, some_digest("m"), [foreign])


def test_registrations_that_no_tester_signed_are_refused() -> None:
    invented = replace(registration(0), label_commitment=some_digest("l"))
    with pytest.raises(VerificationError, match="signature"):
        Registry.from_bytes(resigned(replace(registry(), registrations=(invented,))))


def test_commitments_hide_and_bind() -> None:
    salts = [bytes([i]) * 32 for i in range(2)]
    keys = [tester.public for tester in TESTERS[:2]]
    labels = [(0,), (1,), (0, 1), (1, 0), (0, 0)]
    values = {label_commitment(salt, key, each) for salt in salts for key in keys for each in labels}
    assert len(values) == 20
    assert private_commitment(salts[0], b"part") != private_commitment(salts[1], b"part")
    assert private_commitment(salts[0], b"part") != private_commitment(salts[0], b"other")


def test_labels_open_to_one_value_by_their_tester_only() -> None:
    opening = LabelOpening(SALT, (1,))
    opening.check(registration(0), 1, 2)
    for other in (LabelOpening(SALT, (0,)), LabelOpening(SALT, (1, 1)), LabelOpening(b"t" * 32, (1,))):
        with pytest.raises(VerificationError, match="committed to"):
            other.check(registration(0), 1, 2)
    with pytest.raises(VerificationError, match="1 labels for 2 frames"):
        opening.check(registration(0), 2, 2)
    copied = registration(1, label_commitment=registration(0).label_commitment)
    with pytest.raises(VerificationError):
        opening.check(copied, 1, 2)
    assert LabelOpening.from_bytes(opening.to_bytes()) == opening


def test_every_damaged_opening_is_refused() -> None:
    def decode_and_check(data: bytes) -> None:
        LabelOpening.from_bytes(data).check(registration(0), 1, 2)

    refuses(decode_and_check, LabelOpening(SALT, (1,)).to_bytes(), (DecodeError, VerificationError))


def test_labels_are_classes_and_at_least_one() -> None:
    for labels in ((), (1 << 20,), (0, -1)):
        with pytest.raises(DecodeError):
            LabelOpening.from_bytes(LabelOpening(SALT, labels).to_bytes())
    committed = label_commitment(SALT, TESTERS[0].public, (2,))
    with pytest.raises(VerificationError, match="label 2, of 2 classes"):
        LabelOpening(SALT, (2,)).check(registration(0, label_commitment=committed), 1, 2)
    LabelOpening(SALT, (2,)).check(registration(0, label_commitment=committed), 1, 3)
