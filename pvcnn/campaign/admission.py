"""Which registrations get into the registry: the owner's checks before it closes.

Whoever is turned away here is in no registry and no count, so every reason is one that the tester
can see for itself: this is the part of a campaign in which exclusion is not prevented.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pvcnn.campaign.batch import Batch
from pvcnn.campaign.frame_place import read_places
from pvcnn.campaign.mail import SealingKey, collect, upload_batch_purpose, upload_info
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.registration import Registration
from pvcnn.campaign.sealed_rows import SealedRows
from pvcnn.campaign.signed import file_digest
from pvcnn.errors import DecodeError, PvcnnError, SubmissionRefused
from pvcnn.files import read_bounded, write_atomically
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.frame_slots.rows import pixel_rows
from pvcnn.he.plans import FramePlan

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
    """The encrypted frames of a registration, as one `pvcnn-batch` if the tester is honest.

    Raises CampaignError if the blob was not delivered whole, and SubmissionRefused if it was sealed
    by someone else, to another key, or for another campaign or nonce.
    """
    blob = collect(box, registration.upload_digest)
    return sealing_key.open(blob, upload_info(manifest_digest, registration.signer, registration.nonce))


def admit(
    box: Path,
    sealing_key: SealingKey,
    manifest: Manifest,
    plan: FramePlan,
    testers: Collection[bytes] | None,
) -> tuple[list[Registration], list[TurnedAway]]:
    """Registrations in the mail box that hold, and those that are turned away.

    `testers` are the public keys that the owner admits; None admits everyone. A blob copied from
    another tester does not open under the copier's key. No ciphertext is admitted twice, neither in two
    submissions nor in one; whoever encrypts a frame anew makes another ciphertext, which nobody can tell.
    A batch of frames in slots has to be there as a whole.
    """
    admitted: list[Registration] = []
    turned_away: list[TurnedAway] = []
    ciphertexts: set[bytes] = set()
    batches = None if isinstance(plan, EncryptionPlan) else _Batches(box, sealing_key, manifest, plan)
    for path in sorted(box.glob(f"*{_SUFFIX}")):
        try:
            registration = Registration.from_bytes(read_bounded(path, Registration.MAX_BYTES))
            if registration.manifest_digest != manifest.digest():
                raise SubmissionRefused("the registration is for another campaign or manifest")
            if testers is not None and registration.signer not in testers:
                raise SubmissionRefused("the owner does not admit this tester")
            registration.check_commitment(manifest.takes_labels)
            upload = open_upload(box, sealing_key, manifest.digest(), registration)
            held = _ciphertexts(upload)
            if len(set(held)) != len(held):
                raise SubmissionRefused("a ciphertext occurs twice in the submission")
            if not ciphertexts.isdisjoint(held):
                raise SubmissionRefused("the same ciphertext is registered already")
            if batches is not None:
                batches.check(registration.signer, upload)
        except PvcnnError as error:
            turned_away.append(TurnedAway(path.name, str(error)))
        else:
            ciphertexts.update(held)
            admitted.append(registration)
    return admitted, turned_away


def _ciphertexts(upload: bytes) -> list[bytes]:
    """Digests of the ciphertexts in an upload; one that is no batch is one, and refused later."""
    try:
        return list(map(file_digest, Batch.from_bytes(upload).messages))
    except DecodeError:
        return [file_digest(upload)]


class _Batches:
    """Batches of frames in slots that registrations lie in; each is read once, row by row."""

    def __init__(self, box: Path, sealing_key: SealingKey, manifest: Manifest, plan: FrameSlotsPlan) -> None:
        self._box = box
        self._sealing_key = sealing_key
        self._manifest = manifest
        self._plan = plan
        self._whole: set[tuple[bytes, bytes]] = set()
        self._rows: set[bytes] = set()

    def check(self, tester: bytes, upload: bytes) -> None:
        """Raises CampaignError unless the submission's batch was delivered whole, and SubmissionRefused for
        one that is no batch of this tester, or has a row of another one. What is no batch of places at all is
        refused later, as single frames are."""
        try:
            batch, _ = read_places(self._plan, Batch.from_bytes(upload).messages)
        except (DecodeError, SubmissionRefused):
            return
        if (tester, batch) in self._whole:
            return
        purpose = upload_batch_purpose(self._manifest.digest(), tester)
        content = pixel_rows(self._plan)
        rows = SealedRows(self._box, batch, self._sealing_key, purpose, self._plan, content)
        if not self._rows.isdisjoint(rows.digests):
            raise SubmissionRefused("rows of the batch are registered already, in another one")
        rows.check()
        self._rows.update(rows.digests)
        self._whole.add((tester, batch))
