"""What happens while work is spread over workers, and what became of each submission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


@dataclass(frozen=True)
class WorkerName:
    """Where a worker runs: the machine's address, Ray's identifier of the node, the process."""

    host: str
    node: str
    process: int

    def __str__(self) -> str:
        return f"{self.host} process {self.process}"


@dataclass(frozen=True)
class Unfit:
    """What a worker says instead of its name if it cannot open the campaign; reason is public."""

    name: WorkerName
    reason: str


class Kind(StrEnum):
    """What an event says."""

    STARTED = "started"  # a worker was given the submission
    LOST = "lost"  # the worker died
    OVERDUE = "overdue"  # the worker took longer than the time limit and was ended
    FALSE = "false"  # what the worker delivered does not verify; it was ended
    UNABLE = "unable"  # the worker reported a failure; one on another node may do better
    UNFIT = "unfit"  # a worker cannot open the campaign where it is
    DONE = "done"  # recorded
    FAILED = "failed"  # given up
    WAITING = "waiting"  # no worker has started yet: the cluster has no room


@dataclass(frozen=True)
class Event:
    """Public: no field holds a value of anything secret. index is -1 and worker None where there is none.

    attempt: how many workers the submission was given to so far. seconds: wall time by step, once it is done.
    """

    kind: Kind
    index: int
    worker: WorkerName | None = None
    detail: str = ""
    attempt: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)


#: Whose detail is for people.
_EXPLAINED = frozenset({Kind.FAILED, Kind.UNABLE, Kind.UNFIT})
#: After one of these a submission is settled.
FINAL = frozenset({Kind.DONE, Kind.FAILED})

_SENTENCES = {
    Kind.STARTED: "at work",
    Kind.LOST: "the worker died; trying again",
    Kind.OVERDUE: "the worker took too long; trying again",
    Kind.FALSE: "what the worker delivered does not verify; trying another",
    Kind.UNABLE: "the worker could not do it; trying on another machine, if there is one",
    Kind.UNFIT: "a worker cannot open the campaign there; going on without it",
    Kind.DONE: "done",
    Kind.FAILED: "failed",
    Kind.WAITING: "waiting for a machine with room for a worker",
}


def describe(event: Event) -> str:
    """An event in a few words for people, without the submission's name."""
    where = f" ({event.worker})" if event.worker else ""
    why = f": {event.detail}" if event.kind in _EXPLAINED else ""
    return f"{_SENTENCES[event.kind]}{where}{why}"


Listener: TypeAlias = Callable[[Event], None]


def tell_all(*listeners: Listener) -> Listener:
    """One listener that tells several, in this order."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


@dataclass(frozen=True)
class Report:
    """What a worker delivers for one submission.

    result    what it made; empty if it failed
    details   something to go with it, sealed or fit to be published, perhaps nothing
    seconds   wall time by step
    failure   in public words why it made nothing
    private   for the own log of the role that the worker serves, and nobody else
    """

    result: bytes = b""
    details: bytes = b""
    seconds: dict[str, float] | None = None
    failure: str = ""
    private: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one submission.

    attempts   how many workers it was given to; 0 if it was never started
    seconds    wall time by step, of the attempt that counts
    failure    in public words; empty if something was recorded
    """

    index: int
    attempts: int
    seconds: dict[str, float]
    failure: str = ""
