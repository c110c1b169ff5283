"""Where things are printed: progress and notes on stderr, results on stdout, JSON on its last line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

#: Progress, notes and errors.
notes = Console(stderr=True, highlight=False)
#: Results for people.
results = Console(highlight=False)


def print_json(report: Mapping[str, Any]) -> None:
    """One JSON object on one line of stdout: the last thing a command with --json prints."""
    print(json.dumps(report, sort_keys=True), flush=True)


def done(as_json: bool, report: Mapping[str, Any]) -> None:
    """What a step did: a line a field, or one JSON object."""
    if as_json:
        print_json(report)
        return
    for name, value in report.items():
        results.print(f"{name.replace('_', ' ')}: {value}", soft_wrap=True, markup=False)


def plain(text: object) -> str:
    """`text` for a console as it is: no markup of ours, no control character of a terminal's.

    For whatever others have a say in, such as the names of files in a campaign's folder.
    """
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text)))


def table(title: str, *columns: str) -> Table:
    """An empty table in the house style; columns that start with '>' are right-aligned."""
    result = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        right = column.startswith(">")
        result.add_column(column.removeprefix(">"), justify="right" if right else "left")
    return result


def size(count: int) -> str:
    """A number of bytes for people: '240 B', '20.1 kB', '28.9 MB'."""
    for unit, scale in (("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def duration(seconds: float) -> str:
    """A time for people: '3 ms', '1.25 s', '2 min 5 s'."""
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    return f"{int(seconds // 60)} min {seconds % 60:.0f} s"
