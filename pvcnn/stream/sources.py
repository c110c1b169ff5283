"""Where pictures come from. A source gives one picture at a time and never raises for a bad one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import CampaignError


@dataclass(frozen=True)
class Picture:
    """pixels: (H, W) uint8, or None if there are none, and then `problem` says why."""

    name: str
    pixels: NDArray[np.uint8] | None
    problem: str = ""


class Source(Protocol):
    """A folder, a video or a camera."""

    #: Whether pictures wait until they are taken. Those of a camera do not.
    waits: bool
    #: Why there will be no more pictures; empty while there may be some.
    ended: str

    def take(self, seconds: float) -> Picture | None:
        """The next picture, if there is one within about so many seconds."""

    def close(self) -> None:
        """Lets go of file or device."""


def open_source(source: str, frame_rate: float | None = None) -> Source:
    """The folder or video file of that name, or the camera of that number.

    frame_rate: pictures a second of a video's own time, or of a camera; None takes all. Raises
    CampaignError if there is nothing of the kind, DependencyMissing without OpenCV.
    """
    from pvcnn.stream.captures import CameraSource, VideoSource
    from pvcnn.stream.watched_folder import FolderSource

    path = Path(source)
    if path.is_dir():
        return FolderSource(path)
    if path.is_file():
        return VideoSource(path, frame_rate)
    if source.isascii() and source.isdigit() and not path.exists():
        return CameraSource(int(source), frame_rate)
    raise CampaignError(f"{source} is neither a folder nor a video file nor the number of a camera")
