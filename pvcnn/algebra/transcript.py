"""The Fiat-Shamir transcript (docs/protocol.md, section "Transcript").

One hash, SHA-512. Every absorbed item is `len(label) || label || len(data) || data` with eight-byte
little-endian lengths, so no two sequences of items hash alike; nothing is absorbed implicitly.
"""

from __future__ import annotations

import hashlib

from pvcnn.algebra.constants import SCALAR_MODULUS


class Transcript:
    """Absorbs labelled items and squeezes challenges that depend on all of them."""

    def __init__(self, domain: str) -> None:
        self._hash = hashlib.sha512()
        self.absorb("domain", domain.encode())

    def absorb(self, label: str, data: bytes) -> None:
        """Makes every later challenge depend on `label` and `data`."""
        for item in (label.encode(), data):
            self._hash.update(len(item).to_bytes(8, "little"))
            self._hash.update(item)

    def absorb_integer(self, label: str, value: int) -> None:
        """Absorbs an integer in [0, 2^64) as eight little-endian bytes."""
        self.absorb(label, value.to_bytes(8, "little"))

    def challenge(self, label: str) -> int:
        """A scalar in [2, r), reduced from 512 bits, which later challenges depend on too.

        0 and 1 are skipped by squeezing again: they would make powers of a challenge degenerate.
        """
        while True:
            self.absorb("challenge", label.encode())
            digest = self._hash.digest()
            self.absorb("squeezed", digest)
            value = int.from_bytes(digest, "little") % SCALAR_MODULUS
            if value > 1:
                return value


def digest(domain: str, *items: bytes | memoryview) -> bytes:
    """32-byte domain-separated digest of length-prefixed items (SHA-256); views are of bytes."""
    hasher = hashlib.sha256()
    for item in (domain.encode(), *items):
        hasher.update(len(item).to_bytes(8, "little"))
        hasher.update(item)
    return hasher.digest()
