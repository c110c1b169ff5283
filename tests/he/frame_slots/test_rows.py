"""Rows from strangers: hostile bytes, other plans, other places."""

from __future__ import annotations

from pathlib import Path

import cbor2
import numpy as np
import pytest

from pvcnn.errors import DecodeError, SubmissionRefused
from pvcnn.he.frame_slots.rows import (
    RowFile,
    feature_rows,
    framed,
    pixel_rows,
    read_row,
    row_bytes,
    write_row,
)
from tests.he.frame_slots.roles import BatchRoles


def changed(message: bytes, **fields: object) -> bytes:
    return cbor2.dumps(cbor2.loads(message) | fields, canonical=True)


def test_a_row_is_read_as_it_was_written(batch: BatchRoles, upload: list[bytes]) -> None:
    content = pixel_rows(batch.plan)
    found = read_row(batch.plan, content, 1, upload[1])
    assert write_row(batch.plan, content, 1, list(found)) == upload[1]
    assert len(upload[1]) <= row_bytes(batch.plan, content) < len(upload[1]) + 2048


@pytest.mark.parametrize("where", [0, 1, 40])
def test_damaged_and_truncated_rows_are_no_rows(batch: BatchRoles, upload: list[bytes], where: int) -> None:
    content, message = pixel_rows(batch.plan), upload[0]
    damaged = bytearray(message)
    damaged[where] ^= 0x80
    for hostile in (bytes(damaged), message[:where], message[: -1 - where], message + b"\0"):
        with pytest.raises((DecodeError, SubmissionRefused)):
            read_row(batch.plan, content, 0, hostile)


def test_what_is_not_expected_is_refused(batch: BatchRoles, upload: list[bytes], answer: list[bytes]) -> None:
    content, message = pixel_rows(batch.plan), upload[0]
    ciphertexts = cbor2.loads(message)["ciphertexts"]
    refused = {
        "another encryption plan": changed(message, plan=bytes(32)),
        "does not hold pixels": changed(message, content="features"),
        "in the place of row 0": changed(message, row=1),
        "ciphertexts here": changed(message, ciphertexts=ciphertexts[:-1]),
        "components here": changed(message, ciphertexts=[c + c[:1] for c in ciphertexts]),
    }
    for reason, hostile in refused.items():
        with pytest.raises(SubmissionRefused, match=reason):
            read_row(batch.plan, content, 0, hostile)
    with pytest.raises(SubmissionRefused, match="does not hold pixels"):
        read_row(batch.plan, content, 0, answer[0])
    with pytest.raises(SubmissionRefused, match="does not hold features"):
        read_row(batch.plan, feature_rows(batch.plan), 0, changed(answer[0], content="pixels"))


def test_an_answer_at_another_level_is_no_answer(batch: BatchRoles, answer: list[bytes]) -> None:
    """A level is how many primes a component's bytes are for."""
    content = feature_rows(batch.plan)
    longer = [[c + c for c in pair] for pair in cbor2.loads(answer[0])["ciphertexts"]]
    with pytest.raises(DecodeError, match="bytes"):
        read_row(batch.plan, content, 0, changed(answer[0], ciphertexts=longer))


def test_components_of_other_kinds_are_no_ciphertexts(batch: BatchRoles, upload: list[bytes]) -> None:
    content, message = pixel_rows(batch.plan), upload[0]
    for component in (1, "text", [b""], {"a": b""}):
        ciphertexts = [[component, component]] * content.ciphertexts
        with pytest.raises(DecodeError):
            read_row(batch.plan, content, 0, changed(message, ciphertexts=ciphertexts))
    with pytest.raises(DecodeError):
        read_row(batch.plan, content, 0, changed(message, ciphertexts=[b""] * content.ciphertexts))


def test_coefficients_that_are_not_reduced_and_transparent_ciphertexts_are_refused(
    batch: BatchRoles, upload: list[bytes]
) -> None:
    content, message = pixel_rows(batch.plan), upload[0]
    first, *others = cbor2.loads(message)["ciphertexts"]
    ones = b"\xff" * len(first[0])
    with pytest.raises(DecodeError, match="not below its prime"):
        read_row(batch.plan, content, 0, changed(message, ciphertexts=[[ones, first[1]], *others]))
    found = read_row(batch.plan, content, 0, message)
    found[-1, 1] = 0
    with pytest.raises(SubmissionRefused, match="transparent"):
        read_row(batch.plan, content, 0, write_row(batch.plan, content, 0, list(found)))


def test_a_file_of_rows(tmp_path: Path, batch: BatchRoles, upload: list[bytes]) -> None:
    path, content = tmp_path / "rows", pixel_rows(batch.plan)
    path.write_bytes(b"".join(framed(iter(upload))))
    rows = RowFile(path, content, row_bytes(batch.plan, content))
    assert len(rows) == len(upload)
    assert list(rows) == upload
    assert rows[1:] == upload[1:]


def test_files_of_other_shapes_are_refused(tmp_path: Path, batch: BatchRoles, upload: list[bytes]) -> None:
    path, content = tmp_path / "rows", pixel_rows(batch.plan)
    whole = b"".join(framed(iter(upload)))
    too_long = (1 << 63).to_bytes(8, "little") + whole[8:]
    empty = bytes(8) + whole
    for hostile in (b"", whole[:-1], whole + b"\0", whole + whole, whole[:7], too_long, empty):
        path.write_bytes(hostile)
        with pytest.raises(DecodeError):
            RowFile(path, content, row_bytes(batch.plan, content))
    path.write_bytes(whole)
    with pytest.raises(DecodeError, match="length"):
        RowFile(path, content, 1000)


def test_pixels_out_of_bounds_and_other_shapes_are_not_encrypted(batch: BatchRoles) -> None:
    shape = (batch.plan.tiling.frames, *batch.plan.input_shape)
    frames = np.zeros(shape)
    for value in (np.nan, np.inf, 1.01 * batch.plan.pixel_bound):
        frames[2, 0, 1, 1] = value
        with pytest.raises(ValueError, match="of frame 2"):
            next(batch.encryptor.rows(frames))
    with pytest.raises(ValueError, match="shape"):
        next(batch.encryptor.rows(np.zeros((shape[0] + 1, *shape[1:]))))
    with pytest.raises(ValueError, match="shape"):
        next(batch.encryptor.rows(np.zeros((1, 1, *shape[2:-1], 1))))
