"""The window: how many frames may be between intake and decision."""

from __future__ import annotations

import threading


class Window:
    """Counts frames in flight. `peak` is the most there ever were."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.peak = 0
        self._in_flight = 0
        self._changed = threading.Condition()

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def enter(self, seconds: float = 0.0) -> bool:
        """Takes a place, waiting for so long at most. False if there was none."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._in_flight < self.size, seconds):
                return False
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
            return True

    def leave(self) -> None:
        """Gives a place back."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify()
