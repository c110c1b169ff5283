"""Ed25519 signatures, and artefacts that carry one (docs/formats.md, section "Signed artefacts").

A signed artefact is an envelope of key, body and signature. The signature covers
H("pvcnn/signature", key, body); the body names its own format and version, so a signature on one
kind of artefact is never one on another kind.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pvcnn.algebra.transcript import digest
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import CampaignError, DecodeError, VerificationError
from pvcnn.files import digest_of

KEY_BYTES = 32
SIGNATURE_BYTES = 64
DIGEST_BYTES = 32

FORMAT = "pvcnn-signed"
VERSION = 1
_ENVELOPE_BYTES = 256

_FIELD = 2**255 - 19
_ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022
#: y of the points of order 1, 2, 4 and 8: under such a key one signature fits many messages.
_SMALL_ORDER_Y = {1, _FIELD - 1, 0, _ORDER_8_Y, _FIELD - _ORDER_8_Y}


def file_digest(data: bytes) -> bytes:
    """SHA-256 of a file as it lies there: what `sha256sum` prints."""
    return hashlib.sha256(data).digest()


def digest_of_file(path: Path, step: str) -> bytes:
    """SHA-256 of a file too large to hold. Raises CampaignError, naming `step`, if it is missing."""
    try:
        return digest_of(path)
    except CampaignError as error:
        raise CampaignError(f"{error}: `pvcnn {step}` writes it") from error


def fingerprint(key: bytes) -> str:
    """How people compare keys: SHA-256, 64 hexadecimal digits."""
    return file_digest(key).hex()


def check_key(key: bytes) -> None:
    """Raises DecodeError unless `key` canonically encodes a y that is not of small order."""
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    if len(key) != KEY_BYTES or y >= _FIELD or y in _SMALL_ORDER_Y:
        raise DecodeError("not an Ed25519 public key")


class SigningKey:
    """An Ed25519 secret key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, data: bytes) -> SigningKey:
        """The key of a 32-byte seed."""
        if len(data) != KEY_BYTES:
            raise DecodeError("an Ed25519 seed has 32 bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(data))

    def to_bytes(self) -> bytes:
        """The secret seed."""
        return self._key.private_bytes_raw()

    def sign(self, body: bytes) -> bytes:
        """The signature of an artefact's body under this key."""
        return self._key.sign(digest("pvcnn/signature", self.public, body))


def check_signature(key: bytes, body: bytes, signature: bytes) -> None:
    """Raises VerificationError unless `signature` is that of `body` under `key`."""
    check_key(key)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, digest("pvcnn/signature", key, body))
    except (InvalidSignature, ValueError) as error:
        raise VerificationError("a signature does not verify") from error


@dataclass(frozen=True, kw_only=True)
class SignedArtefact:
    """Base of the artefacts that a role signs. `signer` is its public key."""

    signer: bytes
    signature: bytes = b""

    FORMAT: ClassVar[str]
    MAX_BYTES: ClassVar[int]

    def fields(self) -> dict[str, Any]:
        """What the body holds, except format and version."""
        raise NotImplementedError

    @classmethod
    def from_fields(cls, fields: Fields) -> dict[str, Any]:
        """The constructor's arguments, except signer and signature. Raises DecodeError."""
        raise NotImplementedError

    def body(self) -> bytes:
        return encode(self.FORMAT, VERSION, self.fields())

    def signed(self, key: SigningKey) -> Self:
        """The same artefact with its signature. Raises ValueError if `key` is not the signer's."""
        if key.public != self.signer:
            raise ValueError("another key would sign than the one that is named")
        return replace(self, signature=key.sign(self.body()))

    def to_bytes(self) -> bytes:
        return encode(FORMAT, VERSION, {"key": self.signer, "body": self.body(), "signature": self.signature})

    def digest(self) -> bytes:
        """SHA-256 of the artefact as it lies in its file, signature included."""
        return self._digest

    @cached_property
    def _digest(self) -> bytes:
        return file_digest(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decodes and checks the signature: DecodeError, VerificationError.

        Whose key it is stays the caller's question: anyone can sign anything with a key of his own.
        """
        envelope = decode(data, FORMAT, VERSION, cls.MAX_BYTES)
        key = envelope.octets("key", KEY_BYTES)
        body = envelope.octets("body", max_length=cls.MAX_BYTES - _ENVELOPE_BYTES)
        signature = envelope.octets("signature", SIGNATURE_BYTES)
        envelope.finish()
        check_signature(key, body, signature)
        fields = decode(body, cls.FORMAT, VERSION, cls.MAX_BYTES)
        arguments = cls.from_fields(fields)
        fields.finish()
        return cls(**arguments, signer=key, signature=signature)


def printable(fields: Fields, name: str, max_length: int) -> str:
    """A field that will be printed on someone's terminal: one line, no control characters."""
    text = fields.text(name, max_length)
    if not text.isprintable():
        raise DecodeError(f"field {name!r} holds characters that cannot be printed")
    return text
