"""Every absorbed item, its label and its order reach every later challenge."""

from __future__ import annotations

from typing import Any

import pytest

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.transcript import Transcript, digest
from tests.aggregate import standalone


def challenge(domain: str, *items: tuple[str, bytes], label: str = "x") -> int:
    transcript = Transcript(domain)
    for item in items:
        transcript.absorb(*item)
    return transcript.challenge(label)


def test_challenge_depends_on_everything() -> None:
    values = [
        challenge("d", ("a", b"1"), ("b", b"2")),
        challenge("e", ("a", b"1"), ("b", b"2")),
        challenge("d", ("a", b"1"), ("b", b"3")),
        challenge("d", ("a", b"1"), ("c", b"2")),
        challenge("d", ("b", b"2"), ("a", b"1")),
        challenge("d", ("a", b"1")),
        challenge("d", ("a", b"1b"), ("", b"2")),
        challenge("d", ("a", b"1"), ("b", b"2"), label="y"),
    ]
    assert len(set(values)) == len(values)
    assert all(1 < value < SCALAR_MODULUS for value in values)


def test_successive_challenges_differ_and_chain() -> None:
    transcript = Transcript("d")
    assert transcript.challenge("x") != transcript.challenge("x")


def test_known_value() -> None:
    """Fixes the format for other implementations (docs/protocol.md, section "Transcript")."""
    import hashlib

    def item(label: bytes, data: bytes) -> bytes:
        return len(label).to_bytes(8, "little") + label + len(data).to_bytes(8, "little") + data

    text = item(b"domain", b"d") + item(b"a", b"1") + item(b"challenge", b"x")
    expected = int.from_bytes(hashlib.sha512(text).digest(), "little") % SCALAR_MODULUS
    assert challenge("d", ("a", b"1")) == expected


def test_digest_is_injective_on_items() -> None:
    assert digest("d", b"ab", b"c") != digest("d", b"a", b"bc") != digest("d", b"abc")


class Rigged:
    """In the place of SHA-512: its digests, as integers, are 0, 1, r, r + 1 and then 7."""

    def __init__(self) -> None:
        self.left = [0, 1, SCALAR_MODULUS, SCALAR_MODULUS + 1, 7]

    def update(self, data: bytes) -> None:
        pass

    def digest(self) -> bytes:
        return self.left.pop(0).to_bytes(64, "little")


@pytest.mark.parametrize("which", ["the package's", "the second verifier's"])
def test_no_challenge_is_0_or_1(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Powers of such a challenge would tell no two proofs apart."""
    made: Any
    if which == "the package's":
        monkeypatch.setattr("hashlib.sha512", Rigged)
        made = Transcript("d")
    else:
        primitives = standalone.load_part("primitives")
        monkeypatch.setattr(primitives, "sha512", Rigged)
        made = primitives.Transcript("d")
    assert made.challenge("x") == 7
