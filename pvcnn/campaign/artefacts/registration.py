"""A tester's signed claim: these sealed frames, with these committed labels, are my submission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pvcnn.algebra.constants import G1_BYTES
from pvcnn.algebra.points import G1Point, decode_g1
from pvcnn.campaign.artefacts.signed import DIGEST_BYTES, SignedArtefact
from pvcnn.encoding import Fields
from pvcnn.errors import DecodeError, VerificationError

NONCE_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Registration(SignedArtefact):
    """`signer` is the tester's Ed25519 key.

    manifest_digest    the campaign that the submission is for
    upload_digest      SHA-256 of the blob that is sealed to the owner
    nonce              drawn afresh; with the key and the manifest it is the blob's `info`
    label_commitment   see `label_commitment` of `pvcnn.campaign.artefacts.commitments`; with a label key,
                       D_lab of docs/protocol.md, eq. (8), a point of G1
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

    def check_commitment(self, takes_labels: bool) -> None:
        """Raises VerificationError unless labels are committed to in the way that the campaign demands."""
        if len(self.label_commitment) != (G1_BYTES if takes_labels else DIGEST_BYTES):
            demanded = "a D_lab" if takes_labels else "labels to be opened"
            raise VerificationError(f"a registration does not commit to {demanded}, as this campaign demands")
        if takes_labels and decode_g1(self.label_commitment) == G1Point.identity():
            raise VerificationError("a registration commits to labels without hiding them")

    @classmethod
    def from_fields(cls, fields: Fields) -> dict[str, Any]:
        return {
            "manifest_digest": fields.octets("manifest_digest", DIGEST_BYTES),
            "upload_digest": fields.octets("upload_digest", DIGEST_BYTES),
            "nonce": fields.octets("nonce", NONCE_BYTES),
            "label_commitment": _take_commitment(fields),
        }


def _take_commitment(fields: Fields) -> bytes:
    commitment = fields.octets("label_commitment", max_length=G1_BYTES)
    if len(commitment) not in (DIGEST_BYTES, G1_BYTES):
        raise DecodeError(f"a commitment to labels has {DIGEST_BYTES} or {G1_BYTES} bytes")
    return commitment
