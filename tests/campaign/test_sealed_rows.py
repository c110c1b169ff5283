"""Rows in the mail: no row but the named one is believed, whoever changed the file."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pvcnn.algebra.transcript import digest
from pvcnn.campaign.frame_place import MAX_BYTES, FramePlace, read_places
from pvcnn.campaign.mail import SealingKey, answer_batch_purpose, seal, upload_batch_purpose
from pvcnn.campaign.sealed_rows import (
    SealedRows,
    name_of,
    post_rows,
    read_row_digests,
    row_digests,
    rows_path,
)
from pvcnn.campaign.signed import file_digest
from pvcnn.encoding import encode
from pvcnn.errors import CampaignError, DecodeError, SubmissionRefused
from pvcnn.he.frame_slots.parameters import plan
from pvcnn.he.frame_slots.rows import MessageFile, RowContent, framed
from tests.he.parts import small_part

PLAN = plan(small_part(), 5)
ROWS = [bytes([row]) * 1000 for row in range(4)]
CONTENT = RowContent("pixels", len(ROWS), 1, 1)
PURPOSE = upload_batch_purpose(b"m" * 32, b"t" * 32)
KEY = SealingKey.generate()


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return tmp_path


def posted(box: Path, rows: list[bytes] | None = None, purpose: bytes = PURPOSE) -> bytes:
    rows = ROWS if rows is None else rows
    return post_rows(box, KEY.public, purpose, len(rows), iter(rows))


def opened(
    box: Path, batch: bytes, key: SealingKey = KEY, purpose: bytes = PURPOSE, content: RowContent = CONTENT
) -> SealedRows:
    return SealedRows(box, batch, key, purpose, PLAN, content)


def test_rows_are_read_as_they_were_written(box: Path) -> None:
    batch = posted(box)
    assert batch == name_of(iter(ROWS)) == file_digest(row_digests(list(map(file_digest, ROWS))))
    rows = opened(box, batch)
    assert list(rows) == ROWS
    assert rows[-1] == ROWS[-1]
    assert rows[1:3] == ROWS[1:3]
    with pytest.raises(IndexError):
        rows[len(ROWS)]
    assert list(pickle.loads(pickle.dumps(rows))) == ROWS
    assert KEY.to_bytes().hex() not in repr(rows)


def test_sealing_twice_gives_other_bytes_of_the_same_name(box: Path) -> None:
    batch = posted(box)
    first = rows_path(box, batch).read_bytes()
    assert posted(box) == batch
    assert rows_path(box, batch).read_bytes() != first
    assert list(opened(box, batch)) == ROWS
    assert all(row[:32] not in first for row in ROWS)


def reordered(parts: list[bytes]) -> list[bytes]:
    return [parts[0], parts[2], parts[1], *parts[3:]]


def flipped(place: int) -> Callable[[list[bytes]], list[bytes]]:
    def change(parts: list[bytes]) -> list[bytes]:
        damaged = bytearray(parts[place])
        damaged[len(damaged) // 2] ^= 1
        return [*parts[:place], bytes(damaged), *parts[place:][1:]]

    return change


@pytest.mark.parametrize(
    "change",
    [
        reordered,
        flipped(0),
        flipped(1),
        flipped(4),
        flipped(5),
        lambda parts: [*parts[:2], *parts[3:]],  # dropped
        lambda parts: [*parts[:4], parts[5]],  # the last one
        lambda parts: parts[:-1],  # truncated
        lambda parts: parts[:2],
        lambda parts: parts[:1],
        lambda parts: [],
        lambda parts: [*parts, parts[-1]],
        lambda parts: [*parts[:3], parts[1], *parts[4:]],  # repeated
        lambda parts: [parts[-1], *parts[1:]],
    ],
)
def test_a_file_that_was_changed(box: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    batch = posted(box)
    path = rows_path(box, batch)
    parts = list(MessageFile(path, 100, 1 << 20))
    path.write_bytes(b"".join(framed(change(parts))))
    with pytest.raises(CampaignError, match=f"{batch.hex()}.rows.*deliver it again"):
        list(opened(box, batch))


def test_a_file_that_was_cut_off_anywhere_or_has_more(box: Path) -> None:
    batch = posted(box)
    path = rows_path(box, batch)
    whole = path.read_bytes()
    for damaged in (*(whole[:n] for n in range(0, len(whole), 97)), whole + b"\0", whole + whole):
        path.write_bytes(damaged)
        with pytest.raises(CampaignError, match="deliver it again"):
            list(opened(box, batch))
    path.unlink()
    with pytest.raises(CampaignError, match="missing"):
        opened(box, batch)


def test_rows_of_another_batch_do_not_fit_in(box: Path) -> None:
    """Of the same tester and purpose, under the same key, in the same place."""
    batch, other = posted(box), posted(box, [ROWS[0], b"other", *ROWS[2:]])
    path = rows_path(box, batch)
    parts, strangers = (list(MessageFile(rows_path(box, name), 100, 1 << 20)) for name in (batch, other))
    for mixed, words in (
        ([*parts[:2], strangers[2], *parts[3:]], "row 1 does not open"),
        ([strangers[0], *parts[1:]], "does not open"),
        ([*parts[:-1], strangers[-1]], "does not open"),
        (strangers, "another batch"),
    ):
        path.write_bytes(b"".join(framed(mixed)))
        with pytest.raises(CampaignError, match=words):
            list(opened(box, batch))


def test_a_row_that_somebody_sealed_anew_is_not_the_named_one(box: Path) -> None:
    """HPKE says nothing of the sender: everyone can seal to the owner. The name says which rows there are."""
    batch = posted(box)
    path = rows_path(box, batch)
    parts = list(MessageFile(path, 100, 1 << 20))
    info = digest("pvcnn/mail/row", PURPOSE, parts[0], (1).to_bytes(8, "little"), (4).to_bytes(8, "little"))
    parts[2] = seal(KEY.public, b"another row", info)
    path.write_bytes(b"".join(framed(parts)))
    rows = opened(box, batch)
    assert rows[0] == ROWS[0]
    with pytest.raises(CampaignError, match="row 1 was changed on its way"):
        rows[1]
    with pytest.raises(CampaignError, match="row 1 was changed"):
        rows.check()


@pytest.mark.parametrize(
    "purpose",
    [
        upload_batch_purpose(b"M" * 32, b"t" * 32),
        upload_batch_purpose(b"m" * 32, b"T" * 32),
        answer_batch_purpose(b"m" * 32, b"t" * 32),
    ],
    ids=["another campaign", "another tester", "an answer"],
)
def test_what_was_sealed_for_something_else_does_not_open(box: Path, purpose: bytes) -> None:
    batch = posted(box)
    with pytest.raises(CampaignError, match="does not open"):
        opened(box, batch, purpose=purpose)
    with pytest.raises(CampaignError, match="does not open"):
        opened(box, batch, key=SealingKey.generate())


def test_a_batch_of_another_number_of_rows_is_refused(box: Path) -> None:
    batch = posted(box)
    with pytest.raises(SubmissionRefused, match="5 rows here, not 4"):
        opened(box, batch, content=RowContent("pixels", 5, 1, 1))
    with pytest.raises(ValueError, match="5 rows here, not 4"):
        post_rows(box, KEY.public, PURPOSE, 5, iter(ROWS))


def test_an_interruption_leaves_nothing(box: Path) -> None:
    def interrupted() -> Iterator[bytes]:
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        post_rows(box, KEY.public, PURPOSE, 4, interrupted())
    assert not list(box.iterdir())


def test_rows_are_sealed_as_they_come(box: Path) -> None:
    """Nothing waits for the batch to be complete, so nothing has to hold it."""
    written: list[int] = []

    def rows() -> Iterator[bytes]:
        for row in ROWS:
            written.append(sum(path.stat().st_size for path in box.iterdir()))
            yield row * 1000

    post_rows(box, KEY.public, PURPOSE, 4, rows())
    assert written == sorted(written)
    assert written[-1] > 2e6


class TestTheListsFormat:
    def test_inverse(self) -> None:
        digests = [bytes([i]) * 32 for i in range(3)]
        assert read_row_digests(row_digests(digests)) == digests

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xff" * 100,
            row_digests([bytes(32)]) + b"\0",
            row_digests([bytes(32)])[:-1],
            encode("pvcnn-row-digests", 2, {"rows": []}),
            encode("pvcnn-other", 1, {"rows": []}),
            encode("pvcnn-row-digests", 1, {}),
            encode("pvcnn-row-digests", 1, {"rows": [], "more": 1}),
            encode("pvcnn-row-digests", 1, {"rows": [bytes(31)]}),
            encode("pvcnn-row-digests", 1, {"rows": [1]}),
            encode("pvcnn-row-digests", 1, {"rows": bytes(32)}),
            encode("pvcnn-row-digests", 1, {"rows": [bytes(32)] * 1025}),
        ],
    )
    def test_hostile_bytes(self, data: bytes) -> None:
        with pytest.raises(DecodeError):
            read_row_digests(data)


class TestPlaces:
    PLACE = FramePlace(b"b" * 32, 3)

    def test_inverse(self) -> None:
        assert FramePlace.from_bytes(self.PLACE.to_bytes()) == self.PLACE

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xff" * 40,
            PLACE.to_bytes() + b"\0",
            PLACE.to_bytes()[:-1],
            encode("pvcnn-frame-place", 2, {"batch": bytes(32), "place": 0}),
            encode("pvcnn-other", 1, {"batch": bytes(32), "place": 0}),
            encode("pvcnn-frame-place", 1, {"batch": bytes(32)}),
            encode("pvcnn-frame-place", 1, {"place": 0}),
            encode("pvcnn-frame-place", 1, {"batch": bytes(31), "place": 0}),
            encode("pvcnn-frame-place", 1, {"batch": bytes(32), "place": -1}),
            encode("pvcnn-frame-place", 1, {"batch": bytes(32), "place": 1 << 15}),
            encode("pvcnn-frame-place", 1, {"batch": bytes(32), "place": True}),
            encode("pvcnn-frame-place", 1, {"batch": bytes(32), "place": 0, "more": bytes(MAX_BYTES)}),
        ],
    )
    def test_hostile_bytes(self, data: bytes) -> None:
        with pytest.raises(DecodeError):
            FramePlace.from_bytes(data)

    def test_one_batch_and_places_within_it(self) -> None:
        batch = bytes(32)
        messages = [FramePlace(batch, place).to_bytes() for place in (4, 0)]
        assert read_places(PLAN, tuple(messages)) == (batch, [4, 0])
        with pytest.raises(SubmissionRefused, match="several batches"):
            read_places(PLAN, (*messages, self.PLACE.to_bytes()))
        with pytest.raises(SubmissionRefused, match="several batches, or there are none"):
            read_places(PLAN, ())
        with pytest.raises(SubmissionRefused, match="5 places, and none of number 5"):
            read_places(PLAN, (FramePlace(batch, 5).to_bytes(),))
        with pytest.raises(DecodeError):
            read_places(PLAN, (b"a ciphertext",))
