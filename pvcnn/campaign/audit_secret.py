"""What owner and cluster draw their randomness from, where an audit is to repeat what they did.

Each keeps 32 secret bytes of its own. The owner's expand to a seed for each answer, the cluster's to the
blinding of each commitment to features, through hashes that bind what the value is for. Nothing has to be
kept besides; features that are evaluated a second time come out the same, so that there is no mean of
several answers, with less noise in it, for anyone to take; and an opening shows the values of the
submissions that it is about and says nothing of others.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.transcript import digest
from pvcnn.campaign.folder import read_from_step
from pvcnn.campaign.identity import keep_secret
from pvcnn.encoding import decode, encode

FORMAT = "pvcnn-audit-secret"
VERSION = 1
FILE_NAME = "audit_secret.cbor"
SECRET_BYTES = 32
MAX_BYTES = 256


@dataclass(frozen=True, repr=False)
class AuditSecret:
    """Secret for good: an audit shows what it expands to, never the value itself."""

    value: bytes

    @classmethod
    def draw(cls) -> Self:
        return cls(secrets.token_bytes(SECRET_BYTES))

    def keep_in(self, directory: Path) -> None:
        """Raises CampaignError if there is one already."""
        keep_secret(directory / FILE_NAME, encode(FORMAT, VERSION, {"value": self.value}))

    @classmethod
    def load_from(cls, directory: Path, step: str) -> Self:
        """Raises CampaignError if `step`, which draws it, has not run."""
        fields = decode(read_from_step(directory / FILE_NAME, MAX_BYTES, step), FORMAT, VERSION, MAX_BYTES)
        value = fields.octets("value", SECRET_BYTES)
        fields.finish()
        return cls(value)

    def answer_seed(self, registry_digest: bytes, index: int, upload_digest: bytes) -> bytes:
        """The owner's seed of the answer to one submission (docs/protocol.md, eq. (26))."""
        return digest("pvcnn/answer-seed", self.value, registry_digest, _eight(index), upload_digest)

    def batch_seed(self, registry_digest: bytes, tester_key: bytes, batch: bytes) -> bytes:
        """The owner's seed of the answer to a batch of frames in slots (docs/protocol.md, eq. (32))."""
        return digest("pvcnn/batch-seed", self.value, registry_digest, tester_key, batch)

    def features_blinding(self, context: bytes) -> int:
        """The cluster's nu_in of the submission with this context, in [0, r) (docs/protocol.md, eq. (28)).

        512 bits modulo r: uniform up to 2^-257 if the hash is a random function.
        """
        halves = (digest("pvcnn/features-blinding", self.value, context, bytes([half])) for half in range(2))
        return int.from_bytes(b"".join(halves), "little") % SCALAR_MODULUS


def frame_seed(answer_seed: bytes, registry_digest: bytes, index: int, frame: int) -> bytes:
    """What hides the answer to frame `frame`, from 0, of a submission (docs/protocol.md, eq. (27)).

    Registry and index are in it, so that no two answers of honest owners are hidden alike, whatever their
    seeds: one who uses the noise of another answer again cannot open it to any seed.
    """
    return digest("pvcnn/frame-seed", answer_seed, registry_digest, _eight(index), _eight(frame))


def batch_hiding(batch_seed: bytes, registry_digest: bytes, batch: bytes) -> bytes:
    """What hides the answer to a batch (docs/protocol.md, eq. (33)); as `frame_seed`, for a batch."""
    return digest("pvcnn/batch-hiding", batch_seed, registry_digest, batch)


def _eight(number: int) -> bytes:
    return number.to_bytes(8, "little")
