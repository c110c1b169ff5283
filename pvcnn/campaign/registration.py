"""A tester's signed claim: these sealed frames, with these committed labels, are my submission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pvcnn.campaign.signed import DIGEST_BYTES, SignedArtefact
from pvcnn.encoding import Fields

NONCE_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Registration(SignedArtefact):
    """`signer` is the tester's Ed25519 key.

    manifest_digest    the campaign that the submission is for
    upload_digest      SHA-256 of the blob that is sealed to the owner
    nonce              drawn afresh; with the key and the manifest it is the blob's `info`
    label_commitment   see `pvcnn.campaign.commitments.label_commitment`
    """

    FORMAT: ClassVar[str] = "pvcnn-registration"
    MAX_BYTES: ClassVar[int] = 1000

    manifest_digest: bytes
    upload_digest: bytes
    nonce: bytes
    label_commitment: bytes

    def fields(self) -> dict[str, Any]:
        return {
            "manifest_digest": self.manifest_digest,
            "upload_digest": self.upload_digest,
            "nonce": self.nonce,
            "label_commitment": self.label_commitment,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> dict[str, Any]:
        return {
            "manifest_digest": fields.octets("manifest_digest", DIGEST_BYTES),
            "upload_digest": fields.octets("upload_digest", DIGEST_BYTES),
            "nonce": fields.octets("nonce", NONCE_BYTES),
            "label_commitment": fields.octets("label_commitment", DIGEST_BYTES),
        }
