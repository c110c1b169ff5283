"""The labels of a submission, which its tester opens after proving: its own claim about its frames."""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.campaign.artefacts.commitments import SALT_BYTES, label_commitment
from pvcnn.campaign.artefacts.folder import LABELS
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError, VerificationError
from pvcnn.qmp.keys import MAX_FRAMES
from pvcnn.qmp.labels import MAX_CLASSES

FORMAT = "pvcnn-label-opening"
VERSION = 1


@dataclass(frozen=True)
class LabelOpening:
    """`labels`: of each frame a class, from 0; `salt` is the one of the registration's commitment."""

    salt: bytes
    labels: tuple[int, ...]

    def to_bytes(self) -> bytes:
        return encode(FORMAT, VERSION, {"salt": self.salt, "labels": list(self.labels)})

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelOpening:
        fields = decode(data, FORMAT, VERSION, LABELS.max_bytes)
        salt = fields.octets("salt", SALT_BYTES)
        labels = fields.integer_sequence("labels", MAX_FRAMES, 0, MAX_CLASSES)
        fields.finish()
        if not labels:
            raise DecodeError(f"{FORMAT}: there is no label")
        return cls(salt, tuple(labels))

    def check(self, registration: Registration, frames: int, classes: int) -> None:
        """Raises VerificationError unless it opens the tester's commitment, and to a class for each frame."""
        if label_commitment(self.salt, registration.signer, self.labels) != registration.label_commitment:
            raise VerificationError("labels are not those that the tester committed to")
        if len(self.labels) != frames:
            raise VerificationError(f"a tester committed to {len(self.labels)} labels for {frames} frames")
        if max(self.labels) >= classes:
            raise VerificationError(f"a tester committed to label {max(self.labels)}, of {classes} classes")
