"""What a job tells whoever submitted it: event lines in its log (docs/formats.md, pvcnn-job-event).

A job's log is the only way back that every Ray cluster has. An event is one line: a prefix, then the
artefact's deterministic CBOR in base64; every other line is for people. All that is written there is
public or sealed. Who reads it believes nothing: the log may hold anything.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from pvcnn.aggregate.schemes import MAX_BYTES as MAX_AGGREGATE
from pvcnn.campaign.artefacts.folder import MAX_SUBMISSIONS
from pvcnn.campaign.artefacts.outcome import MAX_BYTES as MAX_OUTCOME
from pvcnn.campaign.artefacts.signed import DIGEST_BYTES, KEY_BYTES, printable
from pvcnn.compute.events import Event, Kind, WorkerName
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError

FORMAT = "pvcnn-job-event"
VERSION = 1
PREFIX = FORMAT + " "
#: Why a submission was refused, sealed.
MAX_DETAILS = 1 << 16
MAX_BYTES = MAX_OUTCOME + MAX_DETAILS + (1 << 12)
#: Characters of the longest event line.
MAX_LINE = len(PREFIX) + 4 * -(-MAX_BYTES // 3)
_MAX_TEXT = 1 << 10
_MAX_MILLISECONDS = 1 << 48


@dataclass(frozen=True)
class Happened:
    """What the dispatcher says of a submission. tester: the fingerprint of who submitted it, or empty."""

    NAME: ClassVar[str] = "happened"
    event: Event
    tester: str = ""

    def fields(self) -> dict[str, Any]:
        worker = self.event.worker or WorkerName("", "", 0)
        return {
            "what": self.event.kind.value,
            "index": self.event.index,
            "tester": self.tester,
            "host": _one_line(worker.host),
            "node": _one_line(worker.node),
            "process": worker.process,
            "detail": _one_line(self.event.detail),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Happened:
        what = fields.text("what")
        if what not in _KINDS:
            raise DecodeError(f"{FORMAT}: nothing is known of {what[:20]!r}")
        index = fields.integer("index", -1, MAX_SUBMISSIONS)
        tester = printable(fields, "tester", 64)
        host, node = printable(fields, "host", _MAX_TEXT), printable(fields, "node", _MAX_TEXT)
        worker = WorkerName(host, node, fields.integer("process", 0, 1 << 32))
        detail = printable(fields, "detail", _MAX_TEXT)
        return cls(Event(Kind(what), index, worker if host else None, detail), tester)


@dataclass(frozen=True)
class Delivered:
    """An outcome that the job's ledger took: a proof or a refusal, encoded, and why, sealed."""

    NAME: ClassVar[str] = "delivered"
    index: int
    outcome: bytes
    details: bytes = b""

    def fields(self) -> dict[str, Any]:
        return {"index": self.index, "outcome": self.outcome, "details": self.details}

    @classmethod
    def from_fields(cls, fields: Fields) -> Delivered:
        index = fields.integer("index", 0, MAX_SUBMISSIONS)
        outcome = fields.octets("outcome", max_length=MAX_OUTCOME)
        return cls(index, outcome, fields.octets("details", max_length=MAX_DETAILS))


@dataclass(frozen=True)
class KeysWanted:
    """The job asks for the cluster's secrets, sealed to `public_key` (X25519)."""

    NAME: ClassVar[str] = "keys-wanted"
    public_key: bytes

    def fields(self) -> dict[str, Any]:
        return {"public_key": self.public_key}

    @classmethod
    def from_fields(cls, fields: Fields) -> KeysWanted:
        return cls(fields.octets("public_key", KEY_BYTES))


@dataclass(frozen=True)
class KeysHeld(KeysWanted):
    """Secrets sealed to `public_key` have come."""

    NAME: ClassVar[str] = "keys-held"


@dataclass(frozen=True)
class Proved:
    """The end of proving, in milliseconds: its wall time; time between the first submission that a worker
    was given and its last event, summed over workers; their own account of their work, summed; how many."""

    NAME: ClassVar[str] = "proved"
    wall: int
    span: int
    work: int
    workers: int

    def fields(self) -> dict[str, Any]:
        return {"wall": self.wall, "span": self.span, "work": self.work, "workers": self.workers}

    @classmethod
    def from_fields(cls, fields: Fields) -> Proved:
        wall = fields.integer("wall", 0, _MAX_MILLISECONDS)
        span = fields.integer("span", 0, _MAX_MILLISECONDS)
        work = fields.integer("work", 0, _MAX_MILLISECONDS)
        return cls(wall, span, work, fields.integer("workers", 0, 1 << 16))


@dataclass(frozen=True)
class Folded:
    """The aggregate of all proofs that the job has."""

    NAME: ClassVar[str] = "folded"
    aggregate: bytes

    def fields(self) -> dict[str, Any]:
        return {"aggregate": self.aggregate}

    @classmethod
    def from_fields(cls, fields: Fields) -> Folded:
        return cls(fields.octets("aggregate", max_length=MAX_AGGREGATE))


@dataclass(frozen=True)
class Ended:
    """The job gives up as a whole, and why."""

    NAME: ClassVar[str] = "ended"
    reason: str

    def fields(self) -> dict[str, Any]:
        return {"reason": _one_line(self.reason)}

    @classmethod
    def from_fields(cls, fields: Fields) -> Ended:
        return cls(printable(fields, "reason", _MAX_TEXT))


JobEvent: TypeAlias = Happened | Delivered | KeysWanted | KeysHeld | Proved | Folded | Ended

_EVENTS: dict[str, type[JobEvent]] = {
    event.NAME: event for event in (Happened, Delivered, KeysWanted, KeysHeld, Proved, Folded, Ended)
}
_KINDS = {kind.value for kind in Kind}


def encode_line(registry: bytes, event: JobEvent) -> str:
    """The event's line, without its end. registry: the digest of the registry that the job serves."""
    data = encode(FORMAT, VERSION, {"registry": registry, "event": event.NAME, **event.fields()})
    return PREFIX + base64.b64encode(data).decode()


def decode_line(registry: bytes, line: str) -> JobEvent | None:
    """The event of a line; None for a line that does not claim to be one.

    Raises DecodeError for a line that does and is not, and for an event of another registry.
    """
    if not line.startswith(PREFIX):
        return None
    if len(line) > MAX_LINE:
        raise DecodeError(f"{FORMAT}: a line of {len(line)} characters")
    try:
        data = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError(f"{FORMAT}: not base64") from error
    fields = decode(data, FORMAT, VERSION, MAX_BYTES)
    if fields.octets("registry", DIGEST_BYTES) != registry:
        raise DecodeError(f"{FORMAT}: an event of another registry")
    name = fields.text("event")
    if name not in _EVENTS:
        raise DecodeError(f"{FORMAT}: no event is called {name[:20]!r}")
    event = _EVENTS[name].from_fields(fields)
    fields.finish()
    return event


def _one_line(text: str) -> str:
    """`text` as a reader will take it: printable and short."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= _MAX_TEXT else shown[: _MAX_TEXT - 1] + "…"
