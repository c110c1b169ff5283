"""Evaluates submissions in this process: for few of them, starting Ray costs more than it saves."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.compute.events import Event, Kind, Listener, Outcome
from pvcnn.errors import CampaignError

#: What a Ray session of our own and workers that open the campaign take to start, in seconds.
RAY_START_SECONDS = 6.0


def infer_here(
    owner: OwnerRole,
    indices: Sequence[int],
    *,
    end: float | None = None,
    listener: Listener = lambda event: None,
) -> list[Outcome]:
    """Evaluates and answers `indices`, one after the other; none is begun after `end` (time.monotonic()).

    Returns an Outcome for each, as `pvcnn.compute.evaluation.infer_all` does: one that is answered already
    has 0 attempts, and one that is refused is answered too, and no failure. Raises CampaignError and
    VerificationError if the owner's folder cannot be opened.
    """
    outcomes = []
    for index in indices:
        if owner.ledger.answered(index) is not None:
            outcome = Outcome(index, 0, {})
        elif end is not None and time.monotonic() > end:
            outcome = Outcome(index, 0, {}, "the deadline came first")
        else:
            listener(Event(Kind.STARTED, index, attempt=1))
            outcome = _infer(owner, index)
        outcomes.append(outcome)
        kind, seconds = Kind.FAILED if outcome.failure else Kind.DONE, outcome.seconds
        listener(Event(kind, index, detail=outcome.failure, attempt=outcome.attempts, seconds=seconds))
    return outcomes


def _infer(owner: OwnerRole, index: int) -> Outcome:
    owner.open_evaluator()  # what is wrong with the folder is no failure of this submission
    start = time.perf_counter()
    try:
        owner.infer(index)
    except CampaignError as error:
        return Outcome(index, 1, {}, str(error))
    return Outcome(index, 1, {"evaluate": time.perf_counter() - start})


def ray_pays(seconds_each: float, submissions: int, workers: int) -> bool:
    """Whether `workers` processes save more of the time of `submissions` than it takes to start them."""
    return seconds_each * submissions * (1 - 1 / workers) > RAY_START_SECONDS
