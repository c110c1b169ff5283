"""The cluster's card: the public keys of the compute cluster, signed by itself.

Testers encrypt under the card's encryption key only after comparing the card's fingerprint with one
that they got out of band: otherwise the owner could put a key of its own there and read frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pvcnn.campaign.artefacts.folder import CLUSTER_CARD
from pvcnn.campaign.artefacts.signed import DIGEST_BYTES, KEY_BYTES, SignedArtefact
from pvcnn.encoding import Fields
from pvcnn.errors import VerificationError

MAX_ENCRYPTION_KEY = CLUSTER_CARD.max_bytes - 4096


@dataclass(frozen=True, kw_only=True)
class ClusterCard(SignedArtefact):
    """`signer` is the cluster's Ed25519 key.

    sealing_key              X25519, to which the owner seals answers and weights
    encryption_key           the CKKS public key, encoded as pvcnn.he.keys.PublicKey
    encryption_plan_digest   SHA-256 of the plan under which all encryption keys were made
    evaluation_keys_digest   SHA-256 of the relinearisation and rotation keys in DIR/keys
    """

    FORMAT: ClassVar[str] = "pvcnn-cluster-card"
    MAX_BYTES: ClassVar[int] = CLUSTER_CARD.max_bytes

    sealing_key: bytes
    encryption_key: bytes
    encryption_plan_digest: bytes
    evaluation_keys_digest: bytes

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits, to be compared out of band: SHA-256 of the file."""
        return self.digest().hex()

    def check_fingerprint(self, expected: str) -> None:
        """Raises VerificationError unless it is `expected`, 64 hexadecimal digits from out of band."""
        if self.fingerprint != expected.strip().lower():
            raise VerificationError(
                "the cluster's card has another fingerprint than the one given: whoever made it could read "
                "what is meant for the cluster"
            )

    def fields(self) -> dict[str, Any]:
        return {
            "sealing_key": self.sealing_key,
            "encryption_key": self.encryption_key,
            "encryption_plan_digest": self.encryption_plan_digest,
            "evaluation_keys_digest": self.evaluation_keys_digest,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> dict[str, Any]:
        return {
            "sealing_key": fields.octets("sealing_key", KEY_BYTES),
            "encryption_key": fields.octets("encryption_key", max_length=MAX_ENCRYPTION_KEY),
            "encryption_plan_digest": fields.octets("encryption_plan_digest", DIGEST_BYTES),
            "evaluation_keys_digest": fields.octets("evaluation_keys_digest", DIGEST_BYTES),
        }
