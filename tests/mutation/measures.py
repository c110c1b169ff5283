"""What a process takes: memory that it touches, and processor time.

Address space says nothing here: Numba, Torch and Arkworks map gigabytes that they never touch. What counts is
the peak of resident memory (VmHWM), which Linux lets a process set back to what it has now, so that one
artefact's peak is not hidden under that of an import. A limit on private writable memory (RLIMIT_DATA) above
all that is measured keeps a runaway from taking the machine with it.
"""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

_MEBIBYTE = 1 << 20
_STATUS = Path("/proc/self/status")
_TICKS = os.sysconf("SC_CLK_TCK")
#: More than any artefact may take, so that what takes too much is measured and not merely refused.
_ROOM = 1 << 30


def resident_peak() -> int:
    """Bytes: the peak since `forget_peak`."""
    if _STATUS.exists():
        return _status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> int:
    """Sets the peak back to what is resident now, where that can be done; the peak from here on."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return resident_peak()


def bound_memory() -> None:
    """No more private memory than there is now and _ROOM; beyond that, MemoryError."""
    if _STATUS.exists():
        room = _status("VmData") + _ROOM
        resource.setrlimit(resource.RLIMIT_DATA, (room, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def processor_seconds(process: int) -> float | None:
    """That another process has used, all its threads together; None if it is gone or nothing tells."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _status(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} does not say {name}")
