"""The record of a ceremony that made a campaign's keys: public/ceremony.cbor, as anyone checks it.

Needs none of the kernels. It shows that the keys' secrets are those that the contributions lead to; that the
keys' other points are those of the program, whoever has the whole transcript checks with
`pvcnn ceremony verify` (docs/ceremony.md).
"""

from __future__ import annotations

from typing import Final

from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.campaign.artefacts.folder import CEREMONY, PublicFolder
from pvcnn.campaign.artefacts.manifest import Manifest, check_who_made_keys
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.ceremony.record import CeremonyRecord
from pvcnn.errors import VerificationError
from pvcnn.qmp.keys import CircuitKey

#: Of keys that no verifier has.
_PROVER_KEYS: Final = ("proving_key_digest", "aggregation_key_digest")


def who_made_keys(public: PublicFolder, party: str | None, default: str) -> tuple[str, bytes]:
    """What a manifest says of it: a single party's name, or nobody's and the digest of a ceremony's record.

    party: who is to be named; None for `default`, or for nobody where there is a record. Raises ValueError
    for one who cannot be, or who is to be named beside a record, which is not checked here.
    """
    there = public.file(CEREMONY).exists()
    digest = file_digest(public.read(CEREMONY)) if there else b""
    if party is None:
        party = "" if there else default
    check_who_made_keys(party, digest)
    return party, digest


def setup_record(
    public: PublicFolder, manifest: Manifest, key: CircuitKey, aggregation_key: AggregationVerifierKey
) -> CeremonyRecord | None:
    """The record that the manifest names, checked against it and both keys; None if one party made them.

    Raises VerificationError for a file that the manifest does not name, is not the one that it names, does
    not hold, or is about other keys; DecodeError for a malformed one; CampaignError for a missing one.
    """
    if not manifest.ceremony_digest:
        if public.file(CEREMONY).exists():
            raise VerificationError(
                f"there is {CEREMONY.name}, and the manifest says that one party made the keys"
            )
        return None
    data = public.read(CEREMONY)
    if file_digest(data) != manifest.ceremony_digest:
        raise VerificationError(f"{CEREMONY.name} is not the file that the manifest was signed for")
    record = CeremonyRecord.from_bytes(data)
    record.check(key, aggregation_key)
    for name in _PROVER_KEYS:
        if getattr(record, name) != getattr(manifest, name):
            what = name.removesuffix("_digest").replace("_", " ")
            raise VerificationError(f"ceremony: the manifest names another {what} than the one that it made")
    return record
