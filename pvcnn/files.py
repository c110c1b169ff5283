"""Files that are either whole or absent, and bounded reads."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TypeAlias

from pvcnn.errors import CampaignError, DecodeError

Chunk: TypeAlias = "bytes | memoryview"
_COPIED_AT_ONCE = 1 << 20


def write_atomically(path: Path, data: bytes | Iterable[Chunk], mode: int = 0o644) -> None:
    """Writes a temporary file beside `path` and renames it: no reader sees half a file.

    `data`: all of it, or chunks where it is too large to be held twice. Raises CampaignError if there
    is no such folder, or none that may be written to.
    """
    with _whole_file_beside(path, data, mode) as whole:
        whole.replace(path)


def write_once(path: Path, data: bytes | Iterable[Chunk], mode: int = 0o644) -> bool:
    """As `write_atomically`, but the first complete file wins: False, and no change, if `path` exists.

    A hard link fails where a rename would replace, so of two racing writers exactly one gets True.
    """
    with _whole_file_beside(path, data, mode) as whole:
        try:
            os.link(whole, path)
        except FileExistsError:
            return False
    return True


def write_and_name(directory: Path, data: Iterable[Chunk], name: Callable[[], str]) -> Path:
    """As `write_atomically`, for a file whose name is known once all of it is written; returns its path."""
    with _whole_file_beside(directory / "a file", data, 0o644) as whole:
        path = directory / name()
        whole.replace(path)
    return path


def share(source: Path, target: Path) -> None:
    """Gives a file that is never changed a second name: a hard link, or a copy where there are none.

    Raises CampaignError if there is no such file, or one at `target` already.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError as error:
        raise CampaignError(f"cannot share {source}: {error.strerror}") from error
    except FileExistsError as error:
        raise CampaignError(f"{target} exists already") from error
    except OSError:  # another file system, or one without hard links
        with source.open("rb") as handle:
            mode = os.fstat(handle.fileno()).st_mode & 0o777
            if not write_once(target, iter(lambda: handle.read(_COPIED_AT_ONCE), b""), mode):
                raise CampaignError(f"{target} exists already") from None


@contextmanager
def _whole_file_beside(path: Path, data: bytes | Iterable[Chunk], mode: int) -> Iterator[Path]:
    """A complete file of a temporary name, which is gone afterwards, whatever happens (Ctrl-C too)."""
    try:
        handle = tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False)  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise CampaignError(f"cannot write {path}: {error.strerror}") from error
    whole = Path(handle.name)
    try:
        with handle:
            for chunk in (data,) if isinstance(data, bytes) else data:
                handle.write(chunk)
            handle.flush()
            os.fsync(handle.fileno())
        whole.chmod(mode)
        yield whole
    finally:
        whole.unlink(missing_ok=True)


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The file's bytes.

    Raises CampaignError if it cannot be read or is no file (a pipe would make the reader wait for ever), and
    DecodeError if it is too large.
    """
    with _open_file(path) as handle:
        # Room for what is there, and not for what there may be: that can be gigabytes.
        data = handle.read(min(max_bytes, os.fstat(handle.fileno()).st_size) + 1)
    if len(data) > max_bytes:
        raise DecodeError(f"{path.name}: more than {max_bytes} bytes")
    return data


def digest_of(path: Path) -> bytes:
    """SHA-256 of a file that may be too large to hold. Raises CampaignError as `read_bounded`."""
    with _open_file(path) as handle:
        return hashlib.file_digest(handle, "sha256").digest()


@contextmanager
def _open_file(path: Path) -> Iterator[BufferedReader]:
    try:
        if path.exists() and not path.is_file():
            raise CampaignError(f"cannot read {path}: it is not a file")
        with path.open("rb") as handle:
            yield handle
    except OSError as error:  # a link to itself, among others
        raise CampaignError(f"cannot read {path}: {error.strerror}") from error
