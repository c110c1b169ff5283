"""Timing ours beside a reference, interleaved in one run, so that ratios hold on a noisy machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Called after each timed round; for progress.
Tick = Callable[[], object]
#: How long a turn lasts at least.
LEAST_SECONDS = 0.1


@dataclass(frozen=True)
class Case:
    """Something to time. The reference does 1 / `share` of the work, where all of it takes too long."""

    name: str
    ours: Callable[[], object]
    reference: Callable[[], object] | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Timing:
    """Seconds of one function over several runs: processor time of all threads, and wall time."""

    cpu: tuple[float, ...]
    wall: tuple[float, ...]

    def to_json(self, share: float = 1.0) -> dict[str, float]:
        """Medians and the spread of processor time, scaled up by `share`."""
        return {
            "cpu": share * statistics.median(self.cpu),
            "cpu_least": share * min(self.cpu),
            "cpu_most": share * max(self.cpu),
            "wall": share * statistics.median(self.wall),
        }


def compare(
    cases: Sequence[Case], repeat: int, tick: Tick = lambda: None, least: float = LEAST_SECONDS
) -> dict[str, Any]:
    """`ours`, `reference` and `ratio` (reference over ours, processor time) of each case, by name.

    Each case runs once untimed, which compiles and fills tables; then ours and the reference take
    turns, `repeat` times. A turn repeats its function until it has taken `least` seconds and counts
    their mean, so that neither pays for caches that the other has just filled. Times are seconds.
    """
    report: dict[str, dict[str, Any]] = {"ours": {}, "reference": {}, "ratio": {}}
    for case in cases:
        case.ours()
        ours, reference = [], []
        for _ in range(repeat):
            ours.append(turn(case.ours, least))
            if case.reference is not None:
                reference.append(turn(case.reference, least))
            tick()
        report["ours"][case.name] = _timing(ours).to_json()
        if reference:
            report["reference"][case.name] = _timing(reference).to_json(case.share)
            report["ratio"][case.name] = (
                report["reference"][case.name]["cpu"] / report["ours"][case.name]["cpu"]
            )
    return report


def turn(function: Callable[[], object], least: float) -> tuple[float, float]:
    """Mean processor and wall time of as many calls as take `least` seconds, and of one at least."""
    calls, wall, cpu = 0, time.perf_counter(), time.process_time()
    while not calls or time.perf_counter() - wall < least:
        function()
        calls += 1
    return (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls


def _timing(runs: Sequence[tuple[float, float]]) -> Timing:
    return Timing(tuple(cpu for cpu, _ in runs), tuple(wall for _, wall in runs))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Kernels run on `count` threads meanwhile."""
    before = os.environ.get("PVCNN_THREADS")
    os.environ["PVCNN_THREADS"] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PVCNN_THREADS"]
        else:
            os.environ["PVCNN_THREADS"] = before


def machine() -> str:
    """Processors and Python, without any name of this machine."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
    return f"{os.cpu_count()} cores {model}, Python {platform.python_version()}"


def medians(seconds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each step over several runs."""
    return {step: statistics.median(run[step] for run in seconds) for step in seconds[0]}
