"""The table of a run: what became of the mutants of each kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutation.targets import FATES
from tests.mutation.worker import Failure, Result

BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"
_MEGABYTE = 1e6
_HEAD = ("kind", "mutants", *FATES, "slowest, ms", "memory, MB")


@dataclass(frozen=True)
class Report:
    """kinds: a result each, of all its jobs. seconds: wall time, without the making of samples."""

    kinds: list[Result]
    seed: int
    seconds: float

    @classmethod
    def of(cls, results: Sequence[Result], seed: int, seconds: float) -> Report:
        merged: dict[str, Result] = {}
        for result in results:
            _add(merged.setdefault(result.kind, Result(result.kind)), result)
        return cls([merged[name] for name in sorted(merged)], seed, seconds)

    @property
    def total(self) -> Result:
        """All kinds together, with the slowest one's time and the largest one's memory."""
        total = Result("all")
        for kind in self.kinds:
            _add(total, kind)
        return total

    @property
    def failures(self) -> list[Failure]:
        return self.total.failures

    def table(self) -> str:
        """Markdown, with a line before it on the run as a whole."""
        head = [f"| {' | '.join(_HEAD)} |", f"| --- |{' ---: |' * (len(_HEAD) - 1)}"]
        rows = [_row(result) for result in (*self.kinds, self.total)]
        kinds = f"{self.total.mutants} mutants of {len(self.kinds)} kinds"
        said = f"{kinds}, seed {self.seed}, in {self.seconds:.0f} s"
        return "\n".join([f"{said}: {len(self.failures)} failures.", "", *head, *rows])

    def to_json(self) -> str:
        body = {
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "kinds": [asdict(kind) for kind in self.kinds],
        }
        return json.dumps(body, indent=1) + "\n"


def _add(total: Result, more: Result) -> None:
    total.mutants += more.mutants
    for fate in FATES:
        total.fates[fate] += more.fates[fate]
    for mutator, count in more.mutators.items():
        total.mutators[mutator] = total.mutators.get(mutator, 0) + count
    if more.slowest > total.slowest:
        total.slowest, total.slowest_mutator = more.slowest, more.slowest_mutator
    total.memory = max(total.memory, more.memory)
    total.failures += more.failures


def _row(result: Result) -> str:
    numbers = [f"{result.mutants}", *(f"{result.fates[fate]}" for fate in FATES)]
    numbers += [f"{1e3 * result.slowest:.1f}", f"{result.memory / _MEGABYTE:.1f}"]
    return f"| {result.kind} | {' | '.join(numbers)} |"


def write_into(path: Path, report: Report) -> None:
    """The table, between the marks in a document. Raises ValueError if it has none."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the table")
    path.write_text(f"{before}{BEGIN}\n{report.table()}\n{END}{after}")
