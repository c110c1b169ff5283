"""What owner and cluster show an auditor, and nobody else: openings of what they committed to.

An opening is as secret as what it opens, which is more than the submissions that it is about. The owner's
opens its whole private part, and with its sealing key every upload, which is encrypted under the cluster's
key all the same. The cluster's decrypts every ciphertext under its key: features of the whole campaign, and
frames for whoever has the uploads. So whoever has both reads all frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pvcnn.algebra.constants import SCALAR_BYTES, SCALAR_MODULUS
from pvcnn.campaign.artefacts.commitments import SALT_BYTES, private_commitment
from pvcnn.campaign.artefacts.folder import MAX_SUBMISSIONS
from pvcnn.campaign.artefacts.mail import SealingKey
from pvcnn.campaign.artefacts.signed import DIGEST_BYTES, KEY_BYTES
from pvcnn.campaign.audit.choice import MAX_BEACON_BYTES, AuditChoice
from pvcnn.campaign.audit.software import Software
from pvcnn.campaign.roles.cluster_secrets import MAX_SECRET_KEY
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError, VerificationError
from pvcnn.program.private import MAX_BYTES as MAX_PRIVATE_PART
from pvcnn.program.private import PrivatePart

VERSION = 1
_VALUE_BYTES = 32
_ENVELOPE_BYTES = 4096 + 64 * MAX_SUBMISSIONS


@dataclass(frozen=True, kw_only=True, repr=False)
class AuditOpening:
    """What both roles' openings have in common.

    manifest_digest, record_digest, beacon   the campaign, its record and the beacon that the opening is for
    software                                 with which its role made sure that it opens what it should
    sealing_key                              X25519 secret key of the role, in whose mail the answers start
    values                                   for each submission that the beacon chose, its 32-byte secret
    """

    FORMAT: ClassVar[str]
    MAX_BYTES: ClassVar[int]
    ROLE: ClassVar[str]

    manifest_digest: bytes
    record_digest: bytes
    beacon: bytes
    software: Software
    sealing_key: bytes
    values: dict[int, bytes]

    def check(self, choice: AuditChoice) -> None:
        """Raises VerificationError unless the opening is for just these submissions of this campaign."""
        if self.manifest_digest != choice.proceedings.manifest.digest():
            raise VerificationError("the opening is for another campaign")
        if self.record_digest != choice.record.digest:
            raise VerificationError(
                "the opening is for another record: an answer or an outcome was changed, or added"
            )
        if self.beacon != choice.beacon:
            raise VerificationError("the opening is for another beacon")
        if tuple(self.values) != choice.indices:
            raise VerificationError("the opening is not for the submissions that the beacon chooses")

    def open_mail(self, public_key: bytes) -> SealingKey:
        """Raises VerificationError unless the sealing key is the secret of `public_key`."""
        key = SealingKey.from_bytes(self.sealing_key)
        if key.public != public_key:
            raise VerificationError(f"the opening holds another sealing key than the {self.ROLE} published")
        return key

    def own_fields(self) -> dict[str, Any]:
        """What the role's opening holds besides."""
        raise NotImplementedError

    @classmethod
    def take_own(cls, fields: Fields) -> dict[str, Any]:
        """The constructor's arguments for them. Raises DecodeError."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Secret."""
        shared = {
            "manifest_digest": self.manifest_digest,
            "record_digest": self.record_digest,
            "beacon": self.beacon,
            "software": self.software.to_fields(),
            "sealing_key": self.sealing_key,
            "indices": list(self.values),
            "values": list(self.values.values()),
        }
        return encode(self.FORMAT, VERSION, shared | self.own_fields())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        fields = decode(data, cls.FORMAT, VERSION, cls.MAX_BYTES)
        indices = fields.integer_sequence("indices", MAX_SUBMISSIONS, 0, MAX_SUBMISSIONS)
        values = fields.octets_sequence("values", MAX_SUBMISSIONS, _VALUE_BYTES)
        if indices != sorted(set(indices)) or len(indices) != len(values) or not indices:
            raise DecodeError(f"{cls.FORMAT}: a value for each of ascending indices is expected")
        shared: dict[str, Any] = {
            "manifest_digest": fields.octets("manifest_digest", DIGEST_BYTES),
            "record_digest": fields.octets("record_digest", DIGEST_BYTES),
            "beacon": fields.octets("beacon", max_length=MAX_BEACON_BYTES),
            "software": Software.from_fields(fields.mapping("software")),
            "sealing_key": fields.octets("sealing_key", KEY_BYTES),
            "values": dict(zip(indices, values, strict=True)),
        }
        own = cls.take_own(fields)
        fields.finish()
        return cls(**shared, **own)


@dataclass(frozen=True, kw_only=True, repr=False)
class OwnerOpening(AuditOpening):
    """The owner's; values: the seeds of its answers (docs/protocol.md, eq. (26)).

    salt           opens the private commitment (eq. (21)), together with
    private_part   the encoded private part
    """

    FORMAT = "pvcnn-owner-audit-opening"
    MAX_BYTES = MAX_PRIVATE_PART + _ENVELOPE_BYTES
    ROLE = "owner"

    salt: bytes
    private_part: bytes

    def open_private_part(self, commitment: bytes) -> PrivatePart:
        """Raises VerificationError unless it is the private part of this commitment."""
        if private_commitment(self.salt, self.private_part) != commitment:
            raise VerificationError("the opening is not of the private part that the owner committed to")
        return PrivatePart.from_bytes(self.private_part)

    def own_fields(self) -> dict[str, Any]:
        return {"salt": self.salt, "private_part": self.private_part}

    @classmethod
    def take_own(cls, fields: Fields) -> dict[str, Any]:
        return {
            "salt": fields.octets("salt", SALT_BYTES),
            "private_part": fields.octets("private_part", max_length=MAX_PRIVATE_PART),
        }


@dataclass(frozen=True, kw_only=True, repr=False)
class ClusterOpening(AuditOpening):
    """The cluster's; values: nu_in of its statements, little-endian (docs/protocol.md, eq. (28)).

    decryption_key   a `pvcnn-encryption-secret-key`: reads all that is encrypted in the campaign
    """

    FORMAT = "pvcnn-cluster-audit-opening"
    MAX_BYTES = MAX_SECRET_KEY + _ENVELOPE_BYTES
    ROLE = "cluster"

    decryption_key: bytes

    def blinding(self, index: int) -> int:
        return int.from_bytes(self.values[index], "little")

    def own_fields(self) -> dict[str, Any]:
        return {"decryption_key": self.decryption_key}

    @classmethod
    def take_own(cls, fields: Fields) -> dict[str, Any]:
        return {"decryption_key": fields.octets("decryption_key", max_length=MAX_SECRET_KEY)}

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        opening = super().from_bytes(data)
        if any(opening.blinding(index) >= SCALAR_MODULUS for index in opening.values):
            raise DecodeError(f"{cls.FORMAT}: a blinding is not below the group's order")
        return opening


def encoded_blinding(blinding: int) -> bytes:
    return blinding.to_bytes(SCALAR_BYTES, "little")
