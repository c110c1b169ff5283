"""Takes results out of a job's log, line by line, and believes none that does not verify."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.compute.events import Event, Kind, Listener
from pvcnn.compute.job_events import (
    Delivered,
    Ended,
    Folded,
    Happened,
    JobEvent,
    KeysHeld,
    KeysWanted,
    Proved,
    decode_line,
)
from pvcnn.errors import DecodeError, SubmissionRefused, VerificationError

if TYPE_CHECKING:
    from pvcnn.compute.key_sender import KeySender


class Intake:
    """Reads one log after the other.

    failures    the last reason that a log gave for each submission that it gave up
    aggregate   the last that a log held, unchecked; empty if there was none
    reason      why the job that is being read gave up as a whole; empty if it did not say so
    refused     how many lines claimed what is not so
    wall, span, work   seconds of proving (`Proved`), of all jobs that were read
    workers            the most of one job
    """

    def __init__(
        self,
        ledger: ClusterLedger,
        indices: Collection[int],
        listener: Listener,
        say: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._registry = ledger.proceedings.registry.digest()
        self._indices = set(indices)
        self._listener = listener
        self._say = say
        self._keys: KeySender | None = None
        self.failures: dict[int, str] = {}
        self.aggregate = b""
        self.reason = ""
        self.refused = 0
        self.wall = 0.0
        self.span = 0.0
        self.work = 0.0
        self.workers = 0

    def begin(self, keys: KeySender | None) -> None:
        """To be called before the first line of each log. keys: who sends secrets, if anyone."""
        self._keys = keys
        self.reason = ""

    def take(self, line: str) -> None:
        """Whatever the line holds: what is not so is counted and said once."""
        try:
            event = decode_line(self._registry, line)
            if event is not None:
                self._take(event)
        except (DecodeError, VerificationError, ValueError) as error:
            self.refused += 1
            if self.refused == 1:
                self._say(f"the job's log holds what is not so, which is left out: {error}")

    def _take(self, event: JobEvent) -> None:
        match event:
            case Happened(event=happened):
                self._hear(happened)
            case Delivered():
                self._record(event)
            case KeysHeld():  # before KeysWanted, of which it is one
                if self._keys is not None:
                    self._keys.held(event.public_key)
            case KeysWanted():
                if self._keys is not None:
                    self._keys.wanted(event.public_key)
            case Proved():
                self.wall += event.wall / 1e3
                self.span += event.span / 1e3
                self.work += event.work / 1e3
                self.workers = max(self.workers, event.workers)
            case Folded():
                self.aggregate = event.aggregate
            case Ended():
                self.reason = event.reason

    def _hear(self, event: Event) -> None:
        """Passes on everything but DONE, which is for this side to say."""
        if event.kind is Kind.FAILED:
            self.failures[event.index] = event.detail
        elif event.kind is not Kind.DONE:
            self._listener(event)

    def _record(self, event: Delivered) -> None:
        index = event.index
        if index not in self._indices:
            raise VerificationError(f"a result for submission {index}, which is not to be proved")
        try:
            new = self._ledger.record(index, event.outcome, event.details)
        except SubmissionRefused as error:
            self._listener(Event(Kind.FAILED, index, detail=str(error)))
            return
        if new:
            self._listener(Event(Kind.DONE, index))
