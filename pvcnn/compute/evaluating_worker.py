"""The body of an evaluating actor: the owner's private part, opened once in a process of its own.

What is secret it reads from DIR/private/owner on its own machine: nothing secret is sent to it, and what
it delivers is sealed to the compute cluster. So a machine that does not have the owner's folder cannot
evaluate, and gets nothing from the attempt.
"""

from __future__ import annotations

from pathlib import Path

from pvcnn.compute.events import Report, WorkerName
from pvcnn.compute.proving_worker import this_worker
from pvcnn.errors import CampaignError, PvcnnError


class EvaluatingWorker:
    """directory: the campaign's folder as the worker's machine sees it."""

    def __init__(self, directory: str) -> None:
        from pvcnn.campaign.evaluator import SubmissionEvaluator
        from pvcnn.campaign.owner_ledger import ROLE

        secrets = Path(directory) / "private" / ROLE
        if not secrets.is_dir():
            raise CampaignError(
                f"{this_worker().host} has no {secrets}: the owner's folder must be on storage that the "
                "machines of the owner's cluster share"
            )
        self._evaluator = SubmissionEvaluator.open(Path(directory))

    def identify(self) -> WorkerName:
        return this_worker()

    def work(self, index: int) -> Report:
        """Evaluates one submission: `result` is sealed to the cluster, `details` why it is refused."""
        try:
            evaluated = self._evaluator.evaluate(index)
        except CampaignError as error:
            return Report(failure=str(error))
        except PvcnnError as error:
            return Report(failure=type(error).__name__)
        return Report(evaluated.sealed, evaluated.reason.encode(), evaluated.seconds)
