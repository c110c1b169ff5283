"""The owner, audited: its answers made again from the committed private part and the seeds, bit for bit.

An answer that comes out the same was made by the committed layers, of the registered upload, and hidden as
it should be: nothing else has the digest that the owner signed. Whoever evaluated other weights, another
function or another frame, left out what hides an answer or used it twice would have to find a seed under
which the right evaluation has that digest.
"""

from __future__ import annotations

from pathlib import Path

from pvcnn.campaign.admission import open_upload
from pvcnn.campaign.answer import Answer, published_reason
from pvcnn.campaign.answering import OnlyNamed, PrivateEvaluator, answering, seed_of
from pvcnn.campaign.audit_choice import AuditChoice
from pvcnn.campaign.audit_opening import OwnerOpening
from pvcnn.campaign.audit_report import AuditReport, Finding, demand_honest
from pvcnn.campaign.audit_secret import AuditSecret
from pvcnn.campaign.audit_software import Software
from pvcnn.campaign.evaluator import open_evaluator, read_card
from pvcnn.campaign.folder import ENCRYPTION_PLAN, PROGRAM, CampaignFolder
from pvcnn.campaign.identity import Identity
from pvcnn.campaign.mail import SealingKey
from pvcnn.campaign.owner_ledger import ROLE
from pvcnn.campaign.owner_secrets import OwnerSecrets
from pvcnn.campaign.signed import file_digest
from pvcnn.campaign.submission import Submission
from pvcnn.errors import DecodeError, ParameterError, SubmissionRefused, VerificationError
from pvcnn.he.plans import read_plan
from pvcnn.program.program import Program


def audit_owner(folder: CampaignFolder, choice: AuditChoice, opening: OwnerOpening) -> AuditReport:
    """Evaluates the chosen submissions again, and compares digests; refusals must be refused again.

    Needs DIR/public, DIR/mail/owner and DIR/keys. Raises VerificationError for an opening that is not of this
    owner, campaign and choice, CampaignError for what is missing, and DecodeError.
    """
    opening.check(choice)
    manifest = choice.proceedings.manifest
    private = opening.open_private_part(manifest.private_commitment)
    sealing_key = opening.open_mail(manifest.owner_sealing_key)
    card = read_card(folder.public)
    named = (manifest.cluster_card_digest, manifest.encryption_plan_digest)
    if (card.digest(), file_digest(folder.public.read(ENCRYPTION_PLAN))) != named:
        raise VerificationError("card and encryption plan are not those that the manifest names")
    here = Software.here()
    try:
        evaluator = open_evaluator(folder, card, private)
    except ParameterError as error:
        what = f"{error}, which is committed to"
        findings = [Finding.of(index, False, what, here == opening.software) for index in choice.indices]
        return AuditReport(ROLE, choice, tuple(findings), opening.software, here)
    audited = _Audited(folder, choice, sealing_key, evaluator)
    found = []
    for index, seed in opening.values.items():
        reproduced, what = audited.repeat(choice.record.fixed[index].submission, seed)
        found.append(Finding.of(index, reproduced, what, here == opening.software))
    return AuditReport(ROLE, choice, tuple(found), opening.software, here)


def open_for_audit(
    folder: CampaignFolder, choice: AuditChoice, secrets_in: CampaignFolder | None = None
) -> OwnerOpening:
    """The owner's opening for these submissions, which has passed the audit itself.

    `secrets_in`: the campaign with the owner's secrets, if this one is a sibling of it. Raises CampaignError
    if there are none, or if what was answered does not come out the same here, and as `audit_owner` does.
    """
    private = (secrets_in or folder).private(ROLE)
    program = Program.from_bytes(folder.public.read(PROGRAM))
    kept, secret = OwnerSecrets.load_from(private, program), AuditSecret.load_from(private, "split")
    plan = read_plan(folder.public.read(ENCRYPTION_PLAN))
    sealing_key = Identity.load_from(private, "split").sealing
    manifest, registry = choice.proceedings.manifest, choice.proceedings.registry

    def upload(index: int) -> bytes:
        try:
            registration = registry.registrations[index]
            return open_upload(folder.mail(ROLE), sealing_key, manifest.digest(), registration)
        except SubmissionRefused:
            return b""

    opening = OwnerOpening(
        manifest_digest=choice.proceedings.manifest.digest(),
        record_digest=choice.record.digest,
        beacon=choice.beacon,
        software=Software.here(),
        sealing_key=sealing_key.to_bytes(),
        values={index: seed_of(plan, secret, registry, index, upload(index)) for index in choice.indices},
        salt=kept.salt,
        private_part=kept.private.to_bytes(),
    )
    demand_honest(audit_owner(folder, choice, opening))
    return opening


class _Audited:
    """One owner, opened."""

    def __init__(
        self,
        folder: CampaignFolder,
        choice: AuditChoice,
        sealing_key: SealingKey,
        evaluator: PrivateEvaluator,
    ) -> None:
        self._box: Path = folder.mail(ROLE)
        self._proceedings = choice.proceedings
        self._sealing_key = sealing_key
        self._answering = answering(evaluator, choice.proceedings, self._box, sealing_key, OnlyNamed())

    def repeat(self, submission: Submission, seed: bytes) -> tuple[bool, str]:
        """Whether the answer comes out as it was signed, and in words what came out."""
        manifest_digest, index = self._proceedings.manifest.digest(), submission.index
        try:
            upload = open_upload(self._box, self._sealing_key, manifest_digest, submission.registration)
            made = self._answering.answer(index, upload, seed)
        except (SubmissionRefused, DecodeError) as error:
            return _compare_refusal(submission.answer, published_reason(str(error)))
        if submission.answer.refused:
            return False, f"refused ({submission.answer.reason}), and it can be evaluated"
        if file_digest(made.to_bytes()) != submission.answer.features_digest:
            return False, "the answer is not what the committed layers and the seed give"
        return True, "the answer was made again, bit for bit"


def _compare_refusal(answer: Answer, reason: str) -> tuple[bool, str]:
    if not answer.refused:
        return False, f"answered, and it cannot be evaluated: {reason}"
    if answer.reason != reason:
        return False, f"refused ({answer.reason}), and the reason is another one: {reason}"
    return True, f"refused again: {reason}"
