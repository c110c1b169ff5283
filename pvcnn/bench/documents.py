"""Measured tables in documents: what stands between two marks is written by a script and by nobody else."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path

from pvcnn.bench.measure import machine
from pvcnn.files import write_atomically

END = "<!-- to here -->"


def mark(script: str) -> str:
    """What a document has before the table of a script, named as one calls it."""
    return f"<!-- {script} writes from here -->"


def measured_here() -> str:
    """Today's date and this machine, which go above a table."""
    return f"{datetime.datetime.now(datetime.UTC).date().isoformat()}, {machine()}."


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table of Markdown whose first `left` columns hold words; the others are numbers, to the right."""
    alignment = ["---"] * left + ["---:"] * (len(columns) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, alignment, *rows))


def replace_measured(document: Path, script: str, text: str) -> None:
    """Puts a text between the mark of a script and the next END; ValueError if the document lacks one."""
    begin = mark(script)
    whole = document.read_text()
    if whole.count(begin) != 1 or END not in whole.partition(begin)[2]:
        raise ValueError(f"{document} lacks the marks {begin!r} and {END!r}")
    before, _, rest = whole.partition(begin)
    after = rest.partition(END)[2]
    write_atomically(document, f"{before}{begin}\n{text}\n{END}{after}".encode())
