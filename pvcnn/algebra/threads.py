"""A pool of threads over kernels that release the interpreter lock.

PVCNN_THREADS limits their number; otherwise every processor that this process may use has one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import TypeVar

Result = TypeVar("Result")


def thread_count() -> int:
    """How many threads work at a time: PVCNN_THREADS, or the processors of this process."""
    configured = os.environ.get("PVCNN_THREADS", "")
    if configured:
        if not configured.isdigit() or int(configured) < 1:
            raise ValueError(f"PVCNN_THREADS must be a positive integer, not {configured!r}")
        return int(configured)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _pool(_process: int, threads: int) -> ThreadPoolExecutor:
    """The pool of this process: threads don't survive a fork, so a child makes its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="pvcnn-algebra")


def run(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """The results of all tasks, in order. Tasks must not call `run` themselves."""
    return list(results(tasks))


def results(tasks: Sequence[Callable[[], Result]]) -> Iterator[Result]:
    """As `run`, each result as soon as it and those before it are there."""
    threads = thread_count()
    if len(tasks) < 2 or threads == 1:
        return (task() for task in tasks)
    return _pool(os.getpid(), threads).map(lambda task: task(), tasks)


def spans(count: int, minimum: int) -> list[tuple[int, int]]:
    """Splits range(count) into one span (start, stop) a thread; several have at least `minimum` each."""
    parts = max(1, min(thread_count(), count // max(1, minimum)))
    return [(count * i // parts, count * (i + 1) // parts) for i in range(parts)]


def run_spans(function: Callable[[int, int], Result], count: int, minimum: int) -> list[Result]:
    """function(start, stop) for every span of range(count), as `spans` splits it."""
    return run([partial(function, start, stop) for start, stop in spans(count, minimum)])
