"""Who is told how far the long steps of a ceremony are."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears of steps, one after another."""

    def begin(self, step: str, total: int) -> None:
        """A step of `total` parts begins; the one before it is finished."""
        ...

    def advance(self, parts: int) -> None:
        """So many more parts are done."""
        ...


class Silence:
    """A `Progress` that keeps it to itself."""

    def begin(self, step: str, total: int) -> None:
        pass

    def advance(self, parts: int) -> None:
        pass
