"""The stream's book: every frame that was taken is decided or flagged, once.

The list for manual review is written as it grows, a whole line at a time, so that it is right whatever
ends the process; and no frame stays in the book after the stream (`flag_the_rest`).
"""

from __future__ import annotations

import json
import os
import threading
import time
from array import array
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from pvcnn.campaign.artefacts.identity import SECRET_MODE
from pvcnn.stream.events import FrameEvent, Listener
from pvcnn.stream.window import Window

REVIEW_NAME = "review.jsonl"


@dataclass
class Frame:
    """One frame on its way. `since`: time.monotonic() at intake."""

    number: int
    name: str
    time: float
    since: float
    segment: str = ""
    index: int | None = None
    proved: bool = False


class Book:
    """Thread-safe. Frames hold a place in the window from `enter` until they are settled."""

    def __init__(self, directory: Path, window: Window, listener: Listener) -> None:
        self.frames = self.proved = 0
        self.reasons: Counter[str] = Counter()
        self.latencies = array("d")
        self._window = window
        self._listener = listener
        self._lock = threading.RLock()
        self._open: dict[int, Frame] = {}
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._review = os.open(directory / REVIEW_NAME, flags, SECRET_MODE)

    @property
    def flagged(self) -> int:
        return self.reasons.total()

    def enter(self, name: str) -> Frame:
        """A frame was taken; its place in the window was taken before."""
        with self._lock:
            frame = Frame(self.frames, _printable(name), time.time(), time.monotonic())
            self.frames += 1
            self._open[frame.number] = frame
            return frame

    def drop(self, name: str, reason: str) -> None:
        """A frame that has no place in the window."""
        with self._lock:
            self._flag(Frame(self.frames, _printable(name), time.time(), time.monotonic()), reason)
            self.frames += 1

    def decide(self, frame: Frame, decision: int, proof: str, statement: str) -> None:
        """The frame's proof is recorded."""
        with self._lock:
            if self._settle(frame):
                latency = time.monotonic() - frame.since
                self.proved += 1
                frame.proved = True
                self.latencies.append(latency)
                event = replace(_event(frame), decision=decision, proof=proof, statement=statement)
                self._listener(replace(event, proved=True, latency=latency))

    def flag(self, frame: Frame, reason: str) -> None:
        """The frame has no valid proof: a person has to look at it."""
        with self._lock:
            if self._settle(frame):
                self._flag(frame, reason)

    def retract(self, frame: Frame, reason: str) -> None:
        """What was decided does not count after all: the frame's segment does not verify."""
        with self._lock:
            if frame.proved:
                self.proved -= 1
                frame.proved = False
                self._flag(frame, reason)

    def flag_the_rest(self, reason: str) -> None:
        """Flags every frame that is still in the book."""
        with self._lock:
            for frame in list(self._open.values()):
                self.flag(frame, reason)

    def close(self) -> None:
        os.close(self._review)

    def _settle(self, frame: Frame) -> bool:
        """Whether this is the first that is heard of the frame's end."""
        if self._open.pop(frame.number, None) is None:
            return False
        self._window.leave()
        return True

    def _flag(self, frame: Frame, reason: str) -> None:
        event = replace(_event(frame), reason=reason, latency=time.monotonic() - frame.since)
        self.reasons[_kind(reason)] += 1
        entry = {
            name: getattr(event, name) for name in ("number", "name", "time", "segment", "index", "reason")
        }
        os.write(self._review, json.dumps(entry).encode() + b"\n")
        self._listener(event)


def _event(frame: Frame) -> FrameEvent:
    return FrameEvent(
        number=frame.number, name=frame.name, time=frame.time, segment=frame.segment, index=frame.index
    )


def _kind(reason: str) -> str:
    """What comes before the details: few enough to be counted."""
    return reason.partition(":")[0]


def _printable(name: str) -> str:
    """The name without what a terminal or a strict reader of JSON would choke on."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
