"""What a stream says while it runs: docs/formats.md, section "Streams"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias


@dataclass(frozen=True, kw_only=True)
class StepEvent:
    """Part of the preparation begins (seconds is None) or is done."""

    EVENT: ClassVar[str] = "step"

    step: str
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class FrameEvent:
    """A frame was decided, or will have to be looked at by a person. One for each frame.

    number       from 0, in the order of intake
    name, time   of the picture, and when it was taken (seconds since 1970)
    segment      name of its segment's folder, and
    index        its place in the registry there; empty and None if it got into none
    decision     1 for fake, 0 for real; None without a valid proof
    reason       why there is no valid proof; empty if there is one
    proof        of a proved frame: the file with statement and proof, there at once
    statement    the same statement among the segment's public files, there once the segment is closed
    latency      seconds from intake to now
    """

    EVENT: ClassVar[str] = "frame"

    number: int
    name: str
    time: float
    segment: str = ""
    index: int | None = None
    decision: int | None = None
    proved: bool = False
    reason: str = ""
    proof: str | None = None
    statement: str | None = None
    latency: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SegmentEvent:
    """A segment was aggregated and verified, or was not.

    frames, proved   registered frames, and those of them that the aggregate proves
    closed_by        'frames', 'seconds', 'window' or 'end'
    reason           why it did not verify
    begin, close, aggregate, verify    seconds that each took
    """

    EVENT: ClassVar[str] = "segment"

    segment: str
    frames: int
    proved: int
    verified: bool
    closed_by: str
    reason: str
    seconds: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class NoteEvent:
    """Something that an operator should know: a worker was lost, the source has ended."""

    EVENT: ClassVar[str] = "note"

    note: str


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The whole stream. latency: of proved frames, seconds; throughput: proved frames a second.

    flagged counts frames, by reason in `reasons`. complete: there were frames, all were proved, and every
    segment verified.
    """

    EVENT: ClassVar[str] = "summary"

    directory: str
    owner: str
    cluster: str
    frames: int
    proved: int
    flagged: int
    reasons: dict[str, int]
    segments: int
    segments_verified: int
    latency_median: float | None
    latency_95: float | None
    seconds: float
    throughput: float
    peak_in_flight: int
    ended: str
    complete: bool


StreamEvent: TypeAlias = StepEvent | FrameEvent | SegmentEvent | NoteEvent | Summary
Listener: TypeAlias = Callable[[StreamEvent], None]


def to_json(event: StreamEvent) -> dict[str, Any]:
    """The event as JSON holds it; times are rounded to a tenth of a millisecond."""
    fields = {"event": event.EVENT, **asdict(event)}
    return {name: _rounded(value) for name, value in fields.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return round(value, 4) if isinstance(value, float) else value
