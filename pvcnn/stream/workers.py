"""The bodies of a stream's two kinds of actors: keys are opened once and serve segment after segment."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pvcnn.compute.events import Report, WorkerName
from pvcnn.compute.proving_worker import SecretsSource, this_worker
from pvcnn.errors import PvcnnError

#: Segments whose registry a worker keeps open: those that are in flight, and hardly more.
_SEGMENTS = 8


class EvaluatingWorker:
    """The owner's: holds the private part, sees ciphertexts. base: the folder of the owner's secrets."""

    def __init__(self, base: str) -> None:
        from pvcnn.campaign.roles.evaluator import EvaluatorKeys, SubmissionEvaluator

        keys = EvaluatorKeys.open(Path(base))
        self._segment = lru_cache(_SEGMENTS)(lambda path: SubmissionEvaluator.with_keys(Path(path), keys))

    def identify(self) -> WorkerName:
        return this_worker()

    def work(self, segment: str, index: int) -> Report:
        """As the worker of `pvcnn.compute.evaluating_worker` does."""
        try:
            evaluated = self._segment(segment).evaluate(index)
        except PvcnnError as error:
            return Report(failure=type(error).__name__)
        details = evaluated.features_digest or evaluated.reason.encode()
        return Report(evaluated.sealed, details, evaluated.seconds, private=evaluated.details)


class ProvingWorker:
    """The cluster's: decrypts, decides, proves. base: a campaign whose keys all segments have."""

    def __init__(self, base: str, secrets: SecretsSource, threads: int) -> None:
        os.environ["PVCNN_THREADS"] = str(threads)
        from pvcnn.campaign.roles.prover import ProverKeys, SubmissionProver

        keys = ProverKeys.open(Path(base), secrets.load())
        self._segment = lru_cache(_SEGMENTS)(lambda path: SubmissionProver.with_keys(Path(path), keys))

    def identify(self) -> WorkerName:
        return this_worker()

    def work(self, segment: str, index: int) -> Report:
        """The outcome of one submission, or in public words why there is none."""
        try:
            examined = self._segment(segment).examine(index)
        except PvcnnError as error:
            # Whatever may hold features is sealed in `details`: only the kind of any other failure leaves.
            return Report(failure=type(error).__name__)
        return Report(examined.outcome, examined.details, examined.seconds)
