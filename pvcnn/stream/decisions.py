"""From a closed segment to decisions, and to an aggregate that verifies.

Each frame goes to the owner's workers and then to the cluster's; what they deliver, the ledgers of owner
and cluster record. When the last one is settled, the segment is aggregated and verified as any campaign.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial

from pvcnn.campaign.artefacts.outcome import ClusterOutcome
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.verification import auditor
from pvcnn.campaign.verification.report import Status
from pvcnn.compute.evaluation import record_evaluated
from pvcnn.compute.events import Report
from pvcnn.errors import PvcnnError
from pvcnn.stream.book import Book, Frame
from pvcnn.stream.events import Listener, SegmentEvent
from pvcnn.stream.pool import Task, WorkerPool
from pvcnn.stream.segment import ClosedSegment


class Decisions:
    """Takes closed segments, and has each decided, proved, aggregated and verified.

    deadline: seconds from a frame's intake until nobody waits for its proof; None for no limit.
    """

    def __init__(
        self,
        owners: WorkerPool,
        provers: WorkerPool,
        book: Book,
        listener: Listener,
        deadline: float | None = None,
    ) -> None:
        self.segments = self.verified = 0
        self._owners = owners
        self._provers = provers
        self._book = book
        self._listener = listener
        self._deadline = deadline
        self._finished = 0
        self._progress = threading.Condition()
        self._settled: queue.SimpleQueue[ClosedSegment] = queue.SimpleQueue()
        threading.Thread(target=self._finish_segments, daemon=True).start()

    def take(self, segment: ClosedSegment) -> None:
        """Begins with a segment; returns at once."""
        self.segments += 1
        _Segment(segment, self._settled.put, self._owners, self._provers, self._book, self._deadline).start()

    def wait(self, seconds: float) -> bool:
        """Whether every segment that was taken is aggregated, after so many seconds at most."""
        with self._progress:
            return self._progress.wait_for(lambda: self._finished == self.segments, seconds)

    def _finish_segments(self) -> None:
        while True:
            event = self._finish(self._settled.get())
            try:
                self._listener(event)
            finally:
                with self._progress:
                    self.verified += event.verified
                    self._finished += 1
                    self._progress.notify()

    def _finish(self, segment: ClosedSegment) -> SegmentEvent:
        """Aggregates and verifies; frames of a segment that does not verify do not count as proved."""
        proved: set[int] = set()
        verified, reason = False, ""
        try:
            with _timed(segment.seconds, "aggregate"):
                aggregate_campaign(segment.folder)
            with _timed(segment.seconds, "verify"):
                verdict = auditor.verify(segment.folder.public.path)
            proved = {each.index for each in verdict.outcomes if each.status is Status.PROVED}
            verified = verdict.verified
            reason = "" if verified else f"{verdict.refused} refused, {verdict.missing} missing"
        except (PvcnnError, OSError) as error:
            reason = str(error)
        for index, frame in segment.frames.items():
            if index not in proved:
                self._book.retract(frame, f"segment not verified: {reason}")
        return SegmentEvent(
            segment=segment.name,
            frames=len(segment.frames),
            proved=len(proved),
            verified=verified,
            closed_by=segment.closed_by,
            reason=reason,
            seconds=segment.seconds,
        )


class _Segment:
    """One segment's frames on their way through owner and cluster."""

    def __init__(
        self,
        segment: ClosedSegment,
        settled: Callable[[ClosedSegment], None],
        owners: WorkerPool,
        provers: WorkerPool,
        book: Book,
        deadline: float | None,
    ) -> None:
        self._segment = segment
        self._settled = settled
        self._owners = owners
        self._provers = provers
        self._book = book
        self._deadline = deadline
        self._path = str(segment.folder.root.resolve())
        self._left = len(segment.frames)
        self._lock = threading.Lock()

    def start(self) -> None:
        for index in self._segment.frames:
            task = self._task(index, partial(self._answer, index))
            self._owners.submit(task).add_done_callback(partial(self._answered, index))

    def _task(self, index: int, accept: Callable[[Report], None]) -> Task:
        frame = self._segment.frames[index]
        deadline = None if self._deadline is None else frame.since + self._deadline
        return Task(self._path, index, accept, deadline)

    def _answer(self, index: int, report: Report) -> None:
        record_evaluated(self._segment.owner, index, report)

    def _answered(self, index: int, done: Future[Report]) -> None:
        frame = self._segment.frames[index]
        error = done.exception()
        if error is not None:
            self._give_up(index, frame, f"not evaluated: {error}")
        elif not done.result().result:
            self._end(frame, f"refused by the owner: {done.result().details.decode()}")
        else:
            self._prove(index, frame)

    def _give_up(self, index: int, frame: Frame, reason: str) -> None:
        """The owner refuses what it could not evaluate: others in the segment wait for an answer to each."""
        try:
            self._segment.owner.record(index, b"", reason)
        except (PvcnnError, OSError) as error:
            reason = f"{reason}; {error}"
        self._end(frame, reason)

    def _prove(self, index: int, frame: Frame) -> None:
        try:
            self._segment.cluster.take(index)
        except (PvcnnError, OSError) as error:
            self._end(frame, f"not proved: {error}")
            return
        task = self._task(index, partial(self._record, index))
        self._provers.submit(task).add_done_callback(partial(self._proved, index))

    def _record(self, index: int, report: Report) -> None:
        self._segment.cluster.record(index, report.result, report.details)

    def _proved(self, index: int, done: Future[Report]) -> None:
        frame, segment = self._segment.frames[index], self._segment
        error = done.exception()
        if error is not None:
            self._end(frame, f"not proved: {error}")
            return
        proof = ClusterOutcome.from_bytes(done.result().result).proof
        assert proof is not None  # a refusal is no result: the ledger raised
        (decision,) = segment.revealed.decisions(proof.statement.outputs)
        try:
            self._book.decide(frame, decision, segment.proof(index), segment.statement(index))
        finally:
            self._end(frame)

    def _end(self, frame: Frame, reason: str = "") -> None:
        """The frame is settled; after the last one, so is the segment."""
        try:
            if reason:
                self._book.flag(frame, reason)
        finally:
            with self._lock:
                self._left -= 1
                last = not self._left
            if last:
                self._settled(self._segment)


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[step] = time.monotonic() - start
