"""A registered submission as everyone after the owner sees it, and its context."""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.campaign.artefacts.answer import Answer
from pvcnn.campaign.artefacts.context import submission_context
from pvcnn.campaign.artefacts.folder import ANSWERS, MANIFEST, REGISTRY, PublicFolder
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.errors import VerificationError


@dataclass(frozen=True)
class Submission:
    """What tester and owner signed about one place in the registry."""

    index: int
    registration: Registration
    answer: Answer
    context: bytes


@dataclass(frozen=True)
class Proceedings:
    """The manifest and the closed registry of a campaign, checked against each other."""

    manifest: Manifest
    registry: Registry

    @classmethod
    def read(cls, folder: PublicFolder) -> Proceedings:
        """Checks every signature on the way.

        Raises CampaignError for a missing file, DecodeError and VerificationError.
        """
        manifest = Manifest.from_bytes(folder.read(MANIFEST))
        registry = Registry.from_bytes(folder.read(REGISTRY))
        if registry.signer != manifest.signer:
            raise VerificationError("the registry is not signed by the owner")
        if registry.manifest_digest != manifest.digest():
            raise VerificationError("the registry is that of another manifest")
        for registration in registry.registrations:
            registration.check_commitment(manifest.takes_labels)
        return cls(manifest, registry)

    def submission(self, folder: PublicFolder, index: int) -> Submission:
        """Raises as `read` does, and ValueError if `index` is not in the registry."""
        if not 0 <= index < len(self.registry.registrations):
            raise ValueError(f"there is no submission {index} in the registry")
        answer = Answer.from_bytes(folder.read_indexed(ANSWERS, index))
        if answer.signer != self.manifest.signer:
            raise VerificationError(f"answer {index} is not signed by the owner")
        place = (self.manifest.digest(), self.registry.digest(), index)
        if (answer.manifest_digest, answer.registry_digest, answer.index) != place:
            raise VerificationError(f"answer {index} is for another submission, registry or manifest")
        registration = self.registry.registrations[index]
        context = submission_context(
            self.manifest.campaign,
            self.manifest.digest(),
            self.registry.digest(),
            index,
            registration.signer,
            registration.upload_digest,
            answer.answer_digest,
            answer.features_digest,
            self.manifest.frames,
        )
        return Submission(index, registration, answer, context)
