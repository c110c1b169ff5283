"""What the owner keeps from `split` on: the private part, all weights, and the commitment's salt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pvcnn.campaign.artefacts.commitments import SALT_BYTES, private_commitment
from pvcnn.campaign.artefacts.folder import read_from_step
from pvcnn.campaign.artefacts.identity import keep_secret
from pvcnn.campaign.artefacts.manifest import CAMPAIGN_BYTES, decode_scale, encode_scale
from pvcnn.encoding import decode, encode
from pvcnn.program.private import MAX_BYTES as MAX_PRIVATE_PART
from pvcnn.program.private import PrivatePart
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import Weights

FORMAT = "pvcnn-owner-opening"
VERSION = 1
MAX_WEIGHTS = 1 << 30
_PRIVATE_PART_NAME = "private_part.cbor"


@dataclass(frozen=True, repr=False)
class OwnerSecrets:
    """campaign: 32 random bytes, public later, and so is logit_scale. salt: opens eq. (21)."""

    campaign: bytes
    salt: bytes
    private: PrivatePart
    public: PublicPart
    logit_scale: float | None = None

    @property
    def commitment(self) -> bytes:
        """The commitment to the private part (docs/protocol.md, eq. (21))."""
        return private_commitment(self.salt, self.private.to_bytes())

    def keep_in(self, directory: Path) -> None:
        """Writes three files, mode 0600. Raises CampaignError if they are there already."""
        scale = encode_scale(self.logit_scale)
        fields = {
            "campaign": self.campaign,
            "salt": self.salt,
            "logit_scale": scale,
            "published": self.public.published,
        }
        keep_secret(directory / "opening.cbor", encode(FORMAT, VERSION, fields))
        keep_secret(directory / _PRIVATE_PART_NAME, self.private.to_bytes())
        keep_secret(directory / "weights.cbor", self.public.weights.to_bytes())

    @classmethod
    def load_from(cls, directory: Path, program: Program) -> OwnerSecrets:
        """Raises CampaignError if `split` has not run."""
        fields = decode(read_from_step(directory / "opening.cbor", 1024, "split"), FORMAT, VERSION, 1024)
        campaign = fields.octets("campaign", CAMPAIGN_BYTES)
        salt = fields.octets("salt", SALT_BYTES)
        logit_scale = decode_scale(fields)
        published = fields.boolean("published")
        fields.finish()
        weights = read_from_step(directory / "weights.cbor", MAX_WEIGHTS, "split")
        public = PublicPart(program, Weights.from_bytes(program, weights), published)
        return cls(campaign, salt, load_private_part(directory), public, logit_scale)


def load_private_part(directory: Path) -> PrivatePart:
    """All that an evaluating worker needs of these. Raises CampaignError if `split` has not run."""
    return PrivatePart.from_bytes(read_from_step(directory / _PRIVATE_PART_NAME, MAX_PRIVATE_PART, "split"))
