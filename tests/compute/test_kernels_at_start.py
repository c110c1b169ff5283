"""Workers of one machine that start together: one compiles and the others wait, but nobody waits to load."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path

import pytest

from pvcnn.algebra import warmup
from pvcnn.compute import proving_worker


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each time that kernels were called for, whether other workers had to wait meanwhile."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[bool] = []

    def compile_kernels() -> None:
        [lock] = tmp_path.iterdir()
        with lock.open("r+b") as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                seen.append(True)
            else:
                seen.append(False)

    monkeypatch.setattr(warmup, "compile_kernels", compile_kernels)
    return seen


def test_the_first_compiles_alone_and_the_others_load_together(held: list[bool]) -> None:
    for _ in range(3):
        proving_worker._load_kernels()
    assert held == [True, False, False]


def test_after_a_change_they_are_compiled_alone_again(held: list[bool], tmp_path: Path) -> None:
    proving_worker._load_kernels()
    [lock] = tmp_path.iterdir()
    lock.write_bytes(lock.read_bytes().replace(str(Path(warmup.__file__).parent).encode(), b"elsewhere"))
    proving_worker._load_kernels()
    proving_worker._load_kernels()
    assert held == [True, True, False]


def test_one_that_failed_to_compile_leaves_it_to_the_next(
    held: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    works = warmup.compile_kernels

    def fail() -> None:
        raise OSError("no space left")

    monkeypatch.setattr(warmup, "compile_kernels", fail)
    with pytest.raises(OSError, match="no space"):
        proving_worker._load_kernels()
    monkeypatch.setattr(warmup, "compile_kernels", works)
    proving_worker._load_kernels()
    assert held == [True]
