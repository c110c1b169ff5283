"""A segment: a complete campaign of the frames of a few seconds.

Contexts hold the digest of a closed registry, so a frame can be answered only after its segment is closed;
and then the next one is open already.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvcnn.campaign.artefacts.folder import PROGRAM, STATEMENTS, CampaignFolder
from pvcnn.campaign.artefacts.revealed import Revealed
from pvcnn.campaign.roles.cluster import join_sibling
from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.campaign.roles.owner_ledger import OwnerLedger
from pvcnn.errors import PvcnnError
from pvcnn.program.program import Program
from pvcnn.stream.base import SEGMENTS, Base
from pvcnn.stream.book import Book, Frame


@dataclass
class ClosedSegment:
    """frames: by index in the registry. seconds: wall time by step."""

    name: str
    folder: CampaignFolder
    owner: OwnerLedger
    cluster: ClusterLedger
    frames: dict[int, Frame]
    closed_by: str
    seconds: dict[str, float] = field(default_factory=dict)

    @cached_property
    def revealed(self) -> Revealed:
        """How statements are read."""
        program = Program.from_bytes(self.folder.public.read(PROGRAM))
        return Revealed.by(program, self.cluster.proceedings.manifest)

    def proof(self, index: int) -> str:
        """Relative to the stream's folder, where the frame's proof is recorded."""
        context = self.cluster.proceedings.submission(self.folder.public, index).context
        return f"{self.name}/{self.folder.outcome(context).relative_to(self.folder.root)}"

    def statement(self, index: int) -> str:
        """Relative to the stream's folder, where the aggregator publishes its statement."""
        path = self.folder.public.indexed(STATEMENTS, index)
        return f"{self.name}/{path.relative_to(self.folder.root)}"


class OpenSegment:
    """Takes frames until it is closed."""

    def __init__(self, base: Base, directory: Path, number: int) -> None:
        self.since = time.monotonic()
        self.name = f"{SEGMENTS}/{number:06d}"
        self._base = base
        self._folder = base.folder.create_sibling(directory / self.name)
        self._owner = base.owner.begin_sibling(self._folder)
        join_sibling(base.folder, self._folder)
        self._camera = base.camera.sibling(self._folder)
        self._frames: dict[bytes, Frame] = {}
        self._seconds = {"begin": time.monotonic() - self.since}

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Frame, prepared: NDArray[np.float64]) -> None:
        """Encrypts a frame, seals it to the owner and registers it, without a label: a stream has none."""
        frame.segment = self.name
        base = self._base
        registration = self._camera.encrypt(prepared, None, base.cluster_fingerprint, base.owner_fingerprint)
        self._frames[registration.upload_digest] = frame

    def close(self, closed_by: str, book: Book) -> ClosedSegment | None:
        """Closes the registry. Frames that the owner turns away are flagged; None if no other is left."""
        start = time.monotonic()
        if not self._frames:
            return None
        try:
            registry, turned_away = self._owner.close_registry({self._camera.public_key})
        except PvcnnError as error:
            for frame in self._frames.values():
                book.flag(frame, f"not registered: {error}")
            return None
        frames = {}
        for index, registration in enumerate(registry.registrations):
            frames[index] = self._frames.pop(registration.upload_digest)
            frames[index].index = index
        why = "; ".join(sorted({each.reason for each in turned_away}))
        for frame in self._frames.values():
            book.flag(frame, f"turned away: {why}")
        cluster = ClusterLedger.open(self._folder.root)
        seconds = {**self._seconds, "close": time.monotonic() - start}
        return ClosedSegment(self.name, self._folder, self._owner, cluster, frames, closed_by, seconds)
