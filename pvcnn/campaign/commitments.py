"""Salted commitments: the owner's to the private part, a tester's to a label. Both hide and bind."""

from __future__ import annotations

import secrets

from pvcnn.algebra.transcript import digest

SALT_BYTES = 32


def random_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


def private_commitment(salt: bytes, private_part: bytes) -> bytes:
    """Commitment to the encoded private layers (docs/protocol.md, eq. (21))."""
    return digest("pvcnn/private-commitment", salt, private_part)


def label_commitment(salt: bytes, tester_key: bytes, label: int) -> bytes:
    """Commitment to one frame's label, 0 (real) or 1 (fake).

    The tester's key is in it, so that a commitment copied by another tester can never be opened.
    """
    return digest("pvcnn/label-commitment", salt, tester_key, bytes([label]))
