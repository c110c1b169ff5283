"""How a stream is to run, and how to end it from outside."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from pvcnn.stream.cropping import Crop

#: The aggregation key grows with it.
MAX_EVERY = 1024


@dataclass(frozen=True)
class StreamOptions:
    """every, seconds: a segment is closed after so many frames or so long after its first one.

    window         frames between intake and decision, at most
    max_frames     ends the stream
    idle_seconds   ends it when the source has had nothing for so long
    workers        proving processes; by default one a processor
    crop           of every picture; by default the whole
    time_limit     seconds that a worker may take for a frame
    deadline       seconds from intake to decision, after which a frame is flagged
    """

    every: int = 16
    seconds: float = 30.0
    window: int = 32
    max_frames: int | None = None
    idle_seconds: float | None = None
    workers: int | None = None
    crop: Crop | None = None
    time_limit: float | None = None
    deadline: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.every <= MAX_EVERY:
            raise ValueError(f"a segment has 1 to {MAX_EVERY} frames")
        if self.window < 1:
            raise ValueError("at least one frame must be in flight")


class Control:
    """How to end a stream from outside, by a signal say."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.abandoning = threading.Event()

    def stop(self) -> None:
        """Takes no more frames, and finishes those in flight; at the second call flags these too."""
        (self.abandoning if self.stopping.is_set() else self.stopping).set()
