"""A process that judges mutants: jobs come as lines of JSON on its input, results go as lines to its output.

Where it is, it notes in a file that the parent maps too: a process that hangs or dies in C says no more.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import shutil
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tests.mutation import measures
from tests.mutation.samples import Samples
from tests.mutation.targets import FATES, Kind, Subject

NOTE = struct.Struct("<q")
#: In the note, while a kind's sample is made ready.
PREPARING = -1
#: Of resident memory, in bytes, that a kind's mutants may add to what the process has.
MOST_MEMORY = 256 << 20
#: Memory is looked at after so many mutants: reading /proc takes as long as a small artefact.
_LOOK_EVERY = 16


@dataclass(frozen=True)
class Job:
    """Mutants `first` to `first + count - 1` of a kind."""

    kind: str
    seed: int
    first: int
    count: int


@dataclass(frozen=True)
class Failure:
    """A mutant that had an effect, its mutator, and where its bytes are kept."""

    kind: str
    seed: int
    number: int
    mutator: str
    what: str
    kept: str = ""

    def __str__(self) -> str:
        which = f"--kind {self.kind!r} --seed {self.seed} --first {self.number} --number 1"
        kept = f"\n    the mutant: {self.kept}" if self.kept else ""
        said = f"{self.kind}, mutant {self.number} ({self.mutator}): {self.what}"
        return f"{said}\n    again: python -m tests.mutation {which}{kept}"


@dataclass
class Result:
    """What came of a job. slowest: seconds of a processor. memory: growth of the peak, in bytes."""

    kind: str
    mutants: int = 0
    fates: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FATES, 0))
    mutators: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    slowest_mutator: str = ""
    memory: int = 0
    failures: list[Failure] = field(default_factory=list)


class Worker:
    """note: where the number of the current mutant is written. keep: a folder for mutants that failed."""

    def __init__(self, samples: Samples, note: mmap.mmap, keep: Path, kinds: Mapping[str, Kind]) -> None:
        self._samples, self._note, self._keep, self._kinds = samples, note, keep, kinds

    def run(self, job: Job) -> Result:
        """Judges a job's mutants."""
        self._at(PREPARING)
        scratch = Path(tempfile.mkdtemp(prefix="mutation-"))
        try:
            subject: Subject = self._kinds[job.kind].make(self._samples, scratch)
            subject.honest()
            measures.bound_memory()
            return self._judge_all(job, subject, self._kinds[job.kind].seconds)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _judge_all(self, job: Job, subject: Subject, most_seconds: float) -> Result:
        result = Result(job.kind)
        memory = measures.forget_peak()
        for number in range(job.first, job.first + job.count):
            rng = random.Random(f"{job.seed}/{job.kind}/{number}")  # every mutant can be made by itself
            self._at(number)
            mutator, mutant = subject.mutant(rng)
            started = time.process_time()
            wrong = [what] if (what := self._judge(subject, mutant, result)) else []
            seconds = time.process_time() - started
            if seconds > most_seconds:
                wrong.append(f"took {seconds:.1f} s")
            result.mutants += 1
            result.mutators[mutator] = result.mutators.get(mutator, 0) + 1
            if seconds > result.slowest:
                result.slowest, result.slowest_mutator = seconds, mutator
            if number % _LOOK_EVERY == 0 or number == job.first + job.count - 1:
                grown = measures.resident_peak() - memory
                if grown > MOST_MEMORY >= result.memory:
                    wrong.append(f"{grown >> 20} MB more memory, here or up to {_LOOK_EVERY} mutants before")
                result.memory = max(result.memory, grown)
            if wrong:
                result.failures.append(
                    Failure(
                        job.kind, job.seed, number, mutator, "; ".join(wrong), self._kept(job, number, mutant)
                    )
                )
        return result

    def _judge(self, subject: Subject, mutant: Any, result: Result) -> str:
        """What is wrong, or nothing."""
        try:
            result.fates[subject.judge(mutant)] += 1
        except (
            BaseException
        ) as error:  # SystemExit, and PanicException of libraries in Rust, which is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            trace = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {error} ({Path(trace.filename).name}:{trace.lineno})"[:500]
        return ""

    def _at(self, number: int) -> None:
        NOTE.pack_into(self._note, 0, number)

    def _kept(self, job: Job, number: int, mutant: Any) -> str:
        self._keep.mkdir(parents=True, exist_ok=True)
        path = self._keep / f"{job.kind.replace(' ', '-').replace(',', '')}-{job.seed}-{number}"
        path.write_bytes(mutant if isinstance(mutant, bytes) else repr(mutant).encode())
        return str(path)


def serve(samples: Path, note: Path, keep: Path, registry: str, output: TextIO) -> None:
    """Runs jobs from standard input. registry: the module whose KINDS they name."""
    import importlib

    kinds = importlib.import_module(registry).KINDS
    with note.open("r+b") as handle, mmap.mmap(handle.fileno(), NOTE.size) as mapped:
        worker = Worker(Samples(samples), mapped, keep, kinds)
        for line in sys.stdin:
            result = worker.run(Job(**json.loads(line)))
            output.write(json.dumps(asdict(result)) + "\n")
            output.flush()


if __name__ == "__main__":
    # Results have a stream of their own: whatever the code under test prints, goes to standard error.
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], results)
