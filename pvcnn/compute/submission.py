"""Submits a campaign as a job to a Ray cluster that shares no storage with this machine.

This side keeps the ledger. It sends a bundle, delivers keys when the job asks for them, and takes results
out of the job's log, believing none that does not verify. What a job has told stays, whatever becomes of
the job, so submitting again proves only what is missing; while a job runs, it follows that one.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.aggregate.schemes import AnyAggregate, decode_aggregate
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.roles.aggregator import Aggregation, aggregate_campaign, fold_here
from pvcnn.campaign.roles.cluster_ledger import ROLE, ClusterLedger
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.verification import auditor
from pvcnn.compute.bundle import make_bundle
from pvcnn.compute.events import Listener
from pvcnn.compute.intake import Intake
from pvcnn.compute.job import JobSettings
from pvcnn.compute.job_board import JobBoard
from pvcnn.compute.key_delivery import Place
from pvcnn.compute.key_sender import KeySender
from pvcnn.errors import DecodeError, SubmissionRefused, VerificationError
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass
class Submitted:
    """What came of it.

    job         the name of the last job; empty if none was needed
    attempts    how many jobs there have been for this campaign
    failed      reasons by index
    verified    what `verify` says of the campaign's folder now
    folded_by   'cluster' or 'here'; empty if nothing was proved
    wall, span, work   seconds of proving by the jobs' own account (`Proved`)
    workers     how many there were
    """

    job: str = ""
    attempts: int = 0
    proved: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    aggregate_bytes: int = 0
    folded_by: str = ""
    verified: bool = False
    wall: float = 0.0
    span: float = 0.0
    work: float = 0.0
    workers: int = 0


def interpreter_for(address: str, chosen: str | None) -> str:
    """How a job's entrypoint calls Python: as chosen, this very one on this machine, or `python`."""
    return chosen or (sys.executable if urlsplit(address).hostname in _LOOPBACK else "python")


