"""A contributor's secrets."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pvcnn.algebra.transcript import Transcript
from pvcnn.ceremony.description import Secret

_SYSTEM_BYTES: Final = 64


@contextmanager
def drawn(wanted: Sequence[Secret], entropy: bytes = b"") -> Iterator[dict[str, int]]:
    """A scalar in [2, r) for each secret, cleared at the end. SECRET: never log, never encode.

    From 64 bytes of the operating system's generator, hashed together with `entropy`, whatever the user
    adds: guessing one of the two is not enough. Python may keep copies of integers until their memory is used
    again: whoever fears for them turns the machine off afterwards.
    """
    transcript = Transcript("pvcnn/ceremony-secrets")
    transcript.absorb("system", secrets.token_bytes(_SYSTEM_BYTES))
    transcript.absorb("user", entropy)
    values = {secret.name: transcript.challenge(secret.name) for secret in wanted}
    del transcript
    try:
        yield values
    finally:
        for name in values:
            values[name] = 0
        values.clear()
