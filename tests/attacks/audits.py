"""Campaigns in which owner or cluster lied, cheap to make: the cluster refuses what nobody needs proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pvcnn.campaign.admission import open_upload
from pvcnn.campaign.answer import Answer, ClusterRefusal
from pvcnn.campaign.audit_choice import AuditChoice
from pvcnn.campaign.audit_opening import OwnerOpening
from pvcnn.campaign.audit_secret import AuditSecret, frame_seed
from pvcnn.campaign.audit_software import Software
from pvcnn.campaign.batch import Batch
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.evaluator import open_evaluator
from pvcnn.campaign.folder import ANSWERS, CLUSTER_CARD, PROGRAM, REFUSALS, CampaignFolder
from pvcnn.campaign.identity import Identity
from pvcnn.campaign.mail import answer_info, post, seal
from pvcnn.campaign.owner_secrets import OwnerSecrets, load_private_part
from pvcnn.campaign.signed import file_digest
from pvcnn.campaign.submission import Proceedings
from pvcnn.he.evaluation import Evaluator
from pvcnn.program.program import Program

BEACON = b"public randomness"


@dataclass(frozen=True)
class Answering:
    """An owner that evaluates as it likes."""

    folder: CampaignFolder
    evaluator: Evaluator
    proceedings: Proceedings
    audit: AuditSecret

    @classmethod
    def of(cls, folder: CampaignFolder) -> Answering:
        card = ClusterCard.from_bytes(folder.public.read(CLUSTER_CARD))
        private = load_private_part(folder.private("owner"))
        evaluator = open_evaluator(folder, card, private)
        assert isinstance(evaluator, Evaluator)
        audit = AuditSecret.load_from(folder.private("owner"), "split")
        return cls(folder, evaluator, Proceedings.read(folder.public), audit)

    def upload(self, index: int) -> bytes:
        """The encrypted frame of a submission."""
        sealing = Identity.load_from(self.folder.private("owner"), "split").sealing
        registration = self.proceedings.registry.registrations[index]
        manifest_digest = self.proceedings.manifest.digest()
        upload = open_upload(self.folder.mail("owner"), sealing, manifest_digest, registration)
        return Batch.from_bytes(upload).messages[0]

    def seed(self, index: int) -> bytes:
        registry = self.proceedings.registry
        return self.audit.answer_seed(registry.digest(), index, registry.registrations[index].upload_digest)

    def frame_seed(self, index: int) -> bytes:
        return frame_seed(self.seed(index), self.proceedings.registry.digest(), index, 0)

    def honest(self, index: int) -> bytes:
        return self.evaluator.evaluate(self.upload(index), self.frame_seed(index))

    def sign(self, index: int, message: bytes = b"", signed: bytes = b"", reason: str = "") -> None:
        """Publishes an answer: `message` sealed to the cluster, or a refusal. signed: what it says it is."""
        folder, place = self.folder, (self.proceedings.manifest.digest(), self.proceedings.registry.digest())
        digests = {}
        if message:
            card = ClusterCard.from_bytes(folder.public.read(CLUSTER_CARD))
            encoded = Batch((message,)).to_bytes()
            blob = seal(card.sealing_key, encoded, answer_info(*place, index))
            digests["answer_digest"] = post(folder.mail("cluster"), blob)
            digests["features_digest"] = file_digest(Batch((signed,)).to_bytes() if signed else encoded)
        key = Identity.load_from(folder.private("owner"), "split").signing
        answer = Answer(
            signer=key.public,
            manifest_digest=place[0],
            registry_digest=place[1],
            index=index,
            reason=reason,
            **digests,
        )
        path = folder.public.indexed(ANSWERS, index)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(answer.signed(key).to_bytes())

    def settle(self) -> AuditChoice:
        """The cluster refuses whatever is answered; then all submissions are audited."""
        key = Identity.load_from(self.folder.private("cluster"), "keygen").signing
        for index in range(len(self.proceedings.registry.registrations)):
            submission = self.proceedings.submission(self.folder.public, index)
            if not submission.answer.refused:
                refusal = ClusterRefusal(signer=key.public, context=submission.context).signed(key)
                path = self.folder.public.indexed(REFUSALS, index)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(refusal.to_bytes())
        return AuditChoice.make(self.folder.public, BEACON, 100)

    def opening(self, choice: AuditChoice) -> OwnerOpening:
        """As an honest owner opens, without trying it first."""
        private = self.folder.private("owner")
        kept = OwnerSecrets.load_from(private, Program.from_bytes(self.folder.public.read(PROGRAM)))
        return OwnerOpening(
            manifest_digest=self.proceedings.manifest.digest(),
            record_digest=choice.record.digest,
            beacon=BEACON,
            software=Software.here(),
            sealing_key=Identity.load_from(private, "split").sealing.to_bytes(),
            values={index: self.seed(index) for index in choice.indices},
            salt=kept.salt,
            private_part=kept.private.to_bytes(),
        )


Lie = Callable[[Answering], bytes]


def with_seed(opening: OwnerOpening, index: int, seed: bytes) -> OwnerOpening:
    return replace(opening, values={**opening.values, index: seed})
