"""Looks for secrets where none may be: in files, and in the memory of processes that pass work on."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pvcnn.campaign.artefacts.folder import PROGRAM, CampaignFolder
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.audit_secret import AuditSecret, frame_seed
from pvcnn.campaign.roles.owner_secrets import OwnerSecrets
from pvcnn.program.private import PrivateConvolution
from pvcnn.program.program import Program

_WINDOW = 16
_PIECES = 4
_BLOCK = 1 << 20


def needles(secret: bytes) -> set[bytes]:
    """Pieces of `secret`, and how text would show them: any is a leak. Runs of few bytes (zeros) are not."""
    all_pieces = [secret[i : i + _WINDOW] for i in range(0, max(1, len(secret) - _WINDOW + 1), _WINDOW)]
    telling = [piece for piece in all_pieces if len(set(piece)) > _WINDOW // 4]
    pieces = set(telling[:_PIECES])
    shown = {base64.b64encode(secret[:24])[:30]} if len(secret) >= 24 else set()
    return pieces | {piece.hex().encode() for piece in pieces} | shown


def of_numbers(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> set[bytes]:
    """Doubles as they lie in memory, either way round, and as they are printed."""
    printed = {repr(float(value)).encode()[:12] for value in values.flat[:_PIECES]}
    return needles(values.astype("<f8").tobytes()) | needles(values.astype(">f8").tobytes()) | printed


def owners(folder: CampaignFolder) -> set[bytes]:
    """The private layers' weights, the blinding of the public ones, the owner's keys, salt and seeds."""
    program = Program.from_bytes(folder.public.read(PROGRAM))
    kept = OwnerSecrets.load_from(folder.private("owner"), program)
    found = needles(kept.salt) | needles(kept.public.weights.blinding.to_bytes(32, "little"))
    audit, proceedings = (
        AuditSecret.load_from(folder.private("owner"), "split"),
        Proceedings.read(folder.public),
    )
    digest = proceedings.registry.digest()
    found |= needles(audit.value)
    for index, registration in enumerate(proceedings.registry.registrations):
        seed = audit.answer_seed(digest, index, registration.upload_digest)
        found |= needles(seed) | needles(frame_seed(seed, digest, index, 0))
    for layer in kept.private.layers:
        if isinstance(layer, PrivateConvolution):
            found |= of_numbers(layer.weight)
    return found | keys(folder, "owner")


def keys(folder: CampaignFolder, role: str) -> set[bytes]:
    identity = Identity.load_from(folder.private(role), "nothing")
    return needles(identity.signing.to_bytes()) | needles(identity.sealing.to_bytes())


def in_files(directory: Path, wanted: set[bytes]) -> dict[str, set[bytes]]:
    """Which of `wanted` are in which regular file below `directory`."""
    found: dict[str, set[bytes]] = {}
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if here := {needle for needle in wanted if needle in data}:
                found[str(path)] = here
    return found


def in_memory(process: int, wanted: set[bytes]) -> set[bytes]:
    """Which of `wanted` are in the memory that a process may write to."""
    longest = max(map(len, wanted))
    found: set[bytes] = set()
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for start, end in _writable(process):
            tail = b""
            for position in range(start, end, _BLOCK):
                try:
                    memory.seek(position)
                    block = memory.read(min(_BLOCK, end - position))
                except OSError:  # a guard page
                    break
                if block.count(0) == len(block):
                    tail = b""
                    continue
                data = tail + block
                found |= {needle for needle in wanted - found if needle in data}
                tail = data[-longest:]
    return found


def _writable(process: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        fields = line.split()
        if fields[1].startswith("rw") and fields[-1] != "[vvar]":
            start, end = (int(number, 16) for number in fields[0].split("-"))
            yield start, end


def processes(*words: str) -> list[int]:
    """Processes whose command line has all these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if all(word in line for word in words):
            found.append(int(path.parent.name))
    return found
