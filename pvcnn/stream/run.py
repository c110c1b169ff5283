"""`pvcnn stream`: intake, and everything around it."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import ray

from pvcnn.algebra.warmup import compile_kernels
from pvcnn.campaign.roles.cluster_ledger import ROLE as CLUSTER
from pvcnn.compute.proving_worker import SecretsInDirectory
from pvcnn.compute.session import local_session
from pvcnn.errors import CampaignError, DecodeError, PvcnnError
from pvcnn.stream.base import SEGMENTS, StreamModel, make_base
from pvcnn.stream.book import Book
from pvcnn.stream.cropping import cut_square
from pvcnn.stream.decisions import Decisions
from pvcnn.stream.events import Listener, NoteEvent, StepEvent, Summary
from pvcnn.stream.options import Control, StreamOptions
from pvcnn.stream.pool import WorkerPool
from pvcnn.stream.segment import OpenSegment
from pvcnn.stream.sources import Picture, Source
from pvcnn.stream.window import Window
from pvcnn.stream.workers import EvaluatingWorker, ProvingWorker

_TAKE_SECONDS = 0.1
#: One process of the owner's keeps this many provers busy.
_PROVERS_TO_AN_EVALUATOR = 4


def run_stream(
    source: Source,
    directory: Path,
    model: Callable[[], StreamModel],
    options: StreamOptions,
    listener: Listener,
    control: Control | None = None,
    session: Callable[[int], AbstractContextManager[None]] = local_session,
) -> Summary:
    """Decides and proves every frame of `source` in the new folder `directory`, until it ends.

    `model` is called once. The listener is called from several threads, one at a time. `session` opens a
    Ray session with so many processors, whose workers see `directory`. Raises CampaignError for a folder
    in use, and whatever `make_base` raises; what fails later is flagged.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise CampaignError(f"{directory} is not an empty directory: a stream needs one of its own")
    lock = threading.RLock()

    def tell(event: Any) -> None:
        with lock:
            listener(event)

    with ExitStack() as stack:
        stack.callback(source.close)
        return _Stream(source, directory, options, tell, control or Control(), stack).run(model, session)


