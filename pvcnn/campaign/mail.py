"""Sealed mail: HPKE (RFC 9180) with X25519, HKDF-SHA256 and ChaCha20-Poly1305.

Whoever holds the cluster's key could read every ciphertext it sees, so uploads are sealed to the
owner and answers to the cluster. `info` ties a blob to what it was made for: a blob that is copied
to another tester, campaign or submission does not open. HPKE's base mode says nothing of the
sender: that is what signatures over the blob's SHA-256 are for.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from pvcnn.algebra.transcript import digest
from pvcnn.campaign.signed import KEY_BYTES, file_digest
from pvcnn.errors import CampaignError, DecodeError, SubmissionRefused
from pvcnn.files import read_bounded, write_atomically

#: A ciphertext, or the public part's weights: nothing that is sealed is larger.
MAX_BLOB_BYTES = 256 << 20

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class SealingKey:
    """An X25519 secret key, to which mail is sealed."""

    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> SealingKey:
        return cls(X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, data: bytes) -> SealingKey:
        if len(data) != KEY_BYTES:
            raise DecodeError("an X25519 key has 32 bytes")
        return cls(X25519PrivateKey.from_private_bytes(data))

    def to_bytes(self) -> bytes:
        """The secret key."""
        return self._key.private_bytes_raw()

    def open(self, blob: bytes, info: bytes) -> bytes:
        """The plaintext. Raises SubmissionRefused if the blob is not for this key and this `info`."""
        try:
            return _SUITE.decrypt(blob, self._key, info=info)
        except (InvalidTag, ValueError) as error:
            raise SubmissionRefused("a sealed blob does not open") from error


def seal(public_key: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Seals to an X25519 public key. Raises DecodeError if that is no key one can seal to."""
    try:
        return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public_key), info=info)
    except ValueError as error:
        raise DecodeError("not an X25519 public key") from error


def upload_info(manifest_digest: bytes, tester_key: bytes, nonce: bytes) -> bytes:
    """What a tester's blob is for."""
    return digest("pvcnn/mail/upload", manifest_digest, tester_key, nonce)


def answer_info(manifest_digest: bytes, registry_digest: bytes, index: int) -> bytes:
    """What the owner's answer to submission `index` is for."""
    return digest("pvcnn/mail/answer", manifest_digest, registry_digest, index.to_bytes(8, "little"))


def upload_batch_purpose(manifest_digest: bytes, tester_key: bytes) -> bytes:
    """What a tester's batch of frames in slots is for."""
    return digest("pvcnn/mail/upload-batch", manifest_digest, tester_key)


def answer_batch_purpose(manifest_digest: bytes, registry_digest: bytes) -> bytes:
    """What the owner's answer to such a batch is for."""
    return digest("pvcnn/mail/answer-batch", manifest_digest, registry_digest)


def weights_info(manifest_digest: bytes) -> bytes:
    """What the blob with the public part's weights is for."""
    return digest("pvcnn/mail/weights", manifest_digest)


def labels_info(manifest_digest: bytes, tester_key: bytes, nonce: bytes) -> bytes:
    """What a tester's labels are for, which the cluster alone reads; as `upload_info`."""
    return digest("pvcnn/mail/labels", manifest_digest, tester_key, nonce)


def refusal_details_info(context: bytes) -> bytes:
    """What the sealed reason is for that the cluster keeps to itself (context: eq. (20))."""
    return digest("pvcnn/mail/refusal-details", context)


def post(box: Path, blob: bytes) -> bytes:
    """Puts a blob into a mail box under its SHA-256, which is returned."""
    name = file_digest(blob)
    write_atomically(box / f"{name.hex()}.sealed", blob)
    return name


def collect(box: Path, blob_digest: bytes) -> bytes:
    """The blob with this SHA-256. Raises CampaignError if it is not there as it was signed.

    That is a fault of delivery, to be repaired by delivering again, and nobody's refusal.
    """
    path = box / f"{blob_digest.hex()}.sealed"
    try:
        blob = read_bounded(path, MAX_BLOB_BYTES)
    except DecodeError as error:
        raise CampaignError(f"{path} is too large: deliver it again") from error
    if file_digest(blob) != blob_digest:
        raise CampaignError(f"{path} was changed on its way: deliver it again")
    return blob
