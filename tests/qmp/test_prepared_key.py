"""A prepared key proves as the proving key does, is made once, and made again whenever it is not right."""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from pvcnn.algebra.backends import backend
from pvcnn.algebra.curve import g1_from_points
from pvcnn.algebra.kernels import selection
from pvcnn.algebra.kernels.selection import Kernels
from pvcnn.algebra.points import G1Point
from pvcnn.errors import CampaignError, DecodeError, VerificationError
from pvcnn.qmp import prepared_key
from pvcnn.qmp.array_file import ALIGNMENT
from pvcnn.qmp.commitments import commit_weights
from pvcnn.qmp.key_check import check_proving_key
from pvcnn.qmp.prepared_key import PreparedKey, open_proving_key, prepared_path
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import LAYOUT, ProvingKey
from pvcnn.qmp.verifier import verify
from tests.algebra.conftest import IMPLEMENTATIONS
from tests.qmp.circuits import WEIGHTS, WEIGHTS_BLINDING
from tests.qmp.conftest import CONTEXT, Proved
from tests.qmp.hostile import bit_flips, never_well_formed, stray_g1

SUMMED = ("v_g2", "u_g1", "v_g1", "in_g1", "w_g1", "aux_g1", "private_g1", "quotient_g1")


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda kernels: kernels.value, autouse=True)
def kernels(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    """The kernels in use during a test."""
    with selection.use(request.param):
        yield request.param


@dataclass
class Opening:
    """A proving key's file, the directory of the prepared one, and how often points were checked."""

    path: Path
    directory: Path
    checks: int = 0

    @property
    def prepared(self) -> Path:
        return prepared_path(self.directory)

    def open(self) -> PreparedKey:
        return open_proving_key(self.path, hashlib.sha256(self.path.read_bytes()).digest(), self.directory)


@pytest.fixture
def opening(proved: Proved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opening:
    path, directory = tmp_path / "proving_key", tmp_path / "cache"
    directory.mkdir()
    proved.proving_key.save(path)
    out = Opening(path, directory)

    def counted(key: ProvingKey) -> None:
        out.checks += 1
        check_proving_key(key)

    monkeypatch.setattr(prepared_key, "check_proving_key", counted)
    return out


def proves(proved: Proved, key: ProvingKey) -> None:
    proof = prove_witness(key, proved.circuit, proved.stage_one, CONTEXT, WEIGHTS_BLINDING)
    verify(proved.key, proof.statement, proof)


def test_checked_once_and_mapped_afterwards(proved: Proved, opening: Opening) -> None:
    first = opening.open()
    written = opening.prepared.read_bytes()
    again = opening.open()
    assert opening.checks == 1
    assert opening.prepared.read_bytes() == written
    assert [path.name for path in opening.directory.iterdir()] == [opening.prepared.name]
    assert opening.prepared.stat().st_mode & 0o777 == 0o600
    for key in (first, again):
        proves(proved, key)
        assert commit_weights(key, WEIGHTS, WEIGHTS_BLINDING) == proved.key.weights_commitment
        assert key.segments == proved.proving_key.segments
        for name in SUMMED:
            array = getattr(key, name)
            assert not array.flags.writeable
            degree = 2 if name == "v_g2" else 1
            assert array.shape == (len(getattr(proved.proving_key, name)), backend().row_words(degree))
            if backend().layout == "ifma":
                assert array.ctypes.data % ALIGNMENT == 0
    assert opening.checks == 1


def test_the_prover_checks_a_prepared_key_no_more(
    proved: Proved, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: ProvingKey) -> None:
        raise AssertionError("checked again")

    key = opening.open()
    monkeypatch.setattr("pvcnn.qmp.prover.check_proving_key", refuse)
    proves(proved, key)
    with pytest.raises(AssertionError, match="checked again"):
        proves(proved, ProvingKey.load(opening.path))


def test_portable_kernels_keep_a_header_only(opening: Opening, kernels: Kernels) -> None:
    opening.open()
    size, key_size = opening.prepared.stat().st_size, opening.path.stat().st_size
    assert (size < 512) == (kernels is Kernels.PORTABLE)
    assert size < 2 * key_size


def test_each_layout_has_its_own_file(proved: Proved, opening: Opening) -> None:
    for kernels in IMPLEMENTATIONS:
        with selection.use(kernels):
            proves(proved, opening.open())
    for kernels in IMPLEMENTATIONS:
        with selection.use(kernels):
            proves(proved, opening.open())
    assert opening.checks == len(IMPLEMENTATIONS)
    assert len(list(opening.directory.iterdir())) == len(IMPLEMENTATIONS)


def test_rows_of_other_kernels_are_refused_by_sums(proved: Proved, opening: Opening) -> None:
    key = opening.open()
    for kernels in IMPLEMENTATIONS:
        with selection.use(kernels):
            if key.u_g1.shape[1] in (12, backend().row_words(1)):
                proves(proved, key)
            else:
                with pytest.raises(ValueError, match="not a vector of points"):
                    proves(proved, key)


def test_a_key_that_fails_its_check_is_not_prepared(proved: Proved, opening: Opening) -> None:
    array = proved.proving_key.w_g1.copy()
    array[0] = g1_from_points([stray_g1()])[0]
    replace(proved.proving_key, w_g1=array).save(opening.path)
    for _ in range(2):
        with pytest.raises(VerificationError, match="w_g1 holds points outside of G1"):
            opening.open()
    assert opening.checks == 2
    assert not list(opening.directory.iterdir())


def test_another_proving_key_is_prepared_anew(proved: Proved, opening: Opening) -> None:
    opening.open()
    array = proved.proving_key.quotient_g1.copy()
    array[0] = g1_from_points([G1Point()])[0]
    replace(proved.proving_key, quotient_g1=array).save(opening.path)
    other = opening.open()
    assert opening.checks == 2
    with pytest.raises(VerificationError, match="pairing equation"):
        proves(proved, other)
    proved.proving_key.save(opening.path)
    proves(proved, opening.open())
    assert opening.checks == 3


def test_damaged_files_are_made_again(proved: Proved, opening: Opening) -> None:
    opening.open()
    honest = opening.prepared.read_bytes()
    for count, data in enumerate(never_well_formed(honest), start=2):
        opening.prepared.write_bytes(data)
        opening.open()
        assert opening.checks == count
        assert opening.prepared.read_bytes() == honest
    proves(proved, opening.open())


def test_a_header_with_other_numbers_of_points_is_made_again(proved: Proved, opening: Opening) -> None:
    key = opening.open()
    layout = prepared_key._layout(hashlib.sha256(opening.path.read_bytes()).digest())
    rows = {name: getattr(key, name)[:-1] for name in layout.columns}
    if not rows:
        return
    opening.prepared.write_bytes(b"".join(layout.chunks(rows)))
    proves(proved, opening.open())
    assert opening.checks == 2


def test_flipped_bits_crash_nothing_and_no_wrong_proof_leaves(proved: Proved, opening: Opening) -> None:
    opening.open()
    honest = opening.prepared.read_bytes()
    for damaged in bit_flips(honest, 40):
        opening.prepared.write_bytes(damaged)
        with suppress(VerificationError, ValueError):
            proves(proved, opening.open())
    opening.prepared.unlink()
    proves(proved, opening.open())


@pytest.mark.parametrize("word", [0, 1, 1 << 51, 1 << 60, 1 << 63, (1 << 64) - 1])
def test_values_of_any_size_crash_nothing(proved: Proved, opening: Opening, word: int) -> None:
    key = opening.open()
    rows = {name: getattr(key, name).copy() for name in SUMMED}
    for position in range(0, 8):
        for array in rows.values():
            array[position % len(array), position % array.shape[1]] = word
        damaged = PreparedKey.from_arrays(LAYOUT.load(opening.path) | rows)
        with pytest.raises((VerificationError, ValueError)):
            proves(proved, damaged)


def test_without_a_directory_the_key_is_prepared_in_memory(proved: Proved, opening: Opening) -> None:
    digest = hashlib.sha256(opening.path.read_bytes()).digest()
    for directory in (None, opening.directory / "none", opening.path):
        key = open_proving_key(opening.path, digest, directory)
        assert isinstance(key, PreparedKey)
        proves(proved, key)
    assert opening.checks == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_is_not_to_be_written_to(proved: Proved, opening: Opening) -> None:
    opening.directory.chmod(0o500)
    proves(proved, opening.open())


def test_proving_keys_that_are_missing_or_malformed(opening: Opening) -> None:
    with pytest.raises(CampaignError, match="run setup"):
        open_proving_key(opening.directory / "none", bytes(32), opening.directory)
    opening.open()
    opening.path.write_bytes(opening.path.read_bytes()[:-1])
    with pytest.raises(DecodeError):
        opening.open()


def test_a_prepared_key_stays_in_its_process(opening: Opening) -> None:
    key = opening.open()
    with pytest.raises(TypeError, match="one process"):
        pickle.dumps(key)
    for encode in (key.to_bytes, key.digest):
        with pytest.raises(ValueError, match="no encoding"):
            encode()


def test_workers_that_start_at_once(proved: Proved, opening: Opening) -> None:
    keys: list[PreparedKey] = []
    workers = [threading.Thread(target=lambda: keys.append(opening.open())) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(keys) == 4
    assert [path.name for path in opening.directory.iterdir()] == [opening.prepared.name]
    proves(proved, opening.open())
    for name in SUMMED:
        assert all(np.array_equal(getattr(key, name), getattr(keys[0], name)) for key in keys)
