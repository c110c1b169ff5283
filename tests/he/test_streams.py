"""SEAL's files as we write them: SEAL reads back what went in, and nobody else can read them."""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path

import numpy as np
import pytest
import zstandard
from numpy.typing import NDArray

from pvcnn.he import streams
from pvcnn.he.checks import features_content, frame_content, read_ciphertexts
from pvcnn.he.context import open_context
from tests.he.conftest import Roles
from tests.he.parts import expected


def test_ciphertext_comes_back_as_it_went_in(small: Roles, answer: bytes) -> None:
    context = open_context(small.plan)
    (residues,) = read_ciphertexts(small.plan, features_content(small.plan), context.parms_id(1), answer)
    ciphertext = context.ciphertext(residues, 1, small.plan.scale)
    np.testing.assert_array_equal(context.components(ciphertext), residues)
    assert ciphertext.scale == small.plan.scale
    assert ciphertext.parms_id() == context.parms_id(1)
    assert ciphertext.is_ntt_form()


def test_seal_refuses_what_the_checks_would_have_refused(small: Roles) -> None:
    """A second line: SEAL checks the stream once more when it loads it."""
    context = open_context(small.plan)
    too_large = np.full((2, 1, small.plan.degree), small.plan.moduli[0], np.uint64)
    with pytest.raises(RuntimeError):
        context.ciphertext(too_large, 1, small.plan.scale)


class _Saved:
    """Saves a ciphertext's stream under a compression that other builds of SEAL have."""

    def __init__(self, stream: bytes, compression: int) -> None:
        body = stream[16:]
        packed = {0: body, 1: zlib.compress(body), 2: zstandard.compress(body)}[compression]
        self._stream = stream[:5] + bytes([compression]) + stream[6:16] + packed

    def save(self, path: str) -> None:
        Path(path).write_bytes(self._stream)


@pytest.mark.parametrize("compression", [0, 1, 2])
def test_coefficients_are_read_from_any_build_of_seal(small: Roles, compression: int) -> None:
    residues = np.arange(2 * 3 * small.plan.degree, dtype=np.uint64).reshape(2, 3, -1)
    stream = streams.ciphertext_stream(open_context(small.plan).parms_id(3), 1.0, residues)
    saved = _Saved(stream, compression)
    np.testing.assert_array_equal(streams.coefficients(saved, residues.shape), residues)


@pytest.mark.parametrize("shape", [(2, 2), (2, 4), (2, 3, 1 << 20)])
def test_another_number_of_coefficients_is_refused(small: Roles, shape: tuple[int, ...]) -> None:
    residues = np.arange(6, dtype=np.uint64).reshape(2, 3, 1)
    stream = streams.ciphertext_stream(open_context(small.plan).parms_id(3), 1.0, residues)
    with pytest.raises(ValueError, match="coefficients"):
        streams.coefficients(_Saved(stream, 0), shape)


def test_coefficients_are_those_that_seal_shows(small: Roles, upload: bytes) -> None:
    context = open_context(small.plan)
    content = frame_content(small.plan)
    (residues,) = read_ciphertexts(small.plan, content, context.parms_id(content.primes), upload)
    ciphertext = context.ciphertext(residues, content.primes, small.plan.scale)
    found = streams.coefficients(ciphertext, residues.shape).ravel()
    assert [ciphertext[i] for i in range(0, len(found), 997)] == found[::997].tolist()


@pytest.mark.parametrize("in_memory", [True, False])
def test_files_are_private_and_gone_afterwards(
    in_memory: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if in_memory and not hasattr(os, "memfd_create"):
        pytest.skip("this system has no files in memory")
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with streams._private_file(b"secret") as name:
        path = Path(name)
        assert path.read_bytes() == b"secret"
        if not in_memory:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert path.parent == tmp_path
    assert not path.exists()
    assert list(tmp_path.iterdir()) == []


def test_everything_works_without_files_in_memory(
    small: Roles, frame: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = small.decrypt(small.evaluate(small.encrypt(frame)))
    assert abs(found - expected(small.private, frame)).max() < small.plan.feature_step / 4
    assert list(tmp_path.iterdir()) == []
