"""How far the long steps of a ceremony are, on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pvcnn.cli.output import notes


class CeremonyBar:
    """A `pvcnn.ceremony.progress.Progress` that draws one bar a step, on stderr."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, step: str, total: int) -> None:
        self._finish()
        self._task = self._progress.add_task(step, total=total)
        if not notes.is_terminal:
            notes.print(step)

    def advance(self, parts: int) -> None:
        if self._task is not None:
            self._progress.advance(self._task, parts)

    def _finish(self) -> None:
        if self._task is not None:
            total = next(each.total for each in self._progress.tasks if each.id == self._task)
            self._progress.update(self._task, completed=total)


@contextmanager
def drawn() -> Iterator[CeremonyBar]:
    """While it lasts, steps are drawn on a terminal, and named elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
    with Progress(*columns, console=notes, disable=not notes.is_terminal) as progress:
        yield CeremonyBar(progress)
