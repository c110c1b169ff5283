"""A batch as bytes, row by row of its tiles: a batch takes hundreds of megabytes, a row a few.

A message holds the ciphertexts of one row of pixels, or of one row of features, all channels after one
another. What SEAL wants to know besides is the plan's and not in the message, so it cannot be wrong there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

import numpy as np

from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError, SubmissionRefused
from pvcnn.he.checks import COMPONENTS, is_transparent
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.residues import Residues, pack, packed_bytes, unpack

FORMAT = "pvcnn-frame-slots"
VERSION = 1
_ENVELOPE_BYTES: Final = 1024
_LENGTH_BYTES: Final = 8


@dataclass(frozen=True)
class RowContent:
    """What a row's message must hold: so many ciphertexts with so many data primes left."""

    name: str
    rows: int
    ciphertexts: int
    primes: int


def pixel_rows(plan: FrameSlotsPlan) -> RowContent:
    channels, rows, columns = plan.tiling.input_shape
    return RowContent("pixels", rows, channels * columns, len(plan.data_moduli))


def feature_rows(plan: FrameSlotsPlan) -> RowContent:
    channels, rows, columns = plan.tiling.output_shape
    return RowContent("features", rows, channels * columns, 1)


def row_bytes(plan: FrameSlotsPlan, content: RowContent) -> int:
    """An upper bound, and a close one, on an honest message."""
    length = packed_bytes(plan.degree, plan.data_moduli[: content.primes])
    return content.ciphertexts * COMPONENTS * (length + 16) + _ENVELOPE_BYTES


def write_row(plan: FrameSlotsPlan, content: RowContent, row: int, ciphertexts: Sequence[Residues]) -> bytes:
    """The message with these ciphertexts, each (2, primes, degree)."""
    moduli = plan.data_moduli[: content.primes]
    packed = [[pack(component, moduli) for component in ciphertext] for ciphertext in ciphertexts]
    fields = {"plan": plan.digest, "content": content.name, "row": row, "ciphertexts": packed}
    return encode(FORMAT, VERSION, fields)


def read_row(plan: FrameSlotsPlan, content: RowContent, row: int, data: bytes) -> Residues:
    """(ciphertexts, 2, primes, degree) of a row's message.

    Raises DecodeError for what is no row, and SubmissionRefused for one of another plan, of other content,
    of another row, with more or fewer ciphertexts, or with transparent ones, which show their message.
    """
    moduli = plan.data_moduli[: content.primes]
    fields = decode(data, FORMAT, VERSION, 2 * row_bytes(plan, content))
    digest, name = fields.octets("plan", 32), fields.text("content")
    number = fields.integer("row", 0, 1 << 16)
    packed = fields.sequence("ciphertexts", 2 * content.ciphertexts)
    fields.finish()
    _refuse(digest != plan.digest, "the row was made for another encryption plan")
    _refuse(name != content.name, f"the row does not hold {content.name}")
    _refuse(number != row, f"row {number} is in the place of row {row}")
    _refuse(
        len(packed) != content.ciphertexts,
        f"a row has {content.ciphertexts} ciphertexts here, not {len(packed)}",
    )
    found = np.empty((len(packed), COMPONENTS, content.primes, plan.degree), np.uint64)
    for ciphertext, components in zip(found, packed, strict=True):
        if not (isinstance(components, list) and all(isinstance(c, bytes) for c in components)):
            raise DecodeError(f"{FORMAT}: a ciphertext is a list of byte strings")
        _refuse(len(components) != COMPONENTS, f"a ciphertext has {COMPONENTS} components here")
        for target, component in zip(ciphertext, components, strict=True):
            target[:] = unpack(component, plan.degree, moduli, FORMAT)
        _refuse(is_transparent(ciphertext), "the ciphertext is transparent: it encrypts nothing")
    return found


def _refuse(condition: bool, reason: str) -> None:
    if condition:
        raise SubmissionRefused(reason)


class MessageFile(Sequence[bytes]):
    """The messages in a file, one after another, each behind its length in eight bytes, little-endian.

    Read where they are asked for, so that processes can share a file and none holds all of it.
    """

    def __init__(self, path: Path, most: int, max_message_bytes: int) -> None:
        """Raises DecodeError unless the file is made of at most so many messages of at most that size."""
        self._path = path
        self._places: list[tuple[int, int]] = []
        size, position = path.stat().st_size, 0
        with path.open("rb") as file:
            while position < size and len(self._places) < most:
                file.seek(position)
                length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
                position += _LENGTH_BYTES
                if not 0 < length <= max_message_bytes or position + length > size:
                    raise DecodeError(f"{FORMAT}: message {len(self._places)} has a length that cannot be")
                self._places.append((position, length))
                position += length
        if position != size:
            raise DecodeError(f"{FORMAT}: the file has more than {most} messages")

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position, length = self._places[index]
        with self._path.open("rb") as file:
            file.seek(position)
            return file.read(length)


class RowFile(MessageFile):
    """The rows of a batch in a file."""

    def __init__(self, path: Path, content: RowContent, max_row_bytes: int) -> None:
        """Raises DecodeError unless the file is made of `content.rows` messages of at most that size."""
        super().__init__(path, content.rows, max_row_bytes)
        if len(self) != content.rows:
            raise DecodeError(f"{FORMAT}: the file does not consist of {content.rows} rows")


def framed(messages: Iterable[bytes]) -> Iterator[bytes]:
    """The parts of a file of these messages, to be written one after another."""
    for message in messages:
        yield len(message).to_bytes(_LENGTH_BYTES, "little")
        yield message
