"""A role's own secret keys, and how secrets are kept: mode 0600 in a directory of mode 0700."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pvcnn.campaign.artefacts.folder import read_from_step
from pvcnn.campaign.artefacts.mail import SealingKey
from pvcnn.campaign.artefacts.signed import KEY_BYTES, SigningKey
from pvcnn.encoding import decode, encode
from pvcnn.errors import CampaignError, VerificationError
from pvcnn.files import read_bounded, write_once

FORMAT = "pvcnn-identity"
VERSION = 1
MAX_BYTES = 1024
SECRET_MODE = 0o600
FILE_NAME = "identity.cbor"
LOG_NAME = "refusals.log"


@dataclass(frozen=True)
class Identity:
    """One key to sign with and one to receive sealed mail under."""

    signing: SigningKey
    sealing: SealingKey

    @classmethod
    def generate(cls) -> Identity:
        return cls(SigningKey.generate(), SealingKey.generate())

    def to_bytes(self) -> bytes:
        """Secret."""
        return encode(
            FORMAT, VERSION, {"signing": self.signing.to_bytes(), "sealing": self.sealing.to_bytes()}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Identity:
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        signing = fields.octets("signing", KEY_BYTES)
        sealing = fields.octets("sealing", KEY_BYTES)
        fields.finish()
        return cls(SigningKey.from_bytes(signing), SealingKey.from_bytes(sealing))

    @classmethod
    def create_in(cls, directory: Path) -> Identity:
        """Draws keys and keeps them in `directory`. Raises CampaignError if there are keys already."""
        identity = cls.generate()
        keep_secret(directory / FILE_NAME, identity.to_bytes())
        return identity

    @classmethod
    def load_from(cls, directory: Path, step: str) -> Identity:
        """Raises CampaignError if `step`, which makes the keys, has not run."""
        return cls.from_bytes(read_from_step(directory / FILE_NAME, MAX_BYTES, step))


def keep_secret(path: Path, data: bytes) -> None:
    """Writes a secret that is never replaced. Raises CampaignError if it is there already."""
    if not write_once(path, data, SECRET_MODE):
        raise CampaignError(f"{path} exists already: this step runs once in a campaign")


def append_to_log(path: Path, line: bytes) -> None:
    """Adds a line to a role's own log, which is as secret as the rest of its directory."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with os.fdopen(os.open(path, flags, SECRET_MODE), "ab") as handle:
        handle.write(line + b"\n")


def hold_to(path: Path, value: bytes, what: str) -> None:
    """Remembers `value` at `path` the first time; raises VerificationError if it is another one later.

    What lies in the folder may be replaced by whoever can write there, or by a peer who changed its
    mind; what a role has relied on once stays what it was. `value` is a digest.
    """
    write_once(path, value, SECRET_MODE)
    if read_bounded(path, MAX_BYTES) != value:
        raise VerificationError(f"this is {what} than the one that {path} remembers")