class _Stream:
    def __init__(
        self,
        source: Source,
        directory: Path,
        options: StreamOptions,
        listener: Listener,
        control: Control,
        stack: ExitStack,
    ) -> None:
        self._source = source
        self._directory = directory
        self._options = options
        self._listener = listener
        self._control = control
        self._stack = stack
        self._window = Window(options.window)
        self._open: OpenSegment | None = None
        self._begun = 0
        self._ended = ""

    def run(
        self, make_model: Callable[[], StreamModel], session: Callable[[int], AbstractContextManager[None]]
    ) -> Summary:
        with self._step("kernels"):
            compile_kernels()
        with self._step("split"):
            self._model = make_model()
        with self._step("setup"):
            self._base = make_base(self._directory, self._model, max(2, self._options.every))
            (self._directory / SEGMENTS).mkdir()
        self._book = Book(self._directory, self._window, self._listener)
        self._stack.callback(self._book.close)
        with self._step("workers"):
            self._start_workers(session)
        start = time.monotonic()
        try:
            self._take_all()
            self._close_segment("end")
            while not self._decisions.wait(_TAKE_SECONDS):
                if self._control.abandoning.is_set():
                    self._abandon("interrupted")
        finally:  # has something to do only if an error ended the stream
            self._abandon("the stream broke off")
            self._book.flag_the_rest("the stream broke off")
        return self._summary(time.monotonic() - start)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._listener(StepEvent(step=name))
        start = time.monotonic()
        yield
        self._listener(StepEvent(step=name, seconds=time.monotonic() - start))

    def _start_workers(self, session: Callable[[int], AbstractContextManager[None]]) -> None:
        options, base = self._options, self._base
        processors = os.cpu_count() or 1
        provers = options.workers or processors
        threads = max(1, processors // provers)
        evaluators = -(-provers // _PROVERS_TO_AN_EVALUATOR)
        self._stack.enter_context(session(provers * threads + evaluators))
        root = str(base.folder.root.resolve())
        secrets = SecretsInDirectory(str(base.folder.private(CLUSTER).resolve()))
        evaluating = ray.remote(num_cpus=1)(EvaluatingWorker)
        proving = ray.remote(num_cpus=threads)(ProvingWorker)
        self._owners = self._pool(lambda: evaluating.remote(root), evaluators)
        self._provers = self._pool(lambda: proving.remote(root, secrets, threads), provers)
        for pool in (self._owners, self._provers):
            pool.start()
        self._decisions = Decisions(self._owners, self._provers, self._book, self._listener, options.deadline)

    def _pool(self, hire: Callable[[], Any], workers: int) -> WorkerPool:
        pool = WorkerPool(hire, workers, time_limit=self._options.time_limit, note=self._note)
        self._stack.callback(pool.close)
        return pool

    def _note(self, text: str) -> None:
        self._listener(NoteEvent(note=text))

    # intake

    def _take_all(self) -> None:
        """Until the source ends, or is idle for too long, or there are enough frames, or someone stops it."""
        options, last = self._options, time.monotonic()
        while not self._ended:
            self._close_if_due()
            if self._control.stopping.is_set():
                self._ended = "stopped"
            elif options.max_frames is not None and self._book.frames >= options.max_frames:
                self._ended = "enough frames"
            elif self._source.waits and not self._window.enter(_TAKE_SECONDS):
                self._close_if_stuck()
                last = time.monotonic()  # whoever has to wait is not idle
            else:
                picture = self._source.take(_TAKE_SECONDS)
                if picture is not None:
                    self._take(picture)
                    last = time.monotonic()
                    continue
                if self._source.waits:
                    self._window.leave()
                if self._source.ended:
                    self._ended = self._source.ended
                elif options.idle_seconds is not None and time.monotonic() - last > options.idle_seconds:
                    self._ended = f"nothing new for {options.idle_seconds:g} s"
        self._note(f"intake has ended: {self._ended}")

    def _take(self, picture: Picture) -> None:
        """Crops, encrypts and registers a picture, or flags it."""
        if not self._source.waits and not self._window.enter():
            self._book.drop(picture.name, "dropped: the window was full")
            self._close_if_stuck()
            return
        frame = self._book.enter(picture.name)
        if picture.pixels is None:
            self._book.flag(frame, picture.problem)
            return
        try:
            prepared = self._model.prepare(cut_square(picture.pixels, self._options.crop, self._model.side))
        except DecodeError as error:
            self._book.flag(frame, f"unreadable: {error}")
            return
        try:
            if self._open is None:
                self._open = OpenSegment(self._base, self._directory, self._begun)
                self._begun += 1
            self._open.add(frame, prepared)
        except (PvcnnError, OSError) as error:
            self._book.flag(frame, f"not registered: {error}")

    def _close_if_due(self) -> None:
        if self._open is None:
            return
        if len(self._open) >= self._options.every:
            self._close_segment("frames")
        elif time.monotonic() - self._open.since >= self._options.seconds:
            self._close_segment("seconds")

    def _close_if_stuck(self) -> None:
        """Where the open segment's frames fill the window, nothing would ever be decided."""
        if self._open is not None and len(self._open) >= self._window.in_flight:
            self._close_segment("window")

    def _close_segment(self, closed_by: str) -> None:
        if self._open is not None:
            closed = self._open.close(closed_by, self._book)
            self._open = None
            if closed is not None:
                self._decisions.take(closed)

    # the end

    def _abandon(self, reason: str) -> None:
        for pool in (self._owners, self._provers):
            pool.abandon(reason)

    def _summary(self, seconds: float) -> Summary:
        book, decisions = self._book, self._decisions
        latencies = sorted(book.latencies)
        summary = Summary(
            directory=str(self._directory),
            owner=self._base.owner_fingerprint,
            cluster=self._base.cluster_fingerprint,
            frames=book.frames,
            proved=book.proved,
            flagged=book.flagged,
            reasons=dict(book.reasons),
            segments=decisions.segments,
            segments_verified=decisions.verified,
            latency_median=statistics.median(latencies) if latencies else None,
            latency_95=latencies[(len(latencies) * 95 - 1) // 100] if latencies else None,
            seconds=seconds,
            throughput=book.proved / seconds,
            peak_in_flight=self._window.peak,
            ended=self._ended,
            complete=0 < book.frames == book.proved and decisions.segments == decisions.verified,
        )
        self._listener(summary)
        return summary
