"""Looks for secrets in whatever a job leaves behind, in every form in which bytes are written down."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Bytes of a secret that are looked for; no other 24 bytes are the same by accident.
_WINDOW = 24


def forms(secret: bytes) -> set[bytes]:
    """How parts of `secret` (at least 32 bytes) look in files: raw, hexadecimal, base64, Python's repr."""
    needles = set()
    for start in {0, len(secret) // 2 - 13, len(secret) - _WINDOW - 2}:
        part = secret[start : start + _WINDOW + 2]
        needles |= {part[:_WINDOW], part.hex().encode(), part.hex().upper().encode()}
        needles.add(repr(part[:_WINDOW])[2:-1].encode())
        for shift in range(3):  # one of them starts where a group of three bytes does
            piece = part[shift : shift + _WINDOW]
            needles |= {base64.b64encode(piece), base64.urlsafe_b64encode(piece)}
    return needles


def found(secrets: Iterable[bytes], haystacks: Iterable[tuple[str, bytes]]) -> list[str]:
    """The names of all haystacks that hold a part of any secret."""
    needles = set().union(*map(forms, secrets))
    return sorted(name for name, data in haystacks if any(needle in data for needle in needles))


def files_below(*directories: Path) -> Iterator[tuple[str, bytes]]:
    for directory in directories:
        for path in directory.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield str(path), path.read_bytes()


def stored_in_gcs(address: str) -> Iterator[tuple[str, bytes]]:
    """Everything in the key-value store of a cluster's head: packages, functions, jobs."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    client = GcsClient(address=address)
    for namespace in (None, b"", b"job", b"fun", b"cls", b"runtime_env", b"cluster", b"session"):
        for key in client.internal_kv_keys(b"", namespace, timeout=10):
            value = client.internal_kv_get(key, namespace, timeout=10)
            yield f"{namespace!r} {key!r}", key + (value or b"")
