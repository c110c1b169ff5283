"""The submitting side of key delivery: seals the cluster's secrets to a job's courier, and sends them."""

from __future__ import annotations

import shlex
import tempfile
import time
from pathlib import Path

from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.compute.job_board import JobBoard
from pvcnn.compute.key_delivery import BLOB_NAME, Place, seal_secrets
from pvcnn.errors import CampaignError
from pvcnn.files import write_atomically

#: A request is met only if it has been open for so long, and again so long after a delivery is over: the
#: log may say next that it was met.
_SETTLING_SECONDS = 1.0
_SETTLING_AFTER_DELIVERY = 5.0
_DELIVERIES = 3
#: For so long the end of a delivery is awaited when the job that asked for it is over.
_LEAVING_SECONDS = 10.0
_POLL_SECONDS = 0.2
_MONITOR_SECONDS = 3.0


class KeySender:
    """Hears a log's requests and meets the one that is open, by a job of its own."""

    def __init__(self, board: JobBoard, place: Place, secrets: ClusterSecrets, python: str) -> None:
        self._board = board
        self._place = place
        self._secrets = secrets
        self._python = python
        self._open: bytes | None = None
        self._not_before = 0.0
        self._sent = 0
        self._job = ""
        self._over: dict[str, float] = {}

    def wanted(self, public_key: bytes) -> None:
        """A request. It replaces an older one, whose courier is dead."""
        self._open, self._sent = public_key, 0
        self._not_before = time.monotonic() + _SETTLING_SECONDS

    def held(self, public_key: bytes) -> None:
        if public_key == self._open:
            self._open = None

    def tick(self) -> None:
        """To be called now and then. Raises CampaignError if keys that are asked for cannot be delivered."""
        self._clear_away()
        if self._open is None or self._job or time.monotonic() < self._not_before:
            return
        if self._sent == _DELIVERIES:
            raise CampaignError(f"the job does not take the cluster's keys, delivered {_DELIVERIES} times")
        self._sent += 1
        self._job = self._send(self._open)

    def tidy(self) -> None:
        """To be called at the end of a log: what it asked for is nobody's wish any more."""
        self._open = None
        end = time.monotonic() + _LEAVING_SECONDS
        self._clear_away()
        while (self._job or self._over) and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
            self._clear_away()
        self._job = ""

    def _clear_away(self) -> None:
        """Deletes deliveries that are over, a little later: just now, Ray's monitor would list them again."""
        now = time.monotonic()
        if self._job and self._board.over(self._job):
            self._over[self._job] = now
            self._job = ""
            self._not_before = now + _SETTLING_AFTER_DELIVERY
        for name, since in list(self._over.items()):
            if now - since >= _MONITOR_SECONDS:
                self._board.forget(name)
                del self._over[name]

    def _send(self, recipient: bytes) -> str:
        place = self._place
        with tempfile.TemporaryDirectory(prefix="pvcnn-") as directory:
            blob = seal_secrets(self._secrets, place, recipient)
            write_atomically(Path(directory) / BLOB_NAME, blob)
            words = [self._python, "-m", "pvcnn", "deliver-keys", place.manifest.hex(), place.registry.hex()]
            return self._board.submit_delivery(shlex.join(words), Path(directory))
