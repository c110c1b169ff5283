"""Batches in the mail: hundreds of megabytes, sealed row by row, of which nobody holds more than a few rows.

A batch is named by the SHA-256 of the list of its rows' own SHA-256. The file holds a random number, the rows
and the list, each of the latter sealed by itself, for its kind, place, batch and recipient. What a signature
vouches for is the name, so nothing is believed of a file but rows that are the named ones: one that was
exchanged, moved, left out, cut off or taken from another batch is a fault of delivery, and named. Rows of
another tester or campaign do not even open.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, overload

from pvcnn.algebra.transcript import digest
from pvcnn.campaign.mail import SealingKey, seal
from pvcnn.campaign.signed import DIGEST_BYTES, file_digest
from pvcnn.encoding import decode, encode
from pvcnn.errors import CampaignError, DecodeError, SubmissionRefused
from pvcnn.files import write_and_name
from pvcnn.he.frame_slots.plan import MAX_SIDE, FrameSlotsPlan
from pvcnn.he.frame_slots.rows import MessageFile, RowContent, framed, row_bytes

FORMAT = "pvcnn-row-digests"
VERSION = 1
MAX_BYTES = 64 + (DIGEST_BYTES + 8) * MAX_SIDE
_NUMBER_BYTES: Final = 32
#: What HPKE adds to a message, generously.
_SEAL_BYTES: Final = 256


def rows_path(box: Path, batch: bytes) -> Path:
    """Where a batch lies in a mail box."""
    return box / f"{batch.hex()}.rows"


def row_digests(digests: Sequence[bytes]) -> bytes:
    """The list of a batch's rows, of which the batch has its name."""
    return encode(FORMAT, VERSION, {"rows": list(digests)})


def read_row_digests(data: bytes) -> list[bytes]:
    """Raises DecodeError."""
    fields = decode(data, FORMAT, VERSION, MAX_BYTES)
    digests = fields.octets_sequence("rows", MAX_SIDE, DIGEST_BYTES)
    fields.finish()
    return digests


def name_of(rows: Iterable[bytes]) -> bytes:
    """The name of a batch of these rows, which are read once."""
    return file_digest(row_digests([file_digest(row) for row in rows]))


def post_rows(box: Path, sealing_key: bytes, purpose: bytes, count: int, rows: Iterable[bytes]) -> bytes:
    """Seals a batch of `count` rows into a mail box, all of it or nothing; its name.

    `purpose`: what it is for, 32 bytes that the recipient knows. Raises DecodeError for a key that none is,
    ValueError for another number of rows, and whatever making the rows raises.
    """
    number = secrets.token_bytes(_NUMBER_BYTES)
    digests: list[bytes] = []

    def parts() -> Iterator[bytes]:
        yield number
        for row, message in enumerate(rows):
            digests.append(file_digest(message))
            yield seal(sealing_key, message, _row_info(purpose, number, row, count))
        if len(digests) != count:
            raise ValueError(f"a batch has {count} rows here, not {len(digests)}")
        yield seal(sealing_key, row_digests(digests), _list_info(purpose, number, count))

    path = write_and_name(
        box, framed(parts()), lambda: rows_path(box, file_digest(row_digests(digests))).name
    )
    return bytes.fromhex(path.stem)


class SealedRows(Sequence[bytes]):
    """The rows of a batch in a mail box, opened where they are asked for.

    Holds the secret key, and can be pickled for processes of the role whose it is.
    """

    def __init__(
        self,
        box: Path,
        batch: bytes,
        key: SealingKey,
        purpose: bytes,
        plan: FrameSlotsPlan,
        content: RowContent,
    ) -> None:
        """Raises CampaignError if the batch was not delivered, SubmissionRefused for one of other rows."""
        self._path = rows_path(box, batch)
        self._purpose = purpose
        self._key = key.to_bytes()
        most = 2 * row_bytes(plan, content) + MAX_BYTES + _SEAL_BYTES
        if not self._path.is_file():
            raise CampaignError(f"{self._path} is missing: deliver it again")
        try:
            self._file = MessageFile(self._path, MAX_SIDE + 2, most)
            self._digests = self._open_list(batch)
        except (DecodeError, SubmissionRefused) as error:
            raise CampaignError(f"{self._path} was changed on its way ({error}): deliver it again") from error
        if len(self._digests) != content.rows:
            raise SubmissionRefused(f"a batch has {content.rows} rows here, not {len(self._digests)}")

    @property
    def digests(self) -> list[bytes]:
        """SHA-256 of each row."""
        return self._digests

    def check(self) -> None:
        """Reads all rows, one after the other. Raises CampaignError if one is not as it was signed."""
        for row in range(len(self)):
            self[row]

    def __len__(self) -> int:
        return len(self._digests)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Raises CampaignError, naming file and row, for a row that is not as it was signed."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        info = _row_info(self._purpose, self._file[0], row, len(self))
        try:
            message = SealingKey.from_bytes(self._key).open(self._file[1 + row], info)
        except SubmissionRefused as error:
            raise CampaignError(f"{self._path}: row {row} does not open: deliver it again") from error
        if file_digest(message) != self._digests[row]:
            raise CampaignError(f"{self._path}: row {row} was changed on its way: deliver it again")
        return message

    def _open_list(self, batch: bytes) -> list[bytes]:
        """The list that has this SHA-256. Raises DecodeError and SubmissionRefused."""
        count = len(self._file) - 2
        if count < 0 or len(self._file[0]) != _NUMBER_BYTES:
            raise DecodeError("it is no batch")
        info = _list_info(self._purpose, self._file[0], count)
        opened = SealingKey.from_bytes(self._key).open(self._file[-1], info)
        if file_digest(opened) != batch:
            raise SubmissionRefused("it is another batch")
        digests = read_row_digests(opened)
        if len(digests) != count:
            raise DecodeError(f"{count} rows of {len(digests)} are there")
        return digests


def _row_info(purpose: bytes, number: bytes, row: int, count: int) -> bytes:
    return digest("pvcnn/mail/row", purpose, number, _eight(row), _eight(count))


def _list_info(purpose: bytes, number: bytes, count: int) -> bytes:
    return digest("pvcnn/mail/row-digests", purpose, number, _eight(count))


def _eight(value: int) -> bytes:
    return value.to_bytes(8, "little")
