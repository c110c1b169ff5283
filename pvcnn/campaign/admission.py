"""Which registrations get into the registry: the owner's checks before it closes.

Whoever is turned away here is in no registry and no count, so every reason is one that the tester
can see for itself: this is the part of a campaign in which exclusion is not prevented.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pvcnn.campaign.mail import SealingKey, collect, upload_info
from pvcnn.campaign.registration import Registration
from pvcnn.campaign.signed import file_digest
from pvcnn.errors import PvcnnError, SubmissionRefused
from pvcnn.files import read_bounded, write_atomically

_SUFFIX = ".registration.cbor"


@dataclass(frozen=True)
class TurnedAway:
    """A registration that is not in the registry: the name of its file, and why."""

    file: str
    reason: str


def post_registration(box: Path, registration: Registration) -> None:
    """Puts a registration beside its blob. The name holds the signer, so nobody replaces another's."""
    name = f"{registration.upload_digest.hex()}-{file_digest(registration.signer).hex()[:16]}{_SUFFIX}"
    write_atomically(box / name, registration.to_bytes())


def open_upload(
    box: Path, sealing_key: SealingKey, manifest_digest: bytes, registration: Registration
) -> bytes:
    """The encrypted frame of a registration.

    Raises CampaignError if the blob was not delivered whole, and SubmissionRefused if it was sealed
    by someone else, to another key, or for another campaign or nonce.
    """
    blob = collect(box, registration.upload_digest)
    return sealing_key.open(blob, upload_info(manifest_digest, registration.signer, registration.nonce))


def admit(
    box: Path, sealing_key: SealingKey, manifest_digest: bytes, testers: Collection[bytes] | None
) -> tuple[list[Registration], list[TurnedAway]]:
    """Registrations in the mail box that hold, and those that are turned away.

    `testers` are the public keys that the owner admits; None admits everyone. A blob copied from
    another tester does not open under the copier's key, and a ciphertext that was sealed twice is
    admitted once.
    """
    admitted: list[Registration] = []
    turned_away: list[TurnedAway] = []
    ciphertexts: set[bytes] = set()
    for path in sorted(box.glob(f"*{_SUFFIX}")):
        try:
            registration = Registration.from_bytes(read_bounded(path, Registration.MAX_BYTES))
            if registration.manifest_digest != manifest_digest:
                raise SubmissionRefused("the registration is for another campaign or manifest")
            if testers is not None and registration.signer not in testers:
                raise SubmissionRefused("the owner does not admit this tester")
            ciphertext = file_digest(open_upload(box, sealing_key, manifest_digest, registration))
            if ciphertext in ciphertexts:
                raise SubmissionRefused("the same ciphertext is registered already")
        except PvcnnError as error:
            turned_away.append(TurnedAway(path.name, str(error)))
        else:
            ciphertexts.add(ciphertext)
            admitted.append(registration)
    return admitted, turned_away
