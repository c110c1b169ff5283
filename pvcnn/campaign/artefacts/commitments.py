"""Salted commitments: the owner's to the private part, a tester's to its labels. Both hide and bind."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from pvcnn.algebra.transcript import digest

SALT_BYTES = 32
LABEL_BYTES = 4


def random_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


def private_commitment(salt: bytes, private_part: bytes) -> bytes:
    """Commitment to the encoded private layers (docs/protocol.md, eq. (21))."""
    return digest("pvcnn/private-commitment", salt, private_part)


def label_commitment(salt: bytes, tester_key: bytes, labels: Sequence[int]) -> bytes:
    """Commitment to the labels of a submission's frames, each in [0, 2^32), in the frames' order.

    The tester's key is in it, so that a commitment copied by another tester can never be opened.
    """
    encoded = b"".join(label.to_bytes(LABEL_BYTES, "little") for label in labels)
    return digest("pvcnn/label-commitment", salt, tester_key, encoded)
