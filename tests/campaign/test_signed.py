"""Signatures: what they cover, whose they are, and keys under which they would mean nothing."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from pvcnn.campaign.artefacts.answer import Answer
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.campaign.artefacts.signed import SignedArtefact, SigningKey, check_key, check_signature
from pvcnn.encoding import encode
from pvcnn.errors import DecodeError, VerificationError
from tests.campaign.artefacts import CLUSTER, OWNER, answer, card, manifest, refusal, registration, registry
from tests.campaign.hostile import flipped, refuses

OF_A_CEREMONY = manifest(setup_party="", ceremony_digest=b"y" * 32)
EVERY_KIND = [manifest(), OF_A_CEREMONY, card(), registration(), registry(), answer(), refusal()]
kinds = pytest.mark.parametrize("artefact", EVERY_KIND, ids=lambda artefact: artefact.FORMAT)


@kinds
def test_round_trip(artefact: SignedArtefact) -> None:
    decoded = type(artefact).from_bytes(artefact.to_bytes())
    assert decoded == artefact
    assert decoded.digest() == artefact.digest()


@kinds
def test_hostile_bytes_are_refused(artefact: SignedArtefact) -> None:
    refuses(type(artefact).from_bytes, artefact.to_bytes(), (DecodeError, VerificationError))


@kinds
def test_hostile_bodies_with_a_good_signature_are_refused(artefact: SignedArtefact) -> None:
    """The decoder of the body stands on its own: a signer may be hostile too."""
    body = artefact.body()
    key = SigningKey.generate()
    for bad in (b"", body[:-1], body + b"\0", flipped(body, 0), encode("pvcnn-other", 1, {})):
        envelope = encode("pvcnn-signed", 1, {"key": key.public, "body": bad, "signature": key.sign(bad)})
        with pytest.raises(DecodeError):
            type(artefact).from_bytes(envelope)


def another(value: Any) -> Any:
    """A value of the same type that is not `value`."""
    match value:
        case b"":
            return b"x" * 32
        case bytes():
            return flipped(value, len(value) // 2)
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case _:
            return value[:-1]


@kinds
def test_every_field_is_under_the_signature(artefact: SignedArtefact) -> None:
    for field in fields(artefact):
        value = getattr(artefact, field.name)
        changed = replace(artefact, **{field.name: another(value)})
        with pytest.raises((VerificationError, DecodeError)):
            type(artefact).from_bytes(changed.to_bytes())


@kinds
def test_another_signature_is_refused(artefact: SignedArtefact) -> None:
    stranger = SigningKey.generate()
    with pytest.raises(ValueError, match="another key"):
        artefact.signed(stranger)
    forged = replace(artefact, signature=stranger.sign(artefact.body()))
    with pytest.raises(VerificationError):
        type(artefact).from_bytes(forged.to_bytes())


def test_a_signature_on_one_kind_is_none_on_another() -> None:
    signed = answer()
    with pytest.raises(DecodeError):
        Registration.from_bytes(signed.to_bytes())
    with pytest.raises(DecodeError):
        Manifest.from_bytes(signed.to_bytes())


def test_a_signature_names_its_key() -> None:
    body = b"body"
    check_signature(OWNER.public, body, OWNER.sign(body))
    with pytest.raises(VerificationError):
        check_signature(CLUSTER.public, body, OWNER.sign(body))
    with pytest.raises(VerificationError):
        check_signature(OWNER.public, body + b"x", OWNER.sign(body))


@pytest.mark.parametrize(
    "key",
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ],
)
def test_keys_of_small_order_and_non_canonical_keys_are_refused(key: str) -> None:
    """Under the identity, R = identity and S = 0 would be a signature of every message."""
    with pytest.raises(DecodeError):
        check_key(bytes.fromhex(key))
    with pytest.raises(DecodeError):
        check_signature(bytes.fromhex(key), b"body", b"\1" + bytes(63))


def test_keys_survive_encoding() -> None:
    again = SigningKey.from_bytes(OWNER.to_bytes())
    assert again.public == OWNER.public
    with pytest.raises(DecodeError):
        SigningKey.from_bytes(b"short")


def test_answers_are_one_thing_or_the_other() -> None:
    neither = {"answer_digest": b"", "features_digest": b""}
    refused = answer(**neither, reason="too late")
    assert Answer.from_bytes(refused.to_bytes()).refused
    assert not answer().refused
    wrong: list[dict[str, Any]] = [{"reason": "both"}, neither, neither | {"features_digest": b"short"}]
    wrong += [{name: value} for name in neither for value in (b"", b"short")]
    for changes in wrong:
        with pytest.raises(DecodeError):
            Answer.from_bytes(answer(**changes).to_bytes())
    with pytest.raises(DecodeError, match="printed"):
        Answer.from_bytes(answer(**neither, reason="\x1b[2J").to_bytes())


@pytest.mark.parametrize("party", ["", "cluster", "x" * 65, "a\nb"])
def test_setup_parties_that_cannot_be(party: str) -> None:
    with pytest.raises(DecodeError):
        Manifest.from_bytes(manifest(setup_party=party).to_bytes())


@pytest.mark.parametrize(
    "changes",
    [{"ceremony_digest": b"y" * 32}, {"setup_party": ""}, {"setup_party": "", "ceremony_digest": b"y"}],
)
def test_either_a_party_or_a_ceremony_made_the_keys(changes: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        Manifest.from_bytes(manifest(**changes).to_bytes())
    assert Manifest.from_bytes(OF_A_CEREMONY.to_bytes()).setup_party == ""
