"""What is refused of what comes in: uploads at the owner, answers at the cluster."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cbor2
import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.encoding import encode
from pvcnn.errors import DecodeError, PvcnnError, SubmissionRefused
from pvcnn.he.decryption import decrypt_features, quantise
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.keys import generate
from pvcnn.he.parameters import plan
from tests.he.conftest import Roles
from tests.he.parts import random_frame, small_part

Fields = dict[str, Any]


def changed(data: bytes, change: Callable[[Fields], None]) -> bytes:
    fields = cbor2.loads(data)
    del fields["format"], fields["version"]
    change(fields)
    return encode("pvcnn-ciphertext", 1, fields)


def set_scale(value: float) -> Callable[[Fields], None]:
    return lambda fields: fields.update(scale=struct.pack(">d", value))


def third_component(fields: Fields) -> None:
    fields["ciphertexts"][0].append(fields["ciphertexts"][0][0])


def one_component(fields: Fields) -> None:
    fields["ciphertexts"][0].pop()


def second_ciphertext(fields: Fields) -> None:
    fields["ciphertexts"].append(fields["ciphertexts"][0])


def no_ciphertext(fields: Fields) -> None:
    fields["ciphertexts"] = []


def transparent(fields: Fields) -> None:
    pair = fields["ciphertexts"][0]
    pair[1] = b"\0" * len(pair[1])


def transparent_modulo_the_first_prime(fields: Fields) -> None:
    pair = fields["ciphertexts"][0]
    length = 54 * 8192 // 8
    pair[1] = b"\0" * length + pair[1][length:]


REFUSED: dict[str, tuple[Callable[[Fields], None], str]] = {
    "plan": (lambda fields: fields.update(plan=b"\0" * 32), "another encryption plan"),
    "content": (lambda fields: fields.update(content="answers"), "does not hold"),
    "level": (lambda fields: fields.update(parameters=b"\0" * 32), "another level or key"),
    "scale not a number": (set_scale(float("nan")), "another scale"),
    "scale infinite": (set_scale(float("inf")), "another scale"),
    "scale zero": (set_scale(0.0), "another scale"),
    "scale negative": (set_scale(-(2.0**44)), "another scale"),
    "scale off by one bit": (set_scale(np.nextafter(2.0**44, 0)), "another scale"),
    "three components": (third_component, "2 components here, not 3"),
    "one component": (one_component, "2 components here, not 1"),
    "two ciphertexts": (second_ciphertext, "1 ciphertexts are expected, not 2"),
    "no ciphertext": (no_ciphertext, "1 ciphertexts are expected, not 0"),
    "transparent": (transparent, "transparent"),
    "transparent modulo a prime": (transparent_modulo_the_first_prime, "transparent"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_for_a_reason(small: Roles, upload: bytes, answer: bytes, name: str) -> None:
    change, reason = REFUSED[name]
    with pytest.raises(SubmissionRefused, match=reason):
        small.evaluate(changed(upload, change))
    with pytest.raises(SubmissionRefused, match=reason):
        small.decrypt(changed(answer, change))


def test_unchanged_messages_pass(small: Roles, upload: bytes, answer: bytes) -> None:
    nothing: Callable[[Fields], None] = lambda fields: None  # noqa: E731
    assert changed(upload, nothing) == upload
    small.evaluate(changed(upload, nothing))
    small.decrypt(changed(answer, nothing))


def test_frames_and_answers_are_not_mixed_up(small: Roles, upload: bytes, answer: bytes) -> None:
    with pytest.raises(SubmissionRefused, match="does not hold frame"):
        small.evaluate(answer)
    with pytest.raises(PvcnnError):
        small.decrypt(upload)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.update(ciphertexts=[[]] * 2000),
        lambda fields: fields.update(ciphertexts=[[b""] * 17]),
        lambda fields: fields.update(ciphertexts=[b""]),
        lambda fields: fields.update(ciphertexts=[[1, 2]]),
        lambda fields: fields.update(ciphertexts=[[b"", b""]]),
        lambda fields: fields.update(ciphertexts=[[c[:-1] for c in fields["ciphertexts"][0]]]),
        lambda fields: fields.update(ciphertexts=[[b"\xff" * len(c) for c in fields["ciphertexts"][0]]]),
        lambda fields: fields.update(extra=1),
        lambda fields: fields.pop("scale"),
        lambda fields: fields.update(scale=b""),
    ],
)
def test_malformed_messages(
    small: Roles, upload: bytes, answer: bytes, change: Callable[[Fields], None]
) -> None:
    with pytest.raises(DecodeError):
        small.evaluate(changed(upload, change))
    with pytest.raises(DecodeError):
        small.decrypt(changed(answer, change))


def test_hostile_bytes(small: Roles, upload: bytes, answer: bytes) -> None:
    rng = np.random.default_rng(0)
    hostile = [b"", upload[:-1], upload + b"\0", upload[:1000], rng.bytes(1000), b"\xff" * 2_000_000]
    for data in hostile:
        with pytest.raises(DecodeError):
            small.evaluate(data)
        with pytest.raises(DecodeError):
            small.decrypt(data)
    with pytest.raises(DecodeError):
        small.decrypt(answer[:-1])


def test_flipped_bits_crash_nothing(small: Roles, answer: bytes) -> None:
    """Signatures and digests catch them before; here they give an error of ours or other features."""
    rng = np.random.default_rng(1)
    honest = small.decrypt(answer)
    places = [*rng.integers(0, 300, 40), *rng.integers(300, len(answer), 40)]
    for place in places:
        data = bytearray(answer)
        data[place] ^= 1 << int(rng.integers(8))
        try:
            found = small.decrypt(bytes(data))
        except (DecodeError, SubmissionRefused):
            continue
        assert not np.array_equal(found, honest)


def test_flipped_coefficient_bit_is_refused_by_the_cluster(small: Roles, upload: bytes) -> None:
    """One bit of one coefficient of a frame spoils all features."""
    data = bytearray(upload)
    data[200_000] ^= 1
    found = small.decrypt(small.evaluate(bytes(data)))
    with pytest.raises(SubmissionRefused):
        quantise(found, small.plan.feature_step, -4096, 4096)


def test_foreign_key_is_refused_by_the_cluster(small: Roles) -> None:
    _, foreign, _ = generate(small.plan)
    upload = encrypt_frame(small.plan, foreign, random_frame((1, 16, 16)))
    found = small.decrypt(small.evaluate(upload))
    assert np.isfinite(found).all()
    with pytest.raises(SubmissionRefused) as refusal:
        quantise(found, small.plan.feature_step, -4096, 4096)
    assert not any(character.isdigit() for character in str(refusal.value))
    assert any(character.isdigit() for character in refusal.value.details)


def test_other_parameters_are_refused(small: Roles, upload: bytes) -> None:
    other = plan(small_part(), 1 << 9)
    secret, public, _ = generate(other)
    theirs = encrypt_frame(other, public, random_frame((1, 16, 16)))
    with pytest.raises(SubmissionRefused, match="another encryption plan"):
        small.evaluate(theirs)
    with pytest.raises(SubmissionRefused, match="another encryption plan"):
        decrypt_features(other, secret, small.evaluate(upload))


def test_product_that_becomes_transparent_is_refused(small: Roles, upload: bytes) -> None:
    """SEAL's own exceptions stay inside, whatever a ciphertext was made for."""

    def fail(*_: object) -> NDArray[np.float64]:
        raise RuntimeError("result ciphertext is transparent")

    original = small.evaluator.features
    try:
        small.evaluator.features = fail  # type: ignore[method-assign, assignment]
        with pytest.raises(SubmissionRefused, match="cannot be evaluated"):
            small.evaluate(upload)
    finally:
        small.evaluator.features = original  # type: ignore[method-assign]
