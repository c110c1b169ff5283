"""Workers, and who watches them: a mutant that hangs or kills its process is a failure like others."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.mutation import measures
from tests.mutation.worker import NOTE, PREPARING, Failure, Job, Result

REGISTRY = "tests.mutation.registry"
_ROOT = Path(__file__).resolve().parents[2]
_LOOK_SECONDS = 0.1
#: Seconds of a processor's time after which a mutant is given up, and of waiting without any. The first
#: leaves a worker the time to say itself what took longer than it may; the second is longer, as other
#: processes may have the processors, and what waits (for a pipe, say) waits for ever.
GIVE_UP_AFTER, GIVE_UP_WAITING = 3.0, 30.0
_PREPARING_SECONDS = 300.0
#: After so many deaths of one kind, the rest of it is left alone.
_DEATHS = 5
_ONE_THREAD = dict.fromkeys(
    ("PVCNN_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
)


class _Process:
    """One worker process."""

    def __init__(self, samples: Path, folder: Path, keep: Path, registry: str) -> None:
        self._note = Path(tempfile.mkstemp(dir=folder, prefix="note-")[1])
        self._note.write_bytes(NOTE.pack(PREPARING))
        command = [
            sys.executable,
            "-m",
            "tests.mutation.worker",
            str(samples),
            str(self._note),
            str(keep),
            registry,
        ]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=_ROOT,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": str(_ROOT)},
        )

    def run(self, job: Job, slow: float) -> tuple[Result | None, int, str]:
        """The result; or None, the number of the mutant that killed the process, and how."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._note.write_bytes(NOTE.pack(PREPARING))
        self._child.stdin.write(json.dumps(job.__dict__).encode() + b"\n")
        self._child.stdin.flush()
        number, since, used = self._number(), time.monotonic(), self._used()
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            while not selector.select(_LOOK_SECONDS):
                if self._number() != number:
                    number, since, used = self._number(), time.monotonic(), self._used()
                    continue
                busy, waited = self._used() - used, time.monotonic() - since
                if number == PREPARING:
                    hangs = waited > _PREPARING_SECONDS
                else:
                    hangs = busy > GIVE_UP_AFTER + slow or waited > GIVE_UP_WAITING + 5 * slow
                if hangs:
                    self.stop()
                    return (
                        None,
                        number,
                        f"still running after {busy:.1f} s of a processor, {waited:.0f} s in all",
                    )
        line = self._child.stdout.readline()
        if not line:
            how = f"the process died: {_cause(self._child.wait())}\n{self._said()}"
            self.stop()
            return None, self._number(), how
        return _result(json.loads(line)), number, ""

    def stop(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._errors.close()

    def _number(self) -> int:
        number: int = NOTE.unpack(self._note.read_bytes())[0]
        return number

    def _used(self) -> float:
        return measures.processor_seconds(self._child.pid) or 0.0

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-1500:].decode(errors="replace")


def _cause(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _result(fields: dict[str, object]) -> Result:
    made = Result(**fields)  # type: ignore[arg-type]
    made.failures = [Failure(**each) for each in made.failures]  # type: ignore[arg-type]
    return made


def run_all(
    jobs: Sequence[tuple[Job, float]],
    samples: Path,
    keep: Path,
    processes: int = 1,
    registry: str = REGISTRY,
    done: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """The results of all jobs, each with the seconds that a mutant of it may take, in any order."""
    waiting, results, lock = list(jobs), list[Result](), threading.Lock()

    def work() -> None:
        with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
            process: _Process | None = None
            while True:
                with lock:
                    if not waiting:
                        break
                    job, slow = waiting.pop(0)
                process = process or _Process(samples, Path(folder), keep, registry)
                result, number, how = process.run(job, slow)
                if result is None:
                    process = None
                    result = Result(
                        job.kind, failures=[Failure(job.kind, job.seed, number, "not known", how)]
                    )
                    rest = job.first + job.count - number - 1
                    with lock:
                        deaths = sum(
                            f.mutator == "not known"
                            for r in results
                            if r.kind == job.kind
                            for f in r.failures
                        )
                        if number != PREPARING and rest and deaths + 1 < _DEATHS:
                            waiting.append((replace(job, first=number + 1, count=rest), slow))
                with lock:
                    results.append(result)
                    done(result)
            if process:
                process.stop()

    threads = [threading.Thread(target=work) for _ in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
