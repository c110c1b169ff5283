"""The cluster, audited: answers decrypted again, and D_in made again from what they hold.

What follows from D_in is proved; where it comes from is not. D_in binds, so a cluster that committed to other
features than it decrypted cannot open it to those that are in the answer.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pvcnn.campaign.audit_choice import AuditChoice, Fixed
from pvcnn.campaign.audit_opening import ClusterOpening, encoded_blinding
from pvcnn.campaign.audit_report import AuditReport, Finding, demand_honest
from pvcnn.campaign.audit_software import Software
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.cluster_secrets import ClusterSecrets
from pvcnn.campaign.decrypting import feature_decryption
from pvcnn.campaign.evaluator import read_card, read_evaluation_keys
from pvcnn.campaign.folder import ENCRYPTION_PLAN, PROGRAM, VERIFICATION_KEY, CampaignFolder
from pvcnn.campaign.ledger import ROLE
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.opened_answer import AnswerReader, OpenedAnswer, open_public_part, read_label_key
from pvcnn.campaign.signed import digest_of_file, file_digest
from pvcnn.errors import DecodeError, RangeError, SubmissionRefused, VerificationError
from pvcnn.he.key_opening import check_evaluation_keys, check_secret_key
from pvcnn.he.keys import PublicKey, SecretKey
from pvcnn.he.plans import FramePlan, read_plan
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.qmp.commitments import commit_features, commit_nothing, commit_weights
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.labels import LabelKey, check_label_key
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.published import check_published_weights


def audit_cluster(folder: CampaignFolder, choice: AuditChoice, opening: ClusterOpening) -> AuditReport:
    """Decrypts the answers to the chosen submissions again, and compares D_in; refusals must be due.

    A cluster whose evaluation keys were not made with its secret key is honest in none of them.

    Needs DIR/public, DIR/mail/cluster and DIR/keys. Raises VerificationError for an opening that is not of
    this cluster, campaign and choice, CampaignError for what is missing, and DecodeError.
    """
    opening.check(choice)
    audited = _Audited(folder, choice, opening)
    here = Software.here()
    found = []
    fault = audited.fault_of_keys()
    if fault:
        found = [Finding.of(index, False, fault) for index in choice.indices]
        return AuditReport(ROLE, choice, tuple(found), opening.software, here)
    for index in choice.indices:
        reproduced, what = audited.repeat(choice.record.fixed[index], opening.blinding(index))
        found.append(Finding.of(index, reproduced, what, here == opening.software))
    return AuditReport(ROLE, choice, tuple(found), opening.software, here)


def open_for_audit(
    folder: CampaignFolder, choice: AuditChoice, secrets_in: CampaignFolder | None = None
) -> ClusterOpening:
    """The cluster's opening for these submissions, which has passed the audit itself.

    `secrets_in`: the campaign with the cluster's secrets, if this one is a sibling of it. Raises
    CampaignError if there are none, or if what was proved does not come out the same here, and as
    `audit_cluster` does.
    """
    kept = ClusterSecrets.load_from((secrets_in or folder).private(ROLE))
    contexts = {index: choice.record.fixed[index].submission.context for index in choice.indices}
    opening = ClusterOpening(
        manifest_digest=choice.proceedings.manifest.digest(),
        record_digest=choice.record.digest,
        beacon=choice.beacon,
        software=Software.here(),
        sealing_key=kept.identity.sealing.to_bytes(),
        values={i: encoded_blinding(kept.audit.features_blinding(contexts[i])) for i in choice.indices},
        decryption_key=kept.decryption_key,
    )
    demand_honest(audit_cluster(folder, choice, opening))
    return opening


class _Audited:
    """One cluster, opened."""

    def __init__(self, folder: CampaignFolder, choice: AuditChoice, opening: ClusterOpening) -> None:
        self._folder = folder
        self._proceedings = choice.proceedings
        manifest = self._manifest
        card = read_card(folder.public)
        plan_bytes, program_bytes = folder.public.read(ENCRYPTION_PLAN), folder.public.read(PROGRAM)
        key_bytes = folder.public.read(VERIFICATION_KEY)
        for what, found, expected in (
            ("card of the cluster", card.digest(), manifest.cluster_card_digest),
            ("encryption plan", file_digest(plan_bytes), manifest.encryption_plan_digest),
            ("program", file_digest(program_bytes), manifest.program_digest),
            ("verification key", file_digest(key_bytes), manifest.verification_key_digest),
            ("proving key", digest_of_file(folder.proving_key, "setup"), manifest.proving_key_digest),
        ):
            if found != expected:
                raise VerificationError(f"the manifest was signed for another {what}")
        self._verification_key = VerificationKey.from_bytes(key_bytes)
        self._proving_key = ProvingKey.load(folder.proving_key)
        self._sealing_key = opening.open_mail(card.sealing_key)
        self._plan = plan = read_plan(plan_bytes)
        self._evaluation_keys = read_evaluation_keys(folder, card, plan)
        self._secret_key = _secret_key(plan, card, opening)
        decryption = feature_decryption(plan, self._secret_key, self._sealing_key)
        self._reader = AnswerReader(
            self._sealing_key,
            decryption,
            plan.feature_step,
            Program.from_bytes(program_bytes),
            self._label_key() if manifest.takes_labels else None,
        )

    def fault_of_keys(self) -> str:
        """What is wrong with the keys that the owner evaluated with; empty if nothing is."""
        try:
            check_evaluation_keys(self._plan, self._evaluation_keys, self._secret_key)
        except VerificationError as error:
            return str(error)
        return ""

    def repeat(self, fixed: Fixed, blinding: int) -> tuple[bool, str]:
        """Whether the outcome is what the answer gives, and in words what it gives."""
        if fixed.submission.answer.refused:
            return True, "the owner refused: there was nothing to decrypt"
        try:
            opened = self._reader.read(self._folder.mail(ROLE), self._proceedings, fixed.submission)
        except (SubmissionRefused, DecodeError) as error:
            refused = fixed.refusal is not None
            return refused, f"{'refused again' if refused else 'proved, and it cannot be decrypted'}: {error}"
        if fixed.statement is None:
            return self._compare_refusal(opened)
        if (
            commit_features(self._proving_key, opened.features, blinding)
            != fixed.statement.features_commitment
        ):
            return False, "the features that are proved about are not those in the answer"
        return True, "decrypted again: the statement commits to these features"

    def _compare_refusal(self, opened: OpenedAnswer) -> tuple[bool, str]:
        labels = None if opened.labels is None else np.array(opened.labels.labels, np.int64)
        try:
            self._public_part(opened.features, labels)
        except RangeError:  # whose message holds values
            return True, "refused again: a value leaves the range of the public part"
        return False, "refused, and it can be proved"

    @property
    def _manifest(self) -> Manifest:
        return self._proceedings.manifest

    @cached_property
    def _public_part(self) -> PublicPart:
        """With the weights of the verification key. Raises VerificationError for others."""
        part = open_public_part(self._folder, self._manifest, self._reader.program, self._sealing_key)
        key, weights = self._proving_key, part.weights
        if part.published:
            check_published_weights(key.circuit_key, weights)
            committed = commit_nothing(key)
        else:
            committed = commit_weights(key, weights.flat(), weights.blinding)
        if key.circuit_key.commit(committed) != self._verification_key:
            raise VerificationError("the weights are not those that the verification key commits to")
        return part

    def _label_key(self) -> LabelKey:
        key = read_label_key(self._folder, self._manifest)
        check_label_key(self._verification_key, key)
        return key


def _secret_key(plan: FramePlan, card: ClusterCard, opening: ClusterOpening) -> SecretKey:
    """The one of the encryption key on the card. Raises VerificationError for another one."""
    key = SecretKey.from_bytes(plan, opening.decryption_key)
    check_secret_key(plan, PublicKey.from_bytes(plan, card.encryption_key), key)
    return key
