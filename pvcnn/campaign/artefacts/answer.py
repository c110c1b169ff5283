"""What became of a submission: the owner's answer or refusal, and the cluster's refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pvcnn.campaign.artefacts.folder import ANSWERS, MAX_SUBMISSIONS, REFUSALS
from pvcnn.campaign.artefacts.signed import DIGEST_BYTES, SignedArtefact, printable
from pvcnn.encoding import Fields
from pvcnn.errors import DecodeError

MAX_REASON = 200


def published_reason(reason: str) -> str:
    """A reason as a signed refusal gives it: one line that fits."""
    return "".join(c if c.isprintable() else "?" for c in reason)[:MAX_REASON]


@dataclass(frozen=True, kw_only=True)
class Answer(SignedArtefact):
    """`signer` is the owner. It has either both digests or a reason.

    answer_digest     SHA-256 of the answer, which is sealed to the cluster
    features_digest   SHA-256 of what it holds: the encrypted features as the cluster opens them
    reason            why the owner refuses to answer
    """

    FORMAT: ClassVar[str] = "pvcnn-answer"
    MAX_BYTES: ClassVar[int] = ANSWERS.max_bytes

    manifest_digest: bytes
    registry_digest: bytes
    index: int
    answer_digest: bytes = b""
    features_digest: bytes = b""
    reason: str = ""

    @property
    def refused(self) -> bool:
        return bool(self.reason)

    def fields(self) -> dict[str, Any]:
        return {
            "manifest_digest": self.manifest_digest,
            "registry_digest": self.registry_digest,
            "index": self.index,
            "answer_digest": self.answer_digest,
            "features_digest": self.features_digest,
            "reason": self.reason,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "manifest_digest": fields.octets("manifest_digest", DIGEST_BYTES),
            "registry_digest": fields.octets("registry_digest", DIGEST_BYTES),
            "index": fields.integer("index", 0, MAX_SUBMISSIONS),
            "answer_digest": fields.octets("answer_digest", max_length=DIGEST_BYTES),
            "features_digest": fields.octets("features_digest", max_length=DIGEST_BYTES),
            "reason": printable(fields, "reason", MAX_REASON),
        }
        lengths = tuple(len(arguments[name]) for name in ("answer_digest", "features_digest"))
        if (*lengths, bool(arguments["reason"])) not in ((DIGEST_BYTES, DIGEST_BYTES, False), (0, 0, True)):
            raise DecodeError(f"{cls.FORMAT}: either an answer's digests or a reason")
        return arguments


@dataclass(frozen=True, kw_only=True)
class ClusterRefusal(SignedArtefact):
    """`signer` is the cluster: the answer with this context (eq. (20)) could not be proved.

    It gives no reason: whether decrypted values were nonsense or just out of range would tell the
    owner something about a frame. Details stay in the cluster's own log.
    """

    FORMAT: ClassVar[str] = "pvcnn-cluster-refusal"
    MAX_BYTES: ClassVar[int] = REFUSALS.max_bytes

    context: bytes

    def fields(self) -> dict[str, Any]:
        return {"context": self.context}

    @classmethod
    def from_fields(cls, fields: Fields) -> dict[str, Any]:
        return {"context": fields.octets("context", DIGEST_BYTES)}
