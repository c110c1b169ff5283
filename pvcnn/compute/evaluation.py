"""Evaluates a campaign's submissions on the open Ray session, which is the owner's own.

Workers evaluate; this process, the only one that signs, records what they deliver in the owner's ledger,
where the first answer to a submission stands. So a submission that was evaluated twice, because a worker
was lost or took too long, is still answered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ray

from pvcnn.campaign.batch import frames_in_slots
from pvcnn.campaign.folder import CampaignFolder
from pvcnn.campaign.mail import MAX_BLOB_BYTES
from pvcnn.campaign.owner_ledger import OwnerLedger
from pvcnn.campaign.signed import DIGEST_BYTES
from pvcnn.compute.dispatcher import Dispatcher, Limits
from pvcnn.compute.evaluating_worker import EvaluatingWorker
from pvcnn.compute.events import Event, Kind, Listener, Outcome, Report, tell_all
from pvcnn.compute.metrics import Metrics
from pvcnn.errors import CampaignError, DecodeError


def infer_all(
    ledger: OwnerLedger,
    directory: str | Path,
    indices: Sequence[int],
    workers: int,
    *,
    limits: Limits | None = None,
    listener: Listener = lambda event: None,
) -> list[Outcome]:
    """Evaluates the submissions `indices`, answering each in the ledger as it comes.

    directory: the owner's folder as workers see it. Returns an Outcome for each index, in the order given;
    one that is answered already costs nothing and has 0 attempts, and one that is refused is answered too,
    and no failure. Raises CampaignError if workers cannot open the campaign, and if its frames lie in slots:
    of a batch's submissions, each worker would evaluate the whole batch.
    """
    if frames_in_slots(CampaignFolder(Path(directory)).public) is not None:
        raise CampaignError(
            "frames in slots are evaluated on one machine, by several processes: leave out --address and "
            "--time-limit"
        )
    manifest = ledger.proceedings.manifest
    listener = tell_all(Metrics("infer", manifest.campaign, len(indices), manifest.frames), listener)
    outcomes: dict[int, Outcome] = {}
    left = []
    for index in indices:
        if ledger.answered(index) is None:
            left.append(index)
        else:
            outcomes[index] = Outcome(index, 0, {})
            listener(Event(Kind.DONE, index))

    def accept(index: int, report: Report) -> None:
        record_evaluated(ledger, index, report)

    worker = ray.remote(num_cpus=1)(EvaluatingWorker)
    dispatcher = Dispatcher(
        lambda **options: worker.options(**options).remote(str(directory)),
        accept,
        workers=min(workers, len(left)),
        limits=limits or Limits(),
        listener=listener,
    )
    outcomes |= dispatcher.run(left)
    return [outcomes[index] for index in indices]


def record_evaluated(ledger: OwnerLedger, index: int, report: Report) -> None:
    """Signs what an evaluating worker delivered.

    Raises DecodeError for what no evaluator delivers: the owner cannot see more of a sealed answer.
    """
    if len(report.result) > MAX_BLOB_BYTES or not report.details:
        raise DecodeError("a worker delivered neither sealed features nor a refusal")
    if not report.result:
        ledger.record(index, b"", report.details.decode(errors="replace"), report.private)
    elif len(report.details) == DIGEST_BYTES:
        ledger.record(index, report.result, features_digest=report.details)
    else:
        raise DecodeError("a worker delivered sealed features without their digest")
