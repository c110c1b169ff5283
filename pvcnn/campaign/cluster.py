"""The compute cluster: makes its keys, and proves submissions.

Here it is one process; `pvcnn.compute` spreads the same work over many.
"""

from __future__ import annotations

from pathlib import Path

from pvcnn.campaign.audit_secret import AuditSecret
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.cluster_secrets import ClusterSecrets
from pvcnn.campaign.folder import CLUSTER_CARD, ENCRYPTION_PLAN, CampaignFolder, publish
from pvcnn.campaign.identity import FILE_NAME, Identity
from pvcnn.campaign.ledger import ROLE, ClusterLedger
from pvcnn.campaign.prover import SubmissionProver
from pvcnn.campaign.signed import file_digest
from pvcnn.files import share, write_atomically
from pvcnn.he.keys import generate
from pvcnn.he.plans import read_plan


def make_keys(folder: CampaignFolder) -> ClusterCard:
    """`keygen`: draws all of the cluster's keys and publishes its card.

    Raises CampaignError if `split` has not run or the cluster has keys already.
    """
    plan_bytes = folder.public.read(ENCRYPTION_PLAN)
    encryption_plan = read_plan(plan_bytes)
    identity = Identity.create_in(folder.private(ROLE))
    secret_key, public_key, evaluation_keys = generate(encryption_plan)
    kept = ClusterSecrets(identity, secret_key.to_bytes(encryption_plan), AuditSecret.draw())
    kept.keep_in(folder.private(ROLE))
    evaluation_bytes = evaluation_keys.to_bytes(encryption_plan)
    write_atomically(folder.evaluation_keys, evaluation_bytes)
    card = ClusterCard(
        signer=identity.signing.public,
        sealing_key=identity.sealing.public,
        encryption_key=public_key.to_bytes(encryption_plan),
        encryption_plan_digest=file_digest(plan_bytes),
        evaluation_keys_digest=file_digest(evaluation_bytes),
    ).signed(identity.signing)
    publish(folder.public.file(CLUSTER_CARD), card.to_bytes())
    return card


def join_sibling(folder: CampaignFolder, sibling: CampaignFolder) -> None:
    """Lets the cluster of `folder` keep a ledger of its own in a campaign under the same keys.

    Only the identity goes there, with which the ledger reads why workers refused. Raises CampaignError if
    `keygen` has not run in `folder`.
    """
    share(folder.private(ROLE) / FILE_NAME, sibling.private(ROLE) / FILE_NAME)


class ClusterRole:
    """Ledger and prover in one process."""

    def __init__(self, ledger: ClusterLedger, prover: SubmissionProver) -> None:
        self._ledger = ledger
        self._prover = prover

    @classmethod
    def open(cls, directory: Path) -> ClusterRole:
        """Opens and checks all keys. Raises what `SubmissionProver.open` and `ClusterLedger.open` raise."""
        secrets = ClusterSecrets.load_from(CampaignFolder(directory).private(ROLE))
        prover = SubmissionProver.open(directory, secrets)
        return cls(ClusterLedger.open(directory), prover)

    def prove(self, index: int) -> dict[str, float]:
        """Proves one submission and returns the seconds that each step took.

        Idempotent: the first complete outcome of a context stands, and finding one takes no time.
        Raises SubmissionRefused, after leaving a signed refusal, if the answer cannot be proved: the
        reason is in the cluster's own log and nowhere else, since it may hold features. Raises
        CampaignError if the owner's answer is not there, VerificationError if another answer to this
        submission was opened before, and ValueError for an unknown index.
        """
        if self._ledger.recorded(index):
            return {}
        self._ledger.take(index)
        examined = self._prover.examine(index)
        self._ledger.record(index, examined.outcome, examined.details)
        return examined.seconds
