"""Live progress on stderr: a row a step or a bar over cuts, with what is happening beside it."""

from __future__ import annotations

from types import TracebackType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from pvcnn.cli.output import duration, notes, plain


class StepProgress:
    """A `pvcnn.demo.Listener` that draws. Where stderr is no terminal, a line a step instead."""

    def __init__(self, titles: dict[str, str]) -> None:
        self._titles = titles
        self._width = max(map(len, titles.values()))
        self._live = notes.is_terminal
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}[/]"),
            console=notes,
        )

    def __enter__(self) -> StepProgress:
        if self._live:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, step: str, total: int) -> None:
        self._tasks[step] = self._progress.add_task(
            f"{self._titles[step]:<{self._width}}", total=total, detail=""
        )

    def advance(self, step: str, detail: str = "", parts: int = 1) -> None:
        self._progress.advance(self._tasks[step], parts)
        if detail:
            self.note(step, detail)

    def reach(self, step: str, parts: int) -> None:
        """Says how many parts are done by now."""
        self._progress.update(self._tasks[step], completed=parts)

    def note(self, step: str, detail: str) -> None:
        self._progress.update(self._tasks[step], detail=detail)

    def say(self, sentence: str) -> None:
        """A line that stays, above the rows."""
        notes.print(f"  {sentence}", soft_wrap=True, markup=False)

    def finish(self, step: str, seconds: float) -> None:
        task = self._tasks[step]
        total = next(each.total for each in self._progress.tasks if each.id == task)
        self._progress.update(task, completed=total, detail="")
        if not self._live:
            notes.print(f"{self._titles[step]:<{self._width}}  {duration(seconds)}")


class CutProgress:
    """A bar over cuts, with the one that is worked on; a line a cut where stderr is no terminal."""

    def __init__(self, title: str) -> None:
        self._progress = Progress(
            TextColumn(title),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[place]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.description}[/]"),
            console=notes,
        )
        self._task = self._progress.add_task("", total=None, place="")
        self._last = ""

    def __enter__(self) -> CutProgress:
        if notes.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, number: int, count: int, cut: str, stage: str, share: float = 0.0) -> None:
        """The cut after `number` of `count` is worked on, `share` of it being done: a
        `pvcnn.planning.cuts.Progress`."""
        described = f"cut {plain(cut)}: {stage}"
        place = f"{number + 1}/{count}"
        done = number + share
        self._progress.update(self._task, total=count, completed=done, description=described, place=place)
        if not notes.is_terminal and cut != self._last:
            notes.print(f"cut {plain(cut)} ({number + 1} of {count})")
        self._last = cut
