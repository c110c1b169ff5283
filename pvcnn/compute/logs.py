"""What happens to submissions as log records, one JSON object a line (docs/formats.md, section "Log lines").

A record has the fields of an `Event` and names of campaign and tester, and nothing else gets into a line:
neither what other libraries log nor what an exception may carry.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pvcnn.campaign.artefacts.signed import fingerprint
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.verification.report import SHOWN_DIGITS
from pvcnn.compute.events import Event, Kind
from pvcnn.errors import CampaignError

LOGGER = "pvcnn.submissions"

_FIELDS = "pvcnn"
_LEVELS = {Kind.STARTED: logging.INFO, Kind.DONE: logging.INFO, Kind.FAILED: logging.ERROR}


class JsonFormatter(logging.Formatter):
    """One line a record: time (UTC), level, event, and the fields that `EventLog` gave it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        return json.dumps(line)


class EventLog:
    """A `pvcnn.compute.events.Listener` that logs under the name `LOGGER`.

    work: "prove" or "infer".
    """

    def __init__(self, work: str, proceedings: Proceedings) -> None:
        self._logger = logging.getLogger(LOGGER)
        self._common = {"campaign": proceedings.manifest.campaign.hex()[:SHOWN_DIGITS], "work": work}
        self._frames = proceedings.manifest.frames
        registrations = proceedings.registry.registrations
        self._testers = [fingerprint(each.signer)[:SHOWN_DIGITS] for each in registrations]

    def __call__(self, event: Event) -> None:
        fields: dict[str, Any] = dict(self._common)
        if event.index >= 0:
            fields |= {"submission": event.index, "tester": self._testers[event.index]}
            fields |= {"frames": self._frames, "attempt": event.attempt}
        if event.worker:
            fields |= {"host": event.worker.host, "process": event.worker.process}
        if event.seconds:
            fields["seconds"] = {step: round(value, 4) for step, value in event.seconds.items()}
        if event.detail:
            fields["detail"] = event.detail
        self._logger.log(_LEVELS.get(event.kind, logging.WARNING), str(event.kind), extra={_FIELDS: fields})


@contextmanager
def logged_to(path: Path | None) -> Iterator[None]:
    """Appends records to the file `path`, or writes them to stderr if it is "-"; None logs nothing.

    Raises CampaignError if the file cannot be written to.
    """
    if path is None:
        yield
        return
    try:
        handler = logging.StreamHandler(sys.stderr) if str(path) == "-" else logging.FileHandler(path)
    except OSError as error:
        raise CampaignError(f"cannot write the log {path}: {error.strerror}") from error
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger(LOGGER)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.propagate = propagate
        logger.removeHandler(handler)
        handler.close()
