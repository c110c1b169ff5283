"""The manifest: what a campaign is about, signed by the owner.

Every other public file is tied to it: its digest is in the manifest, or a signature by a key that
is, or the aggregate's proof.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pvcnn.algebra.constants import G1_BYTES
from pvcnn.campaign.folder import MANIFEST
from pvcnn.campaign.signed import DIGEST_BYTES, KEY_BYTES, SignedArtefact, printable
from pvcnn.encoding import Fields
from pvcnn.errors import DecodeError

CAMPAIGN_BYTES = 32
MAX_SETUP_PARTY = 64

_DIGESTS = (
    "private_commitment",
    "program_digest",
    "verification_key_digest",
    "aggregation_verifier_key_digest",
    "cluster_card_digest",
    "encryption_plan_digest",
    "proving_key_digest",
    "aggregation_key_digest",
)


def check_setup_party(name: str) -> None:
    """Raises ValueError unless `name` is one printable line and not the cluster, which may not do it."""
    if not 0 < len(name) <= MAX_SETUP_PARTY or not name.isprintable():
        raise ValueError(f"the setup party needs a printable name of at most {MAX_SETUP_PARTY} characters")
    if name == "cluster":
        raise ValueError("the cluster must not run the setup: it could then forge its own proofs")


@dataclass(frozen=True, kw_only=True)
class Manifest(SignedArtefact):
    """`signer` is the owner's Ed25519 key. Digests are SHA-256 of files as they lie there.

    campaign             32 random bytes
    owner_sealing_key    X25519, to which testers seal their uploads
    setup_party          who made the keys and could forge everything
    frames               frames in one submission, which share one proof
    weights_commitment   D_w, eq. (8): also inside the verification key
    private_commitment   eq. (21)
    """

    FORMAT: ClassVar[str] = "pvcnn-manifest"
    MAX_BYTES: ClassVar[int] = MANIFEST.max_bytes

    campaign: bytes
    owner_sealing_key: bytes
    setup_party: str
    frames: int
    weights_commitment: bytes
    private_commitment: bytes
    program_digest: bytes
    verification_key_digest: bytes
    aggregation_verifier_key_digest: bytes
    cluster_card_digest: bytes
    encryption_plan_digest: bytes
    proving_key_digest: bytes
    aggregation_key_digest: bytes

    def shares_setup_with(self, other: Manifest) -> bool:
        """Whether both name the same owner, keys, program and commitments: all but the campaign's name."""
        return replace(self, campaign=other.campaign, signature=other.signature) == other

    def fields(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign,
            "owner_sealing_key": self.owner_sealing_key,
            "setup_party": self.setup_party,
            "frames": self.frames,
            "weights_commitment": self.weights_commitment,
            **{name: getattr(self, name) for name in _DIGESTS},
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "campaign": fields.octets("campaign", CAMPAIGN_BYTES),
            "owner_sealing_key": fields.octets("owner_sealing_key", KEY_BYTES),
            "setup_party": printable(fields, "setup_party", MAX_SETUP_PARTY),
            "frames": fields.integer("frames", 1, 1 << 16),
            "weights_commitment": fields.octets("weights_commitment", G1_BYTES),
            **{name: fields.octets(name, DIGEST_BYTES) for name in _DIGESTS},
        }
        try:
            check_setup_party(arguments["setup_party"])
        except ValueError as error:
            raise DecodeError(f"{cls.FORMAT}: {error}") from error
        return arguments
