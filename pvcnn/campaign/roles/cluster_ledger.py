"""The cluster's ledger: which registry it serves, which answers it opened, which outcomes stand.

An owner could encrypt any function of a frame and learn a bit of it from each decision. So the cluster
serves one registry, and opens one answer for each of its submissions; the ledger remembers which. It
needs no key of the cluster but to read why submissions were refused, and it believes no worker: an
outcome is recorded only if its proof verifies, and the first one that does stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.folder import CLUSTER_CARD, VERIFICATION_KEY, CampaignFolder
from pvcnn.campaign.artefacts.identity import FILE_NAME, LOG_NAME, Identity, append_to_log, hold_to
from pvcnn.campaign.artefacts.mail import refusal_details_info
from pvcnn.campaign.artefacts.outcome import MAX_BYTES as MAX_OUTCOME
from pvcnn.campaign.artefacts.outcome import ClusterOutcome, check_outcome
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.campaign.artefacts.submission import Proceedings, Submission
from pvcnn.campaign.verification.report import CLUSTER_REFUSED
from pvcnn.errors import SubmissionRefused, VerificationError
from pvcnn.files import read_bounded, write_once
from pvcnn.qmp.keys import VerificationKey

ROLE = "cluster"


class ClusterLedger:
    """Hands out submissions to prove and records what became of them, in the campaign folder."""

    def __init__(
        self, folder: CampaignFolder, proceedings: Proceedings, key: VerificationKey, cluster_key: bytes
    ) -> None:
        self._folder = folder
        self._key = key
        self._cluster_key = cluster_key
        self.proceedings = proceedings

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Raises CampaignError for a step that has not run, and VerificationError if the manifest names
        another card or verification key, or if another registry was served before."""
        folder = CampaignFolder(directory)
        proceedings = Proceedings.read(folder.public)
        manifest = proceedings.manifest
        card_bytes, key_bytes = folder.public.read(CLUSTER_CARD), folder.public.read(VERIFICATION_KEY)
        for what, data, expected in (
            ("card of the cluster", card_bytes, manifest.cluster_card_digest),
            ("verification key", key_bytes, manifest.verification_key_digest),
        ):
            if file_digest(data) != expected:
                raise VerificationError(f"the manifest was signed for another {what}")
        hold_to(folder.remembered(ROLE) / "registry", proceedings.registry.digest(), "another registry")
        cluster_key = ClusterCard.from_bytes(card_bytes).signer
        return cls(folder, proceedings, VerificationKey.from_bytes(key_bytes), cluster_key)

    def to_prove(self) -> Iterator[int]:
        """Indices of all submissions that the owner answered and did not refuse.

        Raises CampaignError where the owner has not answered yet.
        """
        for index in range(len(self.proceedings.registry.registrations)):
            if not self._submission(index).answer.refused:
                yield index

    def recorded(self, index: int) -> bool:
        """Whether there is an outcome. Raises SubmissionRefused if it is a refusal, the owner's included."""
        submission = self._submission(index)
        if submission.answer.refused:
            raise SubmissionRefused(f"the owner refused submission {index}: {submission.answer.reason}")
        path = self._folder.outcome(submission.context)
        if not path.exists():
            return False
        if ClusterOutcome.from_bytes(read_bounded(path, MAX_OUTCOME)).refusal is not None:
            raise SubmissionRefused(CLUSTER_REFUSED)
        return True

    def take(self, index: int) -> None:
        """To be called before the answer to `index` is opened. It remembers the context, which binds it.

        Raises VerificationError if another answer to this submission was taken before.
        """
        taken = self._folder.remembered(ROLE) / f"answer-{index:06d}"
        hold_to(taken, self._submission(index).context, "another answer")

    def record(self, index: int, outcome: bytes, details: bytes = b"") -> bool:
        """Records what a worker made of `index`; False if there is an outcome already, which stands.

        `details` of a refusal, sealed to the cluster, go to its own log. Raises SubmissionRefused once a
        refusal is recorded, and VerificationError or DecodeError for an outcome that is not valid.
        """
        submission = self._submission(index)
        decoded = ClusterOutcome.from_bytes(outcome)
        check_outcome(decoded, submission, self._key, self._cluster_key)
        new = write_once(self._folder.outcome(submission.context), outcome)
        if new and details:
            self._log(index, submission.context, details)
        if decoded.refusal is not None:
            raise SubmissionRefused(CLUSTER_REFUSED)
        return new

    def _submission(self, index: int) -> Submission:
        return self.proceedings.submission(self._folder.public, index)

    def _log(self, index: int, context: bytes, details: bytes) -> None:
        """Appends to the cluster's own log, which may hold features: mode 0600, in private/cluster.

        Where the ledger is kept without the cluster's identity, the log is for whoever holds it to write.
        """
        private = self._folder.private(ROLE)
        if not (private / FILE_NAME).exists():
            return
        reason = Identity.load_from(private, "keygen").sealing.open(details, refusal_details_info(context))
        append_to_log(private / LOG_NAME, f"submission {index}: ".encode() + reason)
