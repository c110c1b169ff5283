"""The body of an evaluating actor: the owner's private part, opened once in a process of its own.

What is secret it reads from DIR/private/owner on its own machine: nothing secret is sent to it, and what
it delivers is sealed to the compute cluster. So a machine that does not have the owner's folder cannot
evaluate, and gets nothing from the attempt.
"""

from __future__ import annotations

from pathlib import Path

from pvcnn.compute.events import Report, Unfit, WorkerName
from pvcnn.compute.proving_worker import this_worker
from pvcnn.errors import CampaignError, PvcnnError


class EvaluatingWorker:
    """directory: the campaign's folder as the worker's machine sees it."""

    def __init__(self, directory: str) -> None:
        self._unfit = ""
        try:
            self._open(Path(directory))
        except PvcnnError as error:
            self._unfit = f"on {this_worker().host}: {error}"

    def _open(self, directory: Path) -> None:
        from pvcnn.campaign.roles.evaluator import SubmissionEvaluator
        from pvcnn.campaign.roles.owner_ledger import ROLE

        secrets = directory / "private" / ROLE
        if not secrets.is_dir():
            raise CampaignError(
                f"there is no {secrets}: the owner's folder must be on storage that all machines of the "
                "owner's cluster share"
            )
        self._evaluator = SubmissionEvaluator.open(directory)

    def identify(self) -> WorkerName | Unfit:
        name = this_worker()
        return Unfit(name, self._unfit) if self._unfit else name

    def work(self, index: int) -> Report:
        """Evaluates one submission: `result` is sealed to the cluster, and `details` the digest of what was
        sealed; or no result, and why it is refused."""
        try:
            evaluated = self._evaluator.evaluate(index)
        except CampaignError as error:
            return Report(failure=str(error))
        except PvcnnError as error:
            return Report(failure=type(error).__name__)
        details = evaluated.features_digest or evaluated.reason.encode()
        return Report(evaluated.sealed, details, evaluated.seconds, private=evaluated.details)
