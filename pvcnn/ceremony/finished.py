"""What `finalize` left in a ceremony's folder, compared with the transcript beside it."""

from __future__ import annotations

from pvcnn.ceremony.ceremony import Verified
from pvcnn.ceremony.circuit import CircuitState
from pvcnn.ceremony.circuit_ceremony import (
    AGGREGATION_KEY,
    AGGREGATION_VERIFIER_KEY,
    CIRCUIT_KEY,
    PROVING_KEY,
    CircuitCeremony,
)
from pvcnn.ceremony.record import CeremonyRecord
from pvcnn.errors import VerificationError
from pvcnn.files import digest_of


def finished_record(ceremony: CircuitCeremony, verified: Verified[CircuitState]) -> CeremonyRecord | None:
    """The record in the folder of a transcript that was verified; None if `finalize` has not run.

    Raises VerificationError unless the record is the one that the transcript gives, and keys beside it, which
    may be missing, are those of the record; DecodeError for a malformed record.
    """
    written = ceremony.written_record()
    if written is None:
        return None
    if written != ceremony.record_of(verified):
        raise VerificationError(f"{ceremony.folder.record.name} is not what the transcript gives")
    check_keys(ceremony, written)
    return written


def check_keys(ceremony: CircuitCeremony, record: CeremonyRecord) -> None:
    """Raises VerificationError if files in DIR/keys are not those of the record; they may be missing.

    Raises CampaignError for what is there and no file.
    """
    for name, digest in key_digests(record).items():
        path = ceremony.folder.keys / name
        if path.exists() and digest_of(path) != digest:
            raise VerificationError(f"keys/{name} is not the one that the ceremony made")


def key_digests(record: CeremonyRecord) -> dict[str, bytes]:
    """SHA-256 of each key's file, by its name."""
    return {
        PROVING_KEY: record.proving_key_digest,
        CIRCUIT_KEY: record.circuit_key_digest,
        AGGREGATION_KEY: record.aggregation_key_digest,
        AGGREGATION_VERIFIER_KEY: record.aggregation_verifier_key_digest,
    }