class Submission:
    """One campaign on one cluster.

    say: takes a line for people. listener: hears what becomes of each submission, and DONE when it is
    recorded here.
    """

    def __init__(
        self,
        directory: Path,
        board: JobBoard,
        settings: JobSettings,
        python: str,
        *,
        listener: Listener = lambda event: None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._folder = CampaignFolder(directory)
        self._board = board
        self._settings = settings
        self._python = python
        self._say = say
        self._ledger = ClusterLedger.open(directory)
        self._indices = list(self._ledger.to_prove())
        self._intake = Intake(self._ledger, self._indices, listener, say)
        self._keys: KeySender | None = None
        if not settings.secrets:
            secrets = ClusterSecrets.load_from(self._folder.private(ROLE))
            self._keys = KeySender(board, Place.of(self._ledger.proceedings), secrets, python)

    @classmethod
    def to(
        cls,
        address: str,
        directory: Path,
        settings: JobSettings,
        python: str | None = None,
        *,
        listener: Listener = lambda event: None,
        say: Callable[[str], None] = lambda text: None,
    ) -> Submission:
        """Raises CampaignError if the owner has not answered, `keygen` has not run here and no directory
        of secrets is named, or the job server does not answer."""
        registry = ClusterLedger.open(directory).proceedings.registry.digest()
        board = JobBoard(address, registry)
        return cls(directory, board, settings, interpreter_for(address, python), listener=listener, say=say)

    @property
    def frames(self) -> int:
        """Frames in each submission."""
        return self._ledger.proceedings.manifest.frames

    @property
    def to_prove(self) -> list[int]:
        """What the owner answered and did not refuse."""
        return list(self._indices)

    def run(self) -> Submitted:
        """Proves what is missing, folds all proofs and verifies.

        Raises CampaignError if the job server fails, keys that a job asks for cannot be delivered, or not
        one answer fits into a bundle.
        """
        over = [attempt for attempt, ended in self._board.attempts().items() if ended]
        for attempt in over if self.left() else over[-1:]:
            self._say(f"taking what {self._board.name(attempt)} left")
            self._follow(attempt, None)
        done = Submitted(attempts=max(over, default=0))
        left = self.left()
        for index in left:
            self._ledger.take(index)
        while left:
            attempt, left = self._start(left)
            done.job, done.attempts = self._board.name(attempt), attempt
            self._follow(attempt, self._keys)
            if not self._board.succeeded(done.job):
                self._say(f"{done.job} has {self._board.state(done.job).lower()}: submit again to go on")
                break
        self._report(done)
        return done

    def left(self) -> list[int]:
        """What has no outcome yet."""
        left = []
        for index in self._indices:
            try:
                if not self._ledger.recorded(index):
                    left.append(index)
            except SubmissionRefused:
                continue
        return left

    def _start(self, left: list[int]) -> tuple[int, list[int]]:
        """The number of the attempt that runs, one that is there or a new one, and what comes after it."""
        while True:
            attempts = self._board.attempts()
            attempt = max(attempts, default=0)
            if attempts and not attempts[attempt]:
                self._say(f"following {self._board.name(attempt)}, which runs already")
                return attempt, []
            attempt += 1
            with tempfile.TemporaryDirectory(prefix="pvcnn-") as directory:
                name = self._board.name(attempt)
                taken = make_bundle(self._folder, Path(directory), name, left)
                after = left[len(taken) :]
                if self._board.submit(attempt, self._entrypoint(more=bool(after)), Path(directory)):
                    self._say(f"submitted {name}: {len(taken)} to prove")
                    return attempt, after

    def _entrypoint(self, more: bool) -> str:
        settings = self._settings
        options = {
            "--workers": settings.workers,
            "--threads": settings.threads,
            "--gpus-per-worker": settings.gpus or None,
            "--time-limit": settings.time_limit,
            "--deadline": settings.deadline,
            "--secrets": settings.secrets or None,
        }
        words = [self._python, "-m", "pvcnn", "run-job"]
        for name, value in options.items():
            if value is not None:
                words += [name, str(value)]
        return shlex.join([*words, *(["--more"] if more else [])])

    def _follow(self, attempt: int, keys: KeySender | None) -> None:
        """Reads a job's log to its end; `keys` sends secrets when it asks for them."""
        name = self._board.name(attempt)
        self._intake.begin(keys)
        for line in self._board.follow(name):
            if line is not None:
                self._intake.take(line)
            if keys is not None:
                keys.tick()
        if keys is not None:
            keys.tidy()
        if self._intake.reason:
            self._say(f"{name} gave up: {self._intake.reason}")

    def _report(self, done: Submitted) -> None:
        intake = self._intake
        done.wall, done.span, done.work = intake.wall, intake.span, intake.work
        done.workers = intake.workers
        for index in self._indices:
            try:
                if not self._ledger.recorded(index):
                    done.failed[index] = self._intake.failures.get(index, "the job ended before")
            except SubmissionRefused as error:
                done.failed[index] = str(error)
        done.proved = len(self._indices) - len(done.failed)
        if not done.proved and self.left():
            return
        with _alone_in(self._folder.public.path):
            aggregation = self._aggregate(done)
            done.aggregate_bytes = aggregation.aggregate_bytes
            done.verified = auditor.verify(self._folder.root).verified

    def _aggregate(self, done: Submitted) -> Aggregation:
        """Takes the job's aggregate if it proves what is recorded here, and makes one if not."""

        def fold(key: AggregationKey, verification_key: VerificationKey, proofs: list[Proof]) -> AnyAggregate:
            statements = [proof.statement for proof in proofs]
            try:
                received = decode_aggregate(self._intake.aggregate, [len(statements)])
                verify_aggregate(key.verifier, verification_key, statements, received)
            except (DecodeError, VerificationError, ValueError) as error:
                if self._intake.aggregate:
                    self._say(f"the job's aggregate is not that of these proofs ({error}); folding here")
                done.folded_by = "here"
                return fold_here(key, verification_key, proofs)
            done.folded_by = "cluster"
            return received

        return aggregate_campaign(self._folder, fold)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Waits until no other submission of the campaign publishes: both may follow the same job."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
