"""A folder that is being filled: each picture is taken once, and only when it is whole.

A file counts as whole when its size and time have not changed for a while. One that was taken and is
written to again is another picture, so a writer that pauses for longer than that costs a flagged half, not
the picture. Better is to write under a name that begins with a dot or ends in .part, and then to rename.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pvcnn.errors import DecodeError
from pvcnn.stream.images import MAX_FILE_BYTES, SUFFIXES, decode_picture
from pvcnn.stream.sources import Picture

#: So long a file must have been as it is.
SETTLE_SECONDS = 0.5
#: A file that was written to so long ago needs no second look: it was renamed into place, or is old.
OLD_SECONDS = 2.0
_LOOK_SECONDS = 0.1

#: Inode, time of the last change of contents, size.
_Signature: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True)
class _Seen:
    signature: _Signature
    since: float


class FolderSource:
    """Takes PNG and JPEG files, in the order of their last change; names with a leading dot are not seen.

    Links and whatever else is no file are pictures that cannot be read: they are never followed or opened.
    """

    waits = True

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.ended = ""
        self._directory = directory
        self._clock = clock
        self._ready: deque[tuple[str, _Signature]] = deque()
        self._seen: dict[str, _Seen] = {}
        self._taken: dict[str, _Signature] = {}
        self._looked = -_LOOK_SECONDS

    def take(self, seconds: float) -> Picture | None:
        end = self._clock() + seconds
        while True:
            if not self._ready and self._clock() - self._looked >= _LOOK_SECONDS:
                self._looked = self._clock()
                self._look()
            while self._ready:
                name, signature = self._ready.popleft()
                picture = self._read(name, signature)
                if picture is not None:
                    self._taken[name] = signature
                    return picture
            if self.ended or self._clock() >= end:
                return None
            time.sleep(min(_LOOK_SECONDS, max(0.0, end - self._clock())))

    def close(self) -> None:
        """There is nothing to let go of."""

    def _look(self) -> None:
        """Finds the files that are whole and were not taken as they are."""
        try:
            with os.scandir(self._directory) as entries:
                found = {
                    entry.name: _signature(entry.stat(follow_symlinks=False))
                    for entry in entries
                    if _is_picture_name(entry.name) and not entry.is_dir(follow_symlinks=False)
                }
        except FileNotFoundError:
            if not self._directory.is_dir():
                self.ended = f"the folder {self._directory} is gone"
            return  # a file went away between two calls: look again
        self._taken = {name: taken for name, taken in self._taken.items() if name in found}
        now, old = self._clock(), time.time_ns() - int(OLD_SECONDS * 1e9)
        seen: dict[str, _Seen] = {}
        ready = []
        for name, signature in found.items():
            if self._taken.get(name) == signature:
                continue
            before = self._seen.get(name)
            if before is None or before.signature != signature:
                before = _Seen(signature, now)
            if signature[1] <= old or now - before.since >= SETTLE_SECONDS:
                ready.append((signature[1], name, signature))
            else:
                seen[name] = before
        self._seen = seen
        self._ready.extend((name, signature) for _, name, signature in sorted(ready))

    def _read(self, name: str, signature: _Signature) -> Picture | None:
        """The picture, or None if the file is not as it was: it will be looked at again."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        path = self._directory / name
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return Picture(name, None, "unreadable: a link, or no file at all")
            with os.fdopen(os.open(path, flags), "rb") as handle:
                if _signature(os.fstat(handle.fileno())) != signature:
                    return None
                if signature[2] > MAX_FILE_BYTES:
                    return Picture(name, None, f"unreadable: more than {MAX_FILE_BYTES} bytes")
                data = handle.read(MAX_FILE_BYTES)
                if _signature(os.fstat(handle.fileno())) != signature:
                    return None
            return Picture(name, decode_picture(data))
        except FileNotFoundError:
            return None
        except OSError as error:
            return Picture(name, None, f"unreadable: {error.strerror}")
        except DecodeError as error:
            return Picture(name, None, f"unreadable: {error}")


def _signature(status: os.stat_result) -> _Signature:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _is_picture_name(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
