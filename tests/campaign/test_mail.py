"""Sealed mail opens for one key and one purpose, and identities stay secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pvcnn.campaign.artefacts import mail
from pvcnn.campaign.artefacts.identity import Identity, keep_secret
from pvcnn.campaign.artefacts.mail import (
    SealingKey,
    answer_info,
    collect,
    labels_info,
    post,
    refusal_details_info,
    seal,
    upload_info,
    weights_info,
)
from pvcnn.compute.key_delivery import Place
from pvcnn.errors import CampaignError, DecodeError, SubmissionRefused
from tests.campaign.hostile import damaged, flipped

KEY = SealingKey.generate()
INFO = upload_info(b"m" * 32, b"t" * 32, b"n" * 32)


def test_mail_opens_for_its_key_and_purpose_only() -> None:
    blob = seal(KEY.public, b"frame", INFO)
    assert KEY.open(blob, INFO) == b"frame"
    assert b"frame" not in blob
    assert seal(KEY.public, b"frame", INFO) != blob
    with pytest.raises(SubmissionRefused):
        SealingKey.generate().open(blob, INFO)
    for other in (
        upload_info(b"x" * 32, b"t" * 32, b"n" * 32),
        upload_info(b"m" * 32, b"x" * 32, b"n" * 32),
        upload_info(b"m" * 32, b"t" * 32, b"x" * 32),
        answer_info(b"m" * 32, b"t" * 32, 0),
        weights_info(b"m" * 32),
    ):
        with pytest.raises(SubmissionRefused):
            KEY.open(blob, other)


def test_answers_are_sealed_for_one_submission_of_one_registry() -> None:
    infos = {answer_info(m, r, i) for m in (b"m", b"n") for r in (b"r", b"s") for i in (0, 1)}
    assert len(infos) == 8


def test_every_input_changes_what_mail_is_for() -> None:
    """And nothing is for two purposes: every function that says what mail is for, with each input changed."""
    purposes: dict[Callable[..., bytes], tuple[Any, ...]] = {
        upload_info: (b"m" * 32, b"t" * 32, b"n" * 32),
        labels_info: (b"m" * 32, b"t" * 32, b"n" * 32),
        answer_info: (b"m" * 32, b"t" * 32, 7),
        weights_info: (b"m" * 32,),
        refusal_details_info: (b"m" * 32,),
        lambda manifest, registry, key: Place(manifest, registry).info(key): (
            b"m" * 32,
            b"t" * 32,
            b"n" * 32,
        ),
    }
    named = {name for name in vars(mail) if name.endswith("_info")}
    assert named == {purpose.__name__ for purpose in purposes} - {"<lambda>"}
    seen = []
    for purpose, inputs in purposes.items():
        seen.append(purpose(*inputs))
        for i, value in enumerate(inputs):
            others = [value ^ 1, value + 256] if isinstance(value, int) else [b"x" + value[1:], value + b"x"]
            seen += [purpose(*inputs[:i], other, *inputs[i + 1 :]) for other in others]
    seen.append(Place(b"m" * 32, b"t" * 32).info(b"l" * 32))
    assert len(set(seen)) == len(seen)


def test_damaged_mail_does_not_open() -> None:
    for bad in damaged(seal(KEY.public, b"frame", INFO)):
        with pytest.raises(SubmissionRefused):
            KEY.open(bad, INFO)


@pytest.mark.parametrize("key", [bytes(32), b"\1" + bytes(31), b"short"])
def test_one_cannot_seal_to_what_is_no_key(key: bytes) -> None:
    with pytest.raises(DecodeError):
        seal(key, b"frame", INFO)


def test_a_mail_box_gives_back_what_was_posted_or_nothing(tmp_path: Path) -> None:
    blob = seal(KEY.public, b"frame", INFO)
    name = post(tmp_path, blob)
    assert collect(tmp_path, name) == blob
    with pytest.raises(CampaignError, match="cannot read"):
        collect(tmp_path, b"x" * 32)
    (tmp_path / f"{name.hex()}.sealed").write_bytes(flipped(blob, 40))
    with pytest.raises(CampaignError, match="was changed"):
        collect(tmp_path, name)


def test_identities_are_kept_secret_and_drawn_once(tmp_path: Path) -> None:
    identity = Identity.create_in(tmp_path)
    assert (tmp_path / "identity.cbor").stat().st_mode & 0o777 == 0o600
    again = Identity.load_from(tmp_path, "keygen")
    assert again.to_bytes() == identity.to_bytes()
    with pytest.raises(CampaignError, match="runs once"):
        Identity.create_in(tmp_path)
    with pytest.raises(CampaignError, match=r"written by `pvcnn keygen`"):
        Identity.load_from(tmp_path / "nobody", "keygen")
    with pytest.raises(CampaignError, match="runs once"):
        keep_secret(tmp_path / "identity.cbor", b"other")


def test_decoding_an_identity_refuses_hostile_bytes() -> None:
    data = Identity.generate().to_bytes()
    Identity.from_bytes(data)
    for bad in (b"", data[:-1], data + b"\0", flipped(data, 0), b"\xff" * 100):
        with pytest.raises(DecodeError):
            Identity.from_bytes(bad)
