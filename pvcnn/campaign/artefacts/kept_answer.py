"""What the owner keeps of an answer: the signed answer together with what it names, in one file.

One file, so that there is never the one without the other, whatever interrupts the owner: either nothing
was kept and nothing was published, or all of it can be published again.
"""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.campaign.artefacts.answer import Answer
from pvcnn.campaign.artefacts.folder import ANSWERS
from pvcnn.campaign.artefacts.mail import MAX_BLOB_BYTES
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError

FORMAT = "pvcnn-kept-answer"
VERSION = 1
MAX_BYTES = MAX_BLOB_BYTES + ANSWERS.max_bytes + (1 << 10)


@dataclass(frozen=True)
class KeptAnswer:
    """`sealed`: encrypted features, sealed to the cluster; empty for a refusal."""

    answer: Answer
    sealed: bytes

    def to_bytes(self) -> bytes:
        return encode(FORMAT, VERSION, {"answer": self.answer.to_bytes(), "sealed": self.sealed})

    @classmethod
    def from_bytes(cls, data: bytes) -> KeptAnswer:
        """Raises DecodeError, also if the answer names something else, and VerificationError."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        answer = Answer.from_bytes(fields.octets("answer", max_length=ANSWERS.max_bytes))
        sealed = fields.octets("sealed", max_length=MAX_BLOB_BYTES)
        fields.finish()
        if answer.answer_digest != (file_digest(sealed) if sealed else b""):
            raise DecodeError(f"{FORMAT}: the answer names other sealed bytes")
        return cls(answer, sealed)
