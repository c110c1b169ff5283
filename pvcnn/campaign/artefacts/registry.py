"""The registry: every submission of a campaign, closed and signed by the owner before it evaluates any.

Its digest is in every context (docs/protocol.md, eq. (20)), so once answers are out nobody can drop
or replace a submission, and proofs for one registry are worth nothing under another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pvcnn.campaign.artefacts.folder import MAX_SUBMISSIONS, REGISTRY
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.campaign.artefacts.signed import DIGEST_BYTES, SignedArtefact, SigningKey
from pvcnn.encoding import Fields
from pvcnn.errors import DecodeError, VerificationError


@dataclass(frozen=True, kw_only=True)
class Registry(SignedArtefact):
    """`signer` is the owner's key; a submission's index is its place in `registrations`.

    Registrations stand in strictly ascending order of their upload digests: so no upload occurs
    twice, the owner has no say in the order, and one set of submissions has one registry.
    """

    FORMAT: ClassVar[str] = "pvcnn-registry"
    MAX_BYTES: ClassVar[int] = REGISTRY.max_bytes

    manifest_digest: bytes
    registrations: tuple[Registration, ...]

    @classmethod
    def close(cls, key: SigningKey, manifest_digest: bytes, registrations: Iterable[Registration]) -> Self:
        """Orders and signs. Raises VerificationError for duplicates and foreign registrations."""
        ordered = sorted(registrations, key=lambda registration: registration.upload_digest)
        registry = cls(signer=key.public, manifest_digest=manifest_digest, registrations=tuple(ordered))
        registry.check()
        return registry.signed(key)

    def check(self) -> None:
        """Raises VerificationError unless the registrations are for this campaign, ordered and distinct."""
        if any(each.manifest_digest != self.manifest_digest for each in self.registrations):
            raise VerificationError("a registration is for another campaign or manifest")
        uploads = [each.upload_digest for each in self.registrations]
        if len(set(uploads)) != len(uploads):
            raise VerificationError("an upload is registered twice")
        if uploads != sorted(uploads):
            raise VerificationError("the registry is not in the order of upload digests")

    def fields(self) -> dict[str, Any]:
        return {
            "manifest_digest": self.manifest_digest,
            "registrations": [each.to_bytes() for each in self.registrations],
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> dict[str, Any]:
        manifest_digest = fields.octets("manifest_digest", DIGEST_BYTES)
        items = fields.sequence("registrations", MAX_SUBMISSIONS)
        if not all(isinstance(item, bytes) for item in items):
            raise DecodeError(f"{cls.FORMAT}: registrations are byte strings")
        return {
            "manifest_digest": manifest_digest,
            "registrations": tuple(Registration.from_bytes(item) for item in items),
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Checks the owner's signature, every tester's signature, order and duplicates."""
        registry = super().from_bytes(data)
        registry.check()
        return registry
