"""The owner's ledger: which registry it closed, and the one answer to each of its submissions.

Others can write to the campaign folder, so the owner answers only under the registry that it closed
itself. Each submission is answered once. An answer is kept, whole, before anything of it is published, and
of several that were made, by processes beside each other or after an interruption, the first that was
kept is the one that is signed and published.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.campaign.admission import TurnedAway, admit
from pvcnn.campaign.answer import Answer, published_reason
from pvcnn.campaign.folder import (
    AGGREGATION_VERIFIER_KEY,
    ANSWERS,
    ENCRYPTION_PLAN,
    MANIFEST,
    REGISTRY,
    CampaignFolder,
    publish,
    read_from_step,
)
from pvcnn.campaign.identity import LOG_NAME, SECRET_MODE, Identity, append_to_log, keep_secret
from pvcnn.campaign.kept_answer import MAX_BYTES as MAX_KEPT_ANSWER
from pvcnn.campaign.kept_answer import KeptAnswer
from pvcnn.campaign.mail import post
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.registry import Registry
from pvcnn.campaign.signed import DIGEST_BYTES, file_digest
from pvcnn.campaign.submission import Proceedings
from pvcnn.errors import CampaignError, VerificationError
from pvcnn.files import read_bounded, write_once
from pvcnn.he.plans import read_plan

ROLE = "owner"


class OwnerLedger:
    """Closes the registry, signs answers, and publishes them in the campaign folder."""

    def __init__(self, folder: CampaignFolder, identity: Identity) -> None:
        self._folder = folder
        self._identity = identity

    @classmethod
    def open(cls, directory: Path) -> OwnerLedger:
        """Raises CampaignError if `split` has not run."""
        folder = CampaignFolder(directory)
        return cls(folder, Identity.load_from(folder.private(ROLE), "split"))

    @cached_property
    def proceedings(self) -> Proceedings:
        """Raises what `closed_proceedings` raises."""
        return closed_proceedings(self._folder)

    def close_registry(self, testers: Collection[bytes] | None = None) -> tuple[Registry, list[TurnedAway]]:
        """Signs the one registry, of everyone whose registration holds and who is among `testers`.

        None admits everyone. Raises CampaignError if the registry is closed already (one that was deleted
        is published again first), would be empty, or would hold more submissions than can be aggregated,
        and VerificationError for another owner's manifest.
        """
        public, closed = self._folder.public, _closed_registry(self._folder)
        if closed.exists():
            write_once(public.file(REGISTRY), read_bounded(closed, REGISTRY.max_bytes))
            raise CampaignError("the registry is closed already: a campaign has one registry")
        manifest = Manifest.from_bytes(public.read(MANIFEST))
        if manifest.signer != self._identity.signing.public:
            raise VerificationError("the manifest is not signed by this owner")
        encryption_plan = read_plan(public.read(ENCRYPTION_PLAN))
        box = self._folder.mail(ROLE)
        admitted, turned_away = admit(box, self._identity.sealing, manifest, encryption_plan, testers)
        if not admitted:
            raise CampaignError("there is nothing to register: `pvcnn encrypt` comes first")
        key = AggregationVerifierKey.from_bytes(public.read(AGGREGATION_VERIFIER_KEY))
        if len(admitted) > key.max_proofs:
            raise CampaignError(
                f"{len(admitted)} submissions are registered, and the setup was made for {key.max_proofs}"
            )
        registry = Registry.close(self._identity.signing, manifest.digest(), admitted)
        keep_secret(closed, registry.to_bytes())
        publish(public.file(REGISTRY), registry.to_bytes())
        return registry, turned_away

    def answered(self, index: int) -> Answer | None:
        """The answer to `index`, if there is one; what was kept and is not published yet is published.

        Raises as `closed_proceedings` does, and VerificationError for an answer that is not the owner's.
        """
        if not self._folder.public.indexed(ANSWERS, index).exists():
            kept = self._kept(index)
            if not kept.exists():
                return None
            self._publish(index, KeptAnswer.from_bytes(read_bounded(kept, MAX_KEPT_ANSWER)))
        return self.proceedings.submission(self._folder.public, index).answer

    def record(
        self,
        index: int,
        sealed: bytes,
        reason: str = "",
        details: str = "",
        *,
        features_digest: bytes = b"",
    ) -> Answer:
        """Signs and publishes what an evaluator made of `index`: `sealed` to the cluster, or a refusal.

        `features_digest` is that of what was sealed, and comes with it; `details` of a refusal go to the
        owner's own log. If there is an answer already, that one stands and is returned. Raises ValueError if
        `index` is not in the registry, for both or neither of `sealed` and `reason`, and for sealed features
        without their digest.
        """
        registry = self.proceedings.registry
        if not 0 <= index < len(registry.registrations):
            raise ValueError(f"there is no submission {index} in the registry")
        if bool(sealed) == bool(reason):
            raise ValueError("an answer is either sealed features or a refusal with a reason")
        if len(features_digest) != (DIGEST_BYTES if sealed else 0):
            raise ValueError("sealed features, and nothing else, come with their digest")
        answer = Answer(
            signer=self._identity.signing.public,
            manifest_digest=self.proceedings.manifest.digest(),
            registry_digest=registry.digest(),
            index=index,
            answer_digest=file_digest(sealed) if sealed else b"",
            features_digest=features_digest,
            reason=published_reason(reason),
        ).signed(self._identity.signing)
        new = write_once(self._kept(index), KeptAnswer(answer, sealed).to_bytes(), SECRET_MODE)
        if new and reason:
            line = f"submission {index}: {details} {answer.reason}"
            append_to_log(self._folder.private(ROLE) / LOG_NAME, line.encode())
        published = self.answered(index)
        assert published is not None
        return published

    def _kept(self, index: int) -> Path:
        return self._folder.remembered(ROLE) / f"answer-{index:06d}.cbor"

    def _publish(self, index: int, kept: KeptAnswer) -> None:
        """The sealed features first: an answer that is there names something that is there."""
        if kept.sealed:
            post(self._folder.mail("cluster"), kept.sealed)
        write_once(self._folder.public.indexed(ANSWERS, index), kept.answer.to_bytes())


def closed_proceedings(folder: CampaignFolder) -> Proceedings:
    """Manifest and registry; the latter, which names the former, is the one that this owner closed.

    Raises CampaignError if no registry is closed, and VerificationError for another one than was.
    """
    proceedings = Proceedings.read(folder.public)
    kept = read_from_step(_closed_registry(folder), REGISTRY.max_bytes, "infer")
    if proceedings.registry.to_bytes() != kept:
        raise VerificationError("the registry is not the one that this owner closed")
    return proceedings


def _closed_registry(folder: CampaignFolder) -> Path:
    """The registry as the owner signed it."""
    return folder.remembered(ROLE) / REGISTRY.name
