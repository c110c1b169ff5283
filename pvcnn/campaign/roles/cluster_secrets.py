"""The secrets that a proving worker needs: what opens mail, signs refusals, decrypts and blinds.

They lie in DIR/private/cluster. A worker on another machine gets them as `to_bytes`, sealed to a key
that it drew for this purpose (`pvcnn.compute.key_delivery`), or reads them from a directory mounted there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pvcnn.campaign.artefacts.folder import read_from_step
from pvcnn.campaign.artefacts.identity import Identity, keep_secret
from pvcnn.campaign.roles.audit_secret import SECRET_BYTES, AuditSecret
from pvcnn.encoding import decode, encode

FORMAT = "pvcnn-cluster-secrets"
VERSION = 1
SECRET_KEY_NAME = "encryption_secret_key.bin"  # noqa: S105 - the name of a file
MAX_SECRET_KEY = 1 << 28
MAX_BYTES = MAX_SECRET_KEY + (1 << 12)


@dataclass(frozen=True, repr=False)
class ClusterSecrets:
    """`decryption_key` is the encoding of a `pvcnn.he.keys.SecretKey`."""

    identity: Identity
    decryption_key: bytes
    audit: AuditSecret

    def keep_in(self, directory: Path) -> None:
        """Raises CampaignError if they are there already. The identity is kept where it was made."""
        keep_secret(directory / SECRET_KEY_NAME, self.decryption_key)
        self.audit.keep_in(directory)

    @classmethod
    def load_from(cls, directory: Path) -> ClusterSecrets:
        """Raises CampaignError if `keygen` has not run there."""
        identity = Identity.load_from(directory, "keygen")
        decryption_key = read_from_step(directory / SECRET_KEY_NAME, MAX_SECRET_KEY, "keygen")
        return cls(identity, decryption_key, AuditSecret.load_from(directory, "keygen"))

    def to_bytes(self) -> bytes:
        """Secret."""
        fields = {
            "identity": self.identity.to_bytes(),
            "decryption_key": self.decryption_key,
            "audit_secret": self.audit.value,
        }
        return encode(FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> ClusterSecrets:
        """Raises DecodeError."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        identity = fields.octets("identity", max_length=1 << 10)
        decryption_key = fields.octets("decryption_key", max_length=MAX_SECRET_KEY)
        audit = AuditSecret(fields.octets("audit_secret", SECRET_BYTES))
        fields.finish()
        return cls(Identity.from_bytes(identity), decryption_key, audit)
