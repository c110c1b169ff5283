"""A label that its tester opens after proving. It is the tester's own claim about its frame."""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.campaign.commitments import SALT_BYTES, label_commitment
from pvcnn.campaign.folder import LABELS
from pvcnn.campaign.registration import Registration
from pvcnn.encoding import decode, encode
from pvcnn.errors import VerificationError

FORMAT = "pvcnn-label-opening"
VERSION = 1


@dataclass(frozen=True)
class LabelOpening:
    """`label` is 0 (real) or 1 (fake); `salt` is the one of the registration's commitment."""

    salt: bytes
    label: int

    def to_bytes(self) -> bytes:
        return encode(FORMAT, VERSION, {"salt": self.salt, "label": self.label})

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelOpening:
        fields = decode(data, FORMAT, VERSION, LABELS.max_bytes)
        opening = cls(fields.octets("salt", SALT_BYTES), fields.integer("label", 0, 2))
        fields.finish()
        return opening

    def check(self, registration: Registration) -> None:
        """Raises VerificationError unless it opens the commitment that the tester registered."""
        if label_commitment(self.salt, registration.signer, self.label) != registration.label_commitment:
            raise VerificationError("a label is not the one that the tester committed to")
