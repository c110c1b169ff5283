"""Files that are either whole or absent, and bounded reads."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pvcnn.errors import CampaignError, DecodeError


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Writes a temporary file beside `path` and renames it: no reader sees half a file."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False) as handle:
        partial = Path(handle.name)
        try:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
            partial.chmod(mode)
            partial.rename(path)
        except BaseException:  # Ctrl-C too
            partial.unlink(missing_ok=True)
            raise


def write_once(path: Path, data: bytes, mode: int = 0o644) -> bool:
    """As `write_atomically`, but the first complete file wins: False, and no change, if `path` exists.

    A hard link fails where a rename would replace, so of two racing writers exactly one gets True.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
        os.fchmod(handle.fileno(), mode)
        try:
            os.link(handle.name, path)
        except FileExistsError:
            return False
    return True


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The file's bytes.

    Raises CampaignError if it is missing or no file (a pipe would make the reader wait for ever), and
    DecodeError if it is too large.
    """
    try:
        if path.exists() and not path.is_file():
            raise CampaignError(f"cannot read {path}: it is not a file")
        with path.open("rb") as handle:
            data = handle.read(max_bytes + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise CampaignError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > max_bytes:
        raise DecodeError(f"{path.name}: more than {max_bytes} bytes")
    return data
